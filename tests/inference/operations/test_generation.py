"""What is asked of the engine for each text, and how its answers become completions."""

import hashlib
import math

import pytest

from refrain.inference.engine.request import BeamParams, Hypothesis, Request, Searched, Written
from refrain.inference.operation import MORE, Delta, TokenAlternative, TokenLogprob
from refrain.inference.operations.generation import (
    Completion,
    Generation,
    GenerationParams,
    Usage,
    check_search,
    generate,
    read_back,
    seed_of,
)
from refrain.inference.operations.prompt import Prompt, read_prompt
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose
from tests.support.by_hand import read_state, replies, run_by_hand, scores, state, text_model

MODEL = text_model()
TOKENIZER = MODEL.tokenizer
CAT_SAT = TOKENIZER.encode(" cat sat").ids
SAMPLING = SamplingParams(max_tokens=9, temperature=0.7, seed=123)


def prompts(*texts: str) -> list[Prompt]:
    return [read_prompt(TOKENIZER, text) for text in texts]


def written(ids, reason="length", *, logprob=-1.0, **others) -> Written:
    top = others.pop("top", [])
    return Written([*ids], [logprob] * len(ids), top, reason, **others)


def ended(_: Request) -> Written:
    return written(CAT_SAT)


def hypothesis(ids, score=-1.0, reason="length", **others) -> Hypothesis:
    return Hypothesis([*ids], [-1.0] * len(ids), others.pop("top", []), reason, score, **others)


def test_every_text_of_every_prompt_is_one_request_with_a_seed_of_its_own() -> None:
    params = GenerationParams(SAMPLING, n=2)
    heard = run_by_hand(generate(MODEL, prompts("The", "The old"), params, seed=7), ended)
    assert [request.purpose for request in heard.requests] == [Purpose.GENERATE] * 4
    assert [len(request.token_ids) for request in heard.requests] == [1, 1, 2, 2]
    assert [request.sampling.seed for request in heard.requests] == [
        7,
        *(seed_of(7, n) for n in range(1, 4)),
    ]
    assert len({request.sampling.seed for request in heard.requests}) == 4
    assert {request.sampling.temperature for request in heard.requests} == {0.7}
    assert [each.index for each in heard.answer.choices] == [0, 1, 2, 3]
    assert heard.answer.seed == 7


def test_texts_are_asked_for_side_by_side_before_any_is_there() -> None:
    gathered = next(generate(MODEL, prompts("The", "The old"), GenerationParams(SAMPLING, n=3)))
    asked = [next(each) for each in gathered.operations]
    assert len(asked) == 6
    assert all(isinstance(each, Request) for each in asked)


def test_the_first_seed_is_the_requests_own_and_the_others_are_drawn_from_it() -> None:
    digest = hashlib.blake2b(b"7/3", digest_size=8).digest()
    assert seed_of(7, 3) == int.from_bytes(digest, "little")
    assert len({seed_of(seed, n) for seed in range(50) for n in range(1, 51)}) == 2_500
    assert all(0 <= seed_of(5, n) < 1 << 64 for n in range(1, 100))


def test_a_seed_that_is_drawn_is_a_number_that_json_counts_exactly() -> None:
    params = GenerationParams(SAMPLING)
    drawn = set()
    for _ in range(200):
        reply = replies(written([5], "length"))
        drawn.add(run_by_hand(generate(MODEL, prompts("The"), params, None), reply).answer.seed)
    assert len(drawn) == 200
    assert all(seed == int(float(seed)) for seed in drawn)


def test_what_a_text_says_and_costs() -> None:
    def reply(request: Request) -> Written:
        return written([*CAT_SAT, TOKENIZER.eos_id], "stop", logprob=-0.5)

    heard = run_by_hand(generate(MODEL, prompts("The"), GenerationParams(SAMPLING), 7), reply)
    assert heard.answer == Generation(
        [Completion(0, " cat sat", "stop", None, None, -0.5, 3)], 7, Usage(1, 3, 4)
    )
    assert heard.deltas == [Delta(0, " cat sat", "stop")]
    assert heard.answer.as_json() == {
        "choices": [{"index": 0, "text": " cat sat", "finish_reason": "stop"}],
        "seed": 7,
        "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
    }


def test_a_boundary_that_was_given_is_a_token_of_the_prompt_that_is_counted() -> None:
    prompt = read_prompt(TOKENIZER, "<eos>The", with_names=True)
    heard = run_by_hand(generate(MODEL, [prompt], GenerationParams(SAMPLING)), ended)
    assert heard.answer.usage == Usage(2, 2, 4)
    assert len(heard.requests[0].token_ids) == 1


def test_a_prompt_goes_on_from_its_state() -> None:
    prompt = read_prompt(TOKENIZER, " cat", state(5))
    heard = run_by_hand(generate(MODEL, [prompt], GenerationParams(SAMPLING)), ended)
    assert heard.requests[0].start == state(5)
    assert [*heard.requests[0].token_ids] == TOKENIZER.encode(" cat").ids


def test_a_text_is_streamed_where_it_is_read_as_it_is_written_or_may_be_cut() -> None:
    def is_streamed(**params) -> bool:
        operation = generate(MODEL, prompts("The"), GenerationParams(SAMPLING, **params))
        return run_by_hand(operation, ended).requests[0].is_streamed

    assert not is_streamed()
    assert is_streamed(stream=True)
    assert is_streamed(stop=["."])


def test_a_stream_is_a_delta_for_each_piece_and_their_text_is_the_completions() -> None:
    cat, sat = CAT_SAT
    params = GenerationParams(SAMPLING, stream=True, return_state=True)
    results = [written([cat], None), written([], None), written([sat], state=state(3))]
    heard = run_by_hand(generate(MODEL, prompts("The"), params), lambda _: results)
    assert heard.deltas == [
        Delta(0, " cat", None),
        Delta(0, "", None),
        Delta(0, " sat", "length", [], state(3)),
    ]
    (choice,) = heard.answer.choices
    assert (choice.text, choice.finish_reason, choice.state) == (" cat sat", "length", state(3))
    assert heard.num_left == 0


def test_a_stop_string_ends_a_text_and_no_more_of_it_is_waited_for() -> None:
    cat, sat = CAT_SAT
    params = GenerationParams(SAMPLING, stop=[" sat"])
    results = [written([cat], None), written([sat, cat], None), written([sat])]
    heard = run_by_hand(generate(MODEL, prompts("The"), params), lambda _: results)
    (choice,) = heard.answer.choices
    assert (choice.text, choice.finish_reason, choice.num_tokens) == (" cat", "stop", 2)
    assert heard.num_left == 1
    assert len(heard.requests) == 1
    assert choice.state is None
    assert heard.answer.usage == Usage(1, 2, 3)


def test_a_text_that_was_cut_is_read_once_more_for_its_state_where_that_is_wanted() -> None:
    cat, sat = CAT_SAT
    params = GenerationParams(SAMPLING, stop=[" sat"], return_state=True)
    prompt = read_prompt(TOKENIZER, "The old", state(1))
    reply = replies([written([cat, sat, cat], None, state=state(8))], read_state(9))
    heard = run_by_hand(generate(MODEL, [prompt], params), reply)
    asked, again = heard.requests
    assert asked.want.state
    assert again == Request.read([*prompt.ids, cat, sat], state(1))
    assert heard.answer.choices[0].state == state(9)
    assert heard.deltas[-1].state == state(9)


def test_a_text_that_was_not_cut_has_the_state_that_came_with_it() -> None:
    params = GenerationParams(SAMPLING, stop=["dog"], return_state=True)
    reply = replies([written(CAT_SAT, state=state(8))])
    heard = run_by_hand(generate(MODEL, prompts("The"), params), reply)
    assert heard.answer.choices[0].state == state(8)


def test_after_a_text_that_is_done_the_operation_asks_nothing_more() -> None:
    operation = generate(MODEL, prompts("The"), GenerationParams(SAMPLING))
    next(operation)
    assert isinstance(operation.send(written(CAT_SAT, None)), Delta)
    assert operation.send(None) is MORE
    assert isinstance(operation.send(written(CAT_SAT)), Delta)
    with pytest.raises(StopIteration) as end:
        operation.send(None)
    assert end.value.value.choices[0].text == " cat sat cat sat"


def test_the_best_of_several_are_those_whose_mean_token_is_likeliest() -> None:
    mean = {0: -3.0, 1: -1.0, 2: -2.0, 3: -0.5, 4: -9.0, 5: -0.5}
    seeds = {seed_of(7, index) if index else 7: index for index in mean}

    def reply(request: Request) -> Written:
        index = seeds[request.sampling.seed]
        return written(CAT_SAT * (index + 1), logprob=mean[index])

    params = GenerationParams(SAMPLING, n=2, best_of=3)
    heard = run_by_hand(generate(MODEL, prompts("The", "The old"), params, 7), reply)
    assert len(heard.requests) == 6
    found = [(each.index, each.mean_logprob, each.num_tokens) for each in heard.answer.choices]
    assert found == [(0, -1.0, 4), (1, -2.0, 6), (2, -0.5, 8), (3, -0.5, 12)]
    assert heard.answer.usage.completion_tokens == 2 * (1 + 2 + 3 + 4 + 5 + 6)
    assert heard.answer.usage.prompt_tokens == 1 + 2


def test_a_text_of_no_tokens_has_a_mean_of_nothing() -> None:
    heard = run_by_hand(
        generate(MODEL, prompts("The"), GenerationParams(SAMPLING)), lambda _: written([])
    )
    (choice,) = heard.answer.choices
    assert (choice.text, choice.mean_logprob, choice.num_tokens) == ("", 0.0, 0)


def test_logprobs_come_with_every_piece_and_are_those_of_the_completion() -> None:
    cat, sat = CAT_SAT
    top = [[(sat, -0.25), (cat, -1.0)]]
    results = [written([cat], None, top=top), written([sat], top=top)]
    params = GenerationParams(SAMPLING, logprobs=2, stream=True)
    heard = run_by_hand(generate(MODEL, prompts("The"), params), lambda _: results)
    likeliest = [TokenAlternative(" sat", -0.25), TokenAlternative(" cat", -1.0)]
    found = [
        TokenLogprob(" cat", -1.0, likeliest, 0),
        TokenLogprob(" sat", -1.0, likeliest, 4),
    ]
    assert heard.requests[0].want.top == 2
    assert [delta.logprobs for delta in heard.deltas] == [found[:1], found[1:]]
    assert heard.answer.choices[0].logprobs == found


def test_logprobs_without_alternatives_are_reported_only_where_they_are_wanted() -> None:
    def completion(**params) -> Completion:
        operation = generate(MODEL, prompts("The"), GenerationParams(SAMPLING, **params))
        return run_by_hand(operation, ended).answer.choices[0]

    assert completion().logprobs is None
    assert [(each.token, each.top) for each in completion(logprobs=0).logprobs] == [
        (" cat", []),
        (" sat", []),
    ]


def test_biases_and_allowed_tokens_reach_every_request_and_the_unknown_word_is_banned() -> None:
    params = GenerationParams(SAMPLING, n=2, logit_bias={" cat": -5.0}, allowed=[" sat"])
    heard = run_by_hand(generate(MODEL, prompts("The"), params), ended)
    cat, sat = CAT_SAT
    for request in heard.requests:
        assert request.sampling.logit_bias == ((cat, -5.0), (TOKENIZER.unk_id, -math.inf))
        assert int(request.sampling.allowed[0]) == 1 << sat | 1 << TOKENIZER.eos_id


def test_a_bias_of_what_is_no_token_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(InvalidParameterError, match="not one token"):
        next(generate(MODEL, prompts("The"), GenerationParams(logit_bias={"zebra": 1.0})))


def test_a_search_is_one_request_a_prompt_and_keeps_the_best_n() -> None:
    cat, sat = CAT_SAT
    found = Searched([hypothesis([cat]), hypothesis([sat]), hypothesis([cat, cat])])
    params = GenerationParams(SAMPLING, n=2, num_beams=3, length_penalty=0.5)
    heard = run_by_hand(generate(MODEL, prompts("The", "The old"), params, 7), lambda _: found)
    assert [request.purpose for request in heard.requests] == [Purpose.BRANCH] * 2
    assert {request.beams for request in heard.requests} == {BeamParams(3, 0.5)}
    assert not any(request.is_streamed for request in heard.requests)
    texts = [(each.index, each.text) for each in heard.answer.choices]
    assert texts == [(0, " cat"), (1, " sat"), (2, " cat"), (3, " sat")]
    assert heard.answer.usage == Usage(3, 4, 7)
    assert heard.deltas == []


def test_a_search_ends_each_text_before_its_stop_string_and_reads_it_again_for_its_state() -> None:
    cat, sat = CAT_SAT
    found = Searched(
        [hypothesis([cat, sat, cat], state=state(1)), hypothesis([cat, cat], state=state(2))]
    )
    params = GenerationParams(SAMPLING, n=2, num_beams=2, stop=[" sat"], return_state=True)
    heard = run_by_hand(generate(MODEL, prompts("The"), params), replies(found, read_state(3)))
    first, second = heard.answer.choices
    assert (first.text, first.finish_reason, first.state) == (" cat", "stop", state(3))
    assert (second.text, second.finish_reason, second.state) == (" cat cat", "length", state(2))
    assert [*heard.requests[1].token_ids] == [*TOKENIZER.encode("The").ids, cat, sat]


def test_a_search_reports_the_logprobs_of_what_it_found() -> None:
    cat, _ = CAT_SAT
    found = Searched([hypothesis([cat], top=[[(cat, -1.0)]])] * 2)
    params = GenerationParams(SAMPLING, num_beams=2, logprobs=1)
    heard = run_by_hand(generate(MODEL, prompts("The"), params), lambda _: found)
    assert heard.answer.choices[0].logprobs == [
        TokenLogprob(" cat", -1.0, [TokenAlternative(" cat", -1.0)], 0)
    ]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"n": 3, "num_beams": 2}, "num_beams"),
        ({"sampling": SamplingParams(max_tokens=0), "num_beams": 2}, "max_tokens"),
        ({"n": 3, "best_of": 2}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused_by_name(params, param) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        GenerationParams(**params)
    assert refused.value.param == param


def test_parameters_that_do_go_together_are_taken() -> None:
    assert GenerationParams(n=2, best_of=2, stream=True).num_tried == 2
    assert GenerationParams(n=2, best_of=5).num_tried == 5
    assert GenerationParams(n=2, num_beams=4).num_tried == 2
    assert GenerationParams(SamplingParams(max_tokens=0)).num_tried == 1


@pytest.mark.parametrize(
    "name", ["temperature", "top_k", "top_p", "min_p", "typical_p", "best_of", "stream"]
)
def test_a_search_refuses_what_draws_by_chance(name) -> None:
    check_search(["prompt", name], num_beams=1)
    with pytest.raises(InvalidParameterError, match=f"leave {name} out") as refused:
        check_search(["prompt", name], num_beams=2)
    assert refused.value.param == name


def test_a_length_penalty_without_a_search_is_refused() -> None:
    check_search(["length_penalty"], num_beams=2)
    with pytest.raises(InvalidParameterError, match="num_beams > 1") as refused:
        check_search(["length_penalty"], num_beams=1)
    assert refused.value.param == "length_penalty"


def test_parameters_are_a_body_of_the_route_without_what_is_usual() -> None:
    assert GenerationParams().as_json() == {"temperature": 0.0}
    sampling = SamplingParams(max_tokens=3, typical_p=0.5, ignore_eos=True, seed=9)
    params = GenerationParams(
        sampling,
        n=2,
        best_of=3,
        stop=["."],
        logit_bias={" cat": -1.0},
        allowed=[" cat"],
        logprobs=0,
    )
    assert params.as_json() == {
        "max_tokens": 3,
        "typical_p": 0.5,
        "ignore_eos": True,
        "n": 2,
        "best_of": 3,
        "stop": ["."],
        "logit_bias": {" cat": -1.0},
        "allowed": [" cat"],
        "logprobs": 0,
    }


def test_reading_a_prompt_back_reports_each_token_after_those_before_it() -> None:
    prompt = read_prompt(TOKENIZER, "The cat sat")
    cat = TOKENIZER.id_of(" cat")
    top = [[(cat, -0.5)]] * 3
    found = scores(-3.0, -2.0, -1.0, top=top, state=state(4))
    heard = run_by_hand(read_back(MODEL, prompt, 1), replies(found))
    (request,) = heard.requests
    assert request.purpose is Purpose.SCORE
    assert (request.want.top, request.want.state) == (1, True)
    tokens, left = heard.answer
    likeliest = [TokenAlternative(" cat", -0.5)]
    assert tokens == [
        TokenLogprob("The", None, [], 0),
        TokenLogprob(" cat", -2.0, likeliest, 3),
        TokenLogprob(" sat", -1.0, likeliest, 7),
    ]
    assert (left.ids, left.start) == ([], state(4))


def test_reading_back_from_a_boundary_that_was_given_gives_the_first_token_its_own() -> None:
    prompt = read_prompt(TOKENIZER, "<eos>The cat", with_names=True)
    found = scores(-3.0, -2.0, state=state(4))
    tokens, _ = run_by_hand(read_back(MODEL, prompt, 0), replies(found)).answer
    assert [(each.token, each.logprob) for each in tokens] == [
        ("<eos>", None),
        ("The", -3.0),
        (" cat", -2.0),
    ]


def test_reading_nothing_back_asks_nothing() -> None:
    heard = run_by_hand(read_back(MODEL, read_prompt(TOKENIZER, ""), 2), replies())
    assert heard.answer == ([], read_prompt(TOKENIZER, ""))
    named = read_prompt(TOKENIZER, [TOKENIZER.eos_id])
    tokens, left = run_by_hand(read_back(MODEL, named, 2), replies()).answer
    assert [each.token for each in tokens] == ["<eos>"]
    assert left is named


@pytest.mark.parametrize(
    "wanted",
    [
        {"n": 0},
        {"n": 129},
        {"best_of": 0},
        {"num_beams": 0},
        {"num_beams": 2, "length_penalty": float("nan")},
        {"logprobs": -1},
        {"stop": ("",)},
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_name(wanted) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        GenerationParams(**wanted)
    assert refused.value.param == list(wanted)[-1]
