"""What may come next: what is asked for it, and the figures against sums over the whole distribution."""

import math

import numpy as np
import pytest

from refrain.inference.drivers.blocking import BlockingDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.request import Predicted, Request, Scored
from refrain.inference.loading import load_engine
from refrain.inference.operation import predicted, scored
from refrain.inference.operations.candidates import Prediction
from refrain.inference.operations.next_token import (
    MAX_CANDIDATE,
    MAX_TOP,
    NextQuery,
    NextToken,
    predict_next,
)
from refrain.inference.operations.prompt import read_prompt
from refrain.models.checkpoint import load_checkpoint
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.cache_view import CacheView
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want
from tests.support.by_hand import prediction, replies, run_by_hand, scores, state, text_model
from tests.support.reference import log_probs_after

MODEL = text_model()
TOKENIZER = MODEL.tokenizer
SIZE = TOKENIZER.vocab_size
CAT, SAT = TOKENIZER.encode(" cat sat").ids
THE = read_prompt(TOKENIZER, "The")


def distribution(seed: int = 0) -> np.ndarray:
    """Log-probabilities of every token, no two alike."""
    return np.log(np.random.default_rng(seed).dirichlet(np.ones(SIZE))).astype(np.float32)


def cache(weight: float = 0.4) -> CacheView:
    return CacheView(np.zeros((4, 8), np.uint8), np.zeros(4, np.int32), 0, 2, 0.3, weight)


def ask(query: NextQuery, *results, prompt=THE, view=None) -> tuple[NextToken, list[Request]]:
    heard = run_by_hand(predict_next(MODEL, prompt, query, view), replies(*results))
    return heard.answer, heard.requests


def test_only_the_likeliest_are_asked_for_where_nothing_else_is_wanted() -> None:
    top = [(CAT, -0.5), (TOKENIZER.unk_id, -0.75), (SAT, -1.0), (TOKENIZER.eos_id, -2.0)]
    answer, (request,) = ask(NextQuery(top_k=3), Predicted(None, 1.25, top))
    assert request == Request(
        Purpose.PREDICT, THE.ids, None, want=Want(top=4, distribution=False, state=False)
    )
    assert answer == NextToken(
        [
            Prediction(" cat", pytest.approx(math.exp(-0.5)), -0.5),
            Prediction(" sat", pytest.approx(math.exp(-1.0)), -1.0),
            Prediction("<eos>", pytest.approx(math.exp(-2.0)), -2.0),
        ],
        1.25,
    )


def test_the_one_more_that_is_asked_for_is_left_out_where_no_unknown_word_is_among_them() -> None:
    top = [(CAT, -0.5), (SAT, -1.0)]
    answer, _ = ask(NextQuery(top_k=1), Predicted(None, 1.0, top))
    assert [each.token for each in answer.predictions] == [" cat"]
    nothing, _ = ask(NextQuery(top_k=0), Predicted(None, 1.0, top[:1]))
    assert nothing.predictions == []


@pytest.mark.parametrize("top_k", [MAX_TOP + 1, 1_000_000])
def test_every_token_is_put_in_order_where_more_are_wanted_than_the_engine_orders(top_k) -> None:
    log_probs = distribution()
    answer, (request,) = ask(NextQuery(top_k=top_k), prediction(log_probs))
    assert request.want == Want(top=0, distribution=True)
    found = [each.logprob for each in answer.predictions]
    assert found == sorted(log_probs.tolist(), reverse=True)
    assert sum(each.probability for each in answer.predictions) == pytest.approx(1, abs=1e-5)


def test_the_state_comes_along_only_where_it_is_wanted() -> None:
    found = Predicted(None, 1.0, [(CAT, -0.5)], state(4))
    assert ask(NextQuery(), found)[0].state is None
    answer, (request,) = ask(NextQuery(return_state=True), found)
    assert request.want.state
    assert answer.state == state(4)
    assert "state" not in answer.as_json()


def test_a_prefix_goes_on_from_its_state() -> None:
    prompt = read_prompt(TOKENIZER, " cat", state(2))
    _, (request,) = ask(NextQuery(), Predicted(None, 1.0, [(CAT, -0.5)]), prompt=prompt)
    assert (request.token_ids, request.start) == ([CAT], state(2))


def test_typed_letters_leave_the_words_that_begin_with_them_likeliest_first() -> None:
    log_probs = distribution()
    answer, (request,) = ask(NextQuery(top_k=3, starts_with="s"), prediction(log_probs))
    assert request.want == Want(top=0, distribution=True)
    words = {
        TOKENIZER.surface(i): log_probs[i]
        for i in range(SIZE)
        if TOKENIZER.surface(i).lstrip(" ").startswith("s")
    }
    expected = sorted(words, key=lambda word: -words[word])[:3]
    assert [each.token for each in answer.predictions] == expected
    assert [each.logprob for each in answer.predictions] == [float(words[w]) for w in expected]
    none, _ = ask(NextQuery(starts_with="xyz"), prediction(log_probs))
    assert none.predictions == []


def test_equally_likely_words_come_by_their_ids() -> None:
    even = np.full(SIZE, -math.log(SIZE), np.float32)
    answer, _ = ask(NextQuery(top_k=5, starts_with="s"), prediction(even))
    ids = [TOKENIZER.id_of(each.token) for each in answer.predictions]
    assert ids == sorted(ids)


def test_a_candidate_of_one_token_is_read_off_the_distribution_and_scored_no_more() -> None:
    log_probs = distribution()
    found = prediction(log_probs, top=[(CAT, -0.5)])
    answer, (request,) = ask(NextQuery(top_k=1, candidates=["cat"]), found)
    assert request.want == Want(top=2, distribution=True, state=False)
    (candidate,) = answer.candidates
    assert candidate.logprob == float(log_probs[CAT])
    assert candidate.probability == pytest.approx(math.exp(log_probs[CAT]))
    assert not candidate.unknown


def test_a_candidate_of_several_tokens_is_scored_after_its_first_by_the_chain_rule() -> None:
    log_probs = distribution()
    found = prediction(log_probs, state=state(4))
    query = NextQuery(top_k=0, candidates=["cat sat", "cat"])
    # What the score says of the first token is not taken: the distribution has it.
    answer, (first, second) = ask(query, found, scores(-99.0, -2.0))
    assert first.want.state
    assert second == Request(Purpose.SCORE, [CAT, SAT], state(4))
    several, one = answer.candidates
    assert several.logprob == pytest.approx(float(log_probs[CAT]) - 2.0)
    assert one.logprob == pytest.approx(float(log_probs[CAT]))
    assert answer.state is None


def test_candidates_are_scored_side_by_side() -> None:
    query = NextQuery(top_k=0, candidates=["cat sat", "sat cat"])
    operation = predict_next(MODEL, THE, query)
    next(operation)
    gathered = operation.send(prediction(distribution(), state=state(4)))
    asked = [next(each) for each in gathered.operations]
    assert [request.token_ids for request in asked] == [[CAT, SAT], [SAT, CAT]]


def test_a_sign_stands_there_with_or_without_a_space_as_is_likelier() -> None:
    tokenizer_model = text_model(text="A lovely day! A lovely day !")
    tokenizer = tokenizer_model.tokenizer
    near, apart = tokenizer.id_of("!"), tokenizer.id_of(" !")
    assert near != apart
    prompt = read_prompt(tokenizer, "A lovely day")
    log_probs = np.log(np.full(tokenizer.vocab_size, 0.01, np.float32))
    for likelier in (near, apart):
        found = log_probs.copy()
        found[likelier] = -0.25
        operation = predict_next(tokenizer_model, prompt, NextQuery(candidates=["!"]))
        (candidate,) = run_by_hand(operation, replies(prediction(found))).answer.candidates
        assert candidate == Prediction("!", pytest.approx(math.exp(-0.25)), -0.25)


def test_a_word_at_the_beginning_of_a_text_has_no_space_and_one_inside_has() -> None:
    log_probs = distribution()
    for prefix, token_id in (("", TOKENIZER.id_of("The")), (" ", TOKENIZER.encode(" The").ids[0])):
        prompt = read_prompt(TOKENIZER, prefix)
        answer, _ = ask(NextQuery(candidates=["The"]), prediction(log_probs), prompt=prompt)
        assert answer.candidates[0].logprob == float(log_probs[token_id])


def test_a_candidate_that_the_vocabulary_lacks_is_marked() -> None:
    log_probs = distribution()
    answer, _ = ask(NextQuery(candidates=["zebra", "cat"]), prediction(log_probs))
    unknown, known = answer.candidates
    assert unknown.unknown
    assert unknown.logprob == float(log_probs[TOKENIZER.unk_id])
    assert unknown.as_json()["unknown"] is True
    assert "unknown" not in known.as_json()


@pytest.mark.parametrize(
    ("query", "match"),
    [
        ({"candidates": ["cat", ""]}, "empty"),
        ({"candidates": [""], "normalize": "candidates"}, "empty"),
        ({"candidates": ["zebra"], "normalize": "candidates"}, "not in the vocabulary"),
        ({"candidates": ["cat sat"], "normalize": "candidates"}, "more than one token"),
    ],
)
def test_candidates_that_make_no_sense_are_refused_before_anything_is_asked(query, match) -> None:
    with pytest.raises(InvalidParameterError, match=match) as refused:
        next(predict_next(MODEL, THE, NextQuery(**query)))
    assert refused.value.param == "candidates"


def test_a_query_of_nothing_to_compare_or_of_a_long_candidate_is_none() -> None:
    with pytest.raises(InvalidParameterError, match="needs candidates") as refused:
        NextQuery(normalize="candidates")
    assert refused.value.param == "candidates"
    assert NextQuery(candidates=["x" * MAX_CANDIDATE])
    with pytest.raises(InvalidParameterError, match="1,001 characters; the limit is 1,000"):
        NextQuery(candidates=["cat", "x" * (MAX_CANDIDATE + 1)])


def test_no_candidates_are_an_answer_of_none_and_not_a_question_without() -> None:
    found = prediction(distribution(), top=[(CAT, -0.5)])
    answer, (request,) = ask(NextQuery(candidates=[]), found)
    assert answer.candidates == []
    assert request.want.distribution
    assert ask(NextQuery(), found)[0].candidates is None


def test_candidates_among_themselves_are_all_that_the_engine_computes() -> None:
    among = np.log(np.array([0.25, 0.75], np.float32))
    query = NextQuery(candidates=["sat", "cat"], normalize="candidates")
    answer, (request,) = ask(query, Predicted(among, 0.0, []))
    assert [*request.candidates] == sorted([CAT, SAT])
    assert not request.want.top
    by_token = dict(zip(sorted([CAT, SAT]), (0.25, 0.75), strict=True))
    assert [each.probability for each in answer.candidates] == pytest.approx(
        [by_token[SAT], by_token[CAT]]
    )
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert answer.entropy == pytest.approx(expected, rel=1e-6)
    assert answer.predictions == []


def test_with_a_cache_candidates_are_compared_within_the_blend_of_every_token() -> None:
    log_probs, view = distribution(), cache()
    query = NextQuery(candidates=["sat", "cat"], normalize="candidates")
    answer, (request,) = ask(query, prediction(log_probs), view=view)
    assert [*request.candidates] == []
    assert request.cache is view
    both = np.exp(log_probs[[SAT, CAT]].astype(float))
    assert [each.probability for each in answer.candidates] == pytest.approx(
        (both / both.sum()).tolist(), rel=1e-5
    )


def test_one_candidate_alone_is_certain() -> None:
    query = NextQuery(candidates=["cat"], normalize="candidates")
    answer, _ = ask(query, Predicted(np.zeros(1, np.float32), 0.0, []))
    assert answer.entropy == 0
    assert answer.candidates == [Prediction("cat", 1.0, 0.0)]


def test_a_cache_has_its_share_of_every_token_of_a_candidate() -> None:
    log_probs, view = distribution(), cache(weight=0.4)
    score = Scored([-9.0, -2.0], [], cache_probs=np.array([0.9, 0.25], np.float32))
    query = NextQuery(candidates=["cat sat"])
    found = prediction(log_probs, state=state(4))
    answer, (first, second) = ask(query, found, score, view=view)
    assert first.cache is second.cache is view
    expected = float(log_probs[CAT]) + math.log(0.6 * math.exp(-2.0) + 0.4 * 0.25)
    assert answer.candidates[0].logprob == pytest.approx(expected, rel=1e-6)


def test_a_cache_without_weight_leaves_the_models_own_figures() -> None:
    score = Scored([-9.0, -2.0], [], cache_probs=np.array([0.9, 0.25], np.float32))
    query = NextQuery(candidates=["cat sat"])
    log_probs = distribution()
    found = prediction(log_probs, state=state(4))
    answer, _ = ask(query, found, score, view=cache(weight=0.0))
    assert answer.candidates[0].logprob == pytest.approx(float(log_probs[CAT]) - 2.0)


def test_a_query_is_a_body_of_the_route_without_what_is_usual() -> None:
    assert NextQuery().as_json() == {}
    query = NextQuery(top_k=3, candidates=["a", "b"], normalize="candidates", return_state=True)
    assert query.as_json() == {
        "top_k": 3,
        "candidates": ["a", "b"],
        "normalize": "candidates",
        "return_state": True,
    }


@pytest.mark.parametrize("name", ["english", "counts"])
def test_the_figures_are_those_of_the_network_itself(checkpoints, name) -> None:
    checkpoint = load_checkpoint(checkpoints / name)
    model, engine = load_engine(checkpoint, EngineConfig(max_slots=4), "fp32")
    driver, tokenizer = BlockingDriver(engine), checkpoint.tokenizer
    prompt = read_prompt(tokenizer, "The old")
    query = NextQuery(top_k=4, candidates=["cat", "cat sat", "zebra"])
    found = driver.run(predict_next(model, prompt, query))
    log_probs = log_probs_after(checkpoint, prompt.ids)
    assert found.entropy == pytest.approx(-(log_probs.exp() * log_probs).sum().item(), rel=1e-4)
    known = sorted(
        ((value, token_id) for token_id, value in enumerate(log_probs.tolist()) if token_id),
        key=lambda pair: (-round(pair[0], 6), pair[1]),
    )
    assert [each.logprob for each in found.predictions] == pytest.approx(
        [value for value, _ in known[:4]], abs=1e-4
    )
    (cat, sat), unk = tokenizer.encode(" cat sat").ids, tokenizer.unk_id
    after_cat = log_probs_after(checkpoint, [*prompt.ids, cat])
    expected = [log_probs[cat], log_probs[cat] + after_cat[sat], log_probs[unk]]
    assert [each.logprob for each in found.candidates] == pytest.approx(
        [each.item() for each in expected], abs=1e-4
    )
    among = NextQuery(candidates=["cat", "sat"], normalize="candidates")
    compared = driver.run(predict_next(model, prompt, among))
    share = log_probs[[cat, sat]].softmax(0)
    assert [each.probability for each in compared.candidates] == pytest.approx(
        share.tolist(), rel=1e-3
    )
    assert compared.entropy == pytest.approx(-(share * share.log()).sum().item(), rel=1e-3)


def shares(view: CacheView, hidden: np.ndarray, more: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Equation 3 of Grave et al. 2016 over a cache and some entries more, in float64."""
    entries = [(view.keys[n], int(view.values[n])) for n in range(view.num_entries)] + more
    keys = (np.array([key for key, _ in entries], float) - 128) / 127
    products = view.inverse_temperature * keys @ ((hidden.astype(float) - 128) / 127)
    weights = np.exp(products - products.max())
    found = np.zeros(SIZE)
    np.add.at(found, [value for _, value in entries], weights / weights.sum())
    return found


def test_a_blend_with_a_cache_is_the_models_distribution_and_the_entries_written_out(
    checkpoints,
) -> None:
    model, engine = load_engine(load_checkpoint(checkpoints / "english"), EngineConfig(), "int8")
    driver = BlockingDriver(engine)
    before = model.tokenizer.encode("The cat sat. The cat sat on the mat. The cat").ids
    neural = model.new_cache()
    read = driver.run(
        scored(Request(Purpose.SCORE, before, want=Want(state=True), cache=neural.view()))
    )
    neural.append(read.hidden, before, read.logprobs, read.cache_probs)
    view, prompt = neural.view(), read_prompt(model.tokenizer, "", read.state)
    query = NextQuery(top_k=1_000, candidates=["sat on", "sat"])
    found = driver.run(predict_next(model, prompt, query, view))

    def plain(ids) -> np.ndarray:
        request = Request(Purpose.PREDICT, [*before, *ids])
        return np.exp(driver.run(predicted(request)).log_probs.astype(float))

    sat, on = model.tokenizer.encode(" sat on").ids
    ids = [*before, sat, on]
    hidden = driver.run(scored(Request(Purpose.SCORE, ids, want=Want(hidden=True)))).hidden
    first, second = len(before), len(before) + 1
    expected = (1 - view.weight) * plain([]) + view.weight * shares(view, hidden[first], [])
    assert view.weight > 0
    found_by_token = {each.token: each.probability for each in found.predictions}
    by_surface = {model.tokenizer.surface(i): expected[i] for i in range(SIZE)}
    assert found_by_token == pytest.approx(by_surface, rel=1e-4)
    assert found.entropy == pytest.approx(-(expected * np.log(expected)).sum(), rel=1e-4)
    cached = shares(view, hidden[second], [(hidden[first], sat)])[on]
    then = (1 - view.weight) * plain([sat])[on] + view.weight * cached
    two, one = found.candidates
    assert one.probability == pytest.approx(expected[sat], rel=1e-4)
    assert two.probability == pytest.approx(expected[sat] * then, rel=1e-4)


@pytest.mark.parametrize("top_k", [-1, 1_000_001])
def test_a_number_of_predictions_out_of_bounds_is_refused(top_k) -> None:
    with pytest.raises(InvalidParameterError, match="top_k must be at least 0 and at most 1,000,"):
        NextQuery(top_k=top_k)
