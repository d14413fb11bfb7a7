"""A language model in one's own process: every question of it, against torch and against itself."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from refrain.inference.drivers.blocking import BlockingDriver
from refrain.inference.engine.request import TextState
from refrain.inference.errors import EndedTextError, WrongTaskError
from refrain.inference.local import LocalModel
from refrain.inference.operation import Delta
from refrain.inference.operations import scoring
from refrain.inference.operations.generation import (
    Completion,
    Generation,
    GenerationParams,
    seed_of,
)
from refrain.inference.operations.next_token import NextQuery
from refrain.inference.operations.rescoring import Hypothesis, RescoringParams
from refrain.inference.operations.scoring import ScoreParams
from refrain.models.errors import CheckpointError, InvalidParameterError
from refrain.models.native.step.sampling import GREEDY, SamplingParams
from refrain.models.text import pieces
from tests.support.reference import hidden_and_log_probs, log_probs_after, target_log_probs

PREFIXES = ["The", "The old cat", "", "The cat sat on the mat. A lovely", "zebra"]
DRAWN = SamplingParams(seed=3, max_tokens=12, ignore_eos=True)


@pytest.fixture(scope="module")
def english(checkpoints) -> LocalModel:
    """The model of words, in int8."""
    return LocalModel(checkpoints / "english", precision="int8")


@pytest.fixture(scope="module")
def exact(checkpoints) -> LocalModel:
    """The model of words, in float32."""
    return LocalModel(checkpoints / "english", precision="fp32")


def ids_of(model: LocalModel, completion: Completion) -> list[int]:
    """The tokens of a text whose log-probabilities were reported."""
    ids = {model.tokenizer.surface(i): i for i in range(model.tokenizer.vocab_size)}
    return [ids[each.token] for each in completion.logprobs]


def generation_of(deltas) -> tuple[list[Delta], Generation]:
    """Read a stream to its end."""
    heard: list[Delta] = []
    while True:
        try:
            heard.append(next(deltas))
        except StopIteration as end:
            return heard, end.value


def chosen_by_hand(model: LocalModel, prompt: str, num_tokens: int, choose) -> str:
    """Write a text token by token from what torch alone predicts, where `<unk>` cannot be."""
    ids = model.tokenizer.encode(prompt).ids
    num_given = len(ids)
    for _ in range(num_tokens):
        log_probs = log_probs_after(model.checkpoint, ids)
        log_probs[[model.tokenizer.unk_id, model.tokenizer.eos_id]] = -math.inf
        ids.append(choose(log_probs.log_softmax(-1)))
    return model.tokenizer.decode(ids[num_given:])


def test_without_chance_the_likeliest_token_is_written_each_time(exact) -> None:
    params = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True)
    expected = chosen_by_hand(exact, "The old", 8, lambda row: int(row.argmax()))
    assert exact.generate("The old", params) == expected
    assert exact.generate("The old") == exact.generate("The old", GREEDY)


def test_typical_sampling_takes_the_token_whose_surprise_is_nearest_to_the_expected(exact) -> None:
    def most_typical(row: torch.Tensor) -> int:
        known = row.isfinite()
        entropy = -(row[known].exp() * row[known]).sum()
        return int((-row - entropy).abs().nan_to_num(math.inf).argmin())

    params = SamplingParams(typical_p=1e-6, max_tokens=8, ignore_eos=True, seed=4)
    found = exact.generate("The old", params)
    assert found == chosen_by_hand(exact, "The old", 8, most_typical)
    assert found != exact.generate("The old", SamplingParams(temperature=0, max_tokens=8))
    whole = SamplingParams(typical_p=1.0, max_tokens=8, ignore_eos=True, seed=4)
    assert exact.generate("The old", whole) == exact.generate(
        "The old", SamplingParams(max_tokens=8, ignore_eos=True, seed=4)
    )


def test_the_same_seed_gives_the_same_text_whoever_is_served_beside_it(english) -> None:
    alone = [english.generate(prefix, DRAWN) for prefix in PREFIXES]
    together = english.generate_all(PREFIXES, GenerationParams(DRAWN))
    assert [each.choices[0].text for each in together] == alone
    assert len(set(alone)) > 1


@pytest.mark.parametrize("limits", [{"num_threads": 2}, {"max_slots": 1}, {"max_slots": 3}])
def test_threads_and_slots_change_no_answer(checkpoints, english, limits) -> None:
    other = LocalModel(checkpoints / "english", precision="int8", **limits)
    assert [*other.score_all(PREFIXES)] == [*english.score_all(PREFIXES)]
    params = GenerationParams(DRAWN, n=3)
    assert [*other.generate_all(PREFIXES, params)] == [*english.generate_all(PREFIXES, params)]


def test_every_prompt_may_have_a_seed_of_its_own(english) -> None:
    params = GenerationParams(DRAWN)
    found = [*english.generate_all(["The"] * 3, params, seeds=[5, 6, 5])]
    assert [each.seed for each in found] == [5, 6, 5]
    first, second, again = (each.choices[0].text for each in found)
    assert first == again != second
    shared = [each.seed for each in english.generate_all(["The"] * 3, params)]
    assert shared == [DRAWN.seed] * 3


def test_several_texts_of_a_prompt_are_those_of_their_seeds(english) -> None:
    (found,) = english.generate_all(["The"], GenerationParams(DRAWN, n=4))
    texts = [
        english.generate(
            "The", SamplingParams(seed=seed_of(3, n) if n else 3, max_tokens=12, ignore_eos=True)
        )
        for n in range(4)
    ]
    assert [each.text for each in found.choices] == texts
    assert [each.index for each in found.choices] == [0, 1, 2, 3]


def test_the_best_of_several_are_the_likeliest_of_those_that_are_drawn_without(exact) -> None:
    (drawn,) = exact.generate_all(["The"], GenerationParams(DRAWN, n=6, logprobs=0))
    (best,) = exact.generate_all(["The"], GenerationParams(DRAWN, n=2, best_of=6, logprobs=0))
    before = exact.tokenizer.encode("The").ids

    def mean(completion: Completion) -> float:
        ids = ids_of(exact, completion)
        return float(np.mean(target_log_probs(exact.checkpoint, [*before, *ids])[len(before) :]))

    ranked = sorted(drawn.choices, key=mean, reverse=True)
    assert [each.text for each in best.choices] == [each.text for each in ranked[:2]]
    assert [each.mean_logprob for each in best.choices] == pytest.approx(
        [mean(each) for each in ranked[:2]], abs=1e-4
    )
    assert best.usage == drawn.usage


def test_logprobs_are_the_models_own_with_the_likeliest_beside_them(exact) -> None:
    params = GenerationParams(
        SamplingParams(seed=3, max_tokens=6, ignore_eos=True, temperature=3.0, top_k=5), logprobs=3
    )
    (found,) = exact.generate_all(["The old"], params)
    (choice,) = found.choices
    before = exact.tokenizer.encode("The old").ids
    ids = ids_of(exact, choice)
    rows = hidden_and_log_probs(exact.checkpoint, [*before, *ids])[1][len(before) :]
    assert len(ids) == 6
    for place, (token_id, each) in enumerate(zip(ids, choice.logprobs, strict=True)):
        likeliest = rows[place].sort(descending=True)
        assert each.logprob == pytest.approx(rows[place, token_id].item(), abs=1e-4)
        assert [top.logprob for top in each.top] == pytest.approx(
            likeliest.values[:3].tolist(), abs=1e-4
        )
        surfaces = [exact.tokenizer.surface(int(i)) for i in likeliest.indices[:3]]
        assert [top.token for top in each.top] == surfaces
        assert choice.text[each.offset :].startswith(each.token)


def test_only_allowed_tokens_are_written(english) -> None:
    params = GenerationParams(DRAWN, allowed=[" cat", " sat", "."])
    (found,) = english.generate_all(["The"], params)
    words = found.choices[0].text.replace(".", " .").split()
    assert set(words) <= {"cat", "sat", "."}
    assert len(words) == 12


def test_a_bias_by_text_bans_a_word_or_makes_it_sure(english) -> None:
    plain = english.generate("The", DRAWN)
    word = plain.split()[0]
    (banned,) = english.generate_all(
        ["The"], GenerationParams(DRAWN, logit_bias={f" {word}": -1e9})
    )
    assert word not in banned.choices[0].text.split()
    (sure,) = english.generate_all(["The"], GenerationParams(DRAWN, logit_bias={" mat": 1e6}))
    assert sure.choices[0].text == " mat" * 12


def test_a_bias_of_what_is_no_token_is_refused(english) -> None:
    with pytest.raises(InvalidParameterError, match="not one token") as refused:
        next(english.generate_all(["The"], GenerationParams(logit_bias={" mat cat": 1.0})))
    assert refused.value.param == "logit_bias"


def test_a_stream_is_the_text_piece_by_piece_and_returns_the_whole(english) -> None:
    params = GenerationParams(DRAWN, logprobs=0)
    deltas, generation = generation_of(english.stream("The", params))
    assert "".join(delta.text for delta in deltas) == english.generate("The", DRAWN)
    assert len(deltas) >= 12
    assert [delta.finish_reason for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    (whole,) = english.generate_all(["The"], GenerationParams(DRAWN, logprobs=0))
    assert generation == whole
    assert [each for delta in deltas for each in delta.logprobs] == whole.choices[0].logprobs


@pytest.mark.parametrize("wanted", [{"num_beams": 2}, {"best_of": 2}])
def test_what_is_known_only_at_the_end_does_not_stream(english, wanted) -> None:
    with pytest.raises(InvalidParameterError, match="known only at the end"):
        english.stream("The", GenerationParams(DRAWN, **wanted))


def test_a_stream_of_several_texts_tells_them_apart_by_their_index(english) -> None:
    params = GenerationParams(DRAWN, n=3, stream=True)
    deltas, generation = generation_of(english.stream("The", params))
    texts = ["", "", ""]
    for delta in deltas:
        texts[delta.index] += delta.text
    assert texts == [each.text for each in generation.choices]
    assert len(set(texts)) == 3


def test_a_stream_goes_on_from_a_state(english) -> None:
    state = english.read(english.tokenizer.encode("The old").ids)
    params = GenerationParams(DRAWN, stream=True)
    deltas, _ = generation_of(english.stream("", params, state))
    assert "".join(delta.text for delta in deltas) == english.generate("The old", DRAWN)


def test_a_stop_string_ends_a_text_and_is_no_part_of_it(english) -> None:
    params = SamplingParams(seed=1, max_tokens=200, ignore_eos=True)
    whole = english.generate("The", params)
    stop = whole[20:23]
    options = GenerationParams(params, stop=[stop], stream=True)
    deltas, writing = generation_of(english.stream("The", options))
    heard = "".join(delta.text for delta in deltas)
    assert writing.choices[0].text == heard == whole[: whole.index(stop)]
    assert writing.choices[0].finish_reason == "stop"
    assert writing.usage.completion_tokens < 200


def test_a_text_that_was_cut_goes_on_right_after_its_stop_string(english) -> None:
    params = GenerationParams(
        DRAWN, stop=[" cat"], logit_bias={" cat": 3.0}, logprobs=0, return_state=True
    )
    (found,) = english.generate_all(["The"], params)
    (choice,) = found.choices
    assert choice.finish_reason == "stop"
    ids = ids_of(english, choice)
    assert english.tokenizer.surface(ids[-1]) == " cat"
    expected = english.predict([*english.tokenizer.encode("The").ids, *ids])
    asked = english.predict([], choice.state)
    assert asked.log_probs.tobytes() == expected.log_probs.tobytes()


def test_a_search_finds_a_text_at_least_as_likely_as_taking_the_likeliest_token(exact) -> None:
    greedy = GenerationParams(SamplingParams(max_tokens=6, temperature=0), logprobs=0)
    beams = GenerationParams(
        SamplingParams(max_tokens=6), n=2, num_beams=8, length_penalty=0.0, logprobs=0
    )
    (one,), (found,) = exact.generate_all(["The"], greedy), exact.generate_all(["The"], beams)

    def total(completion: Completion) -> float:
        return math.fsum(each.logprob for each in completion.logprobs)

    first, second = found.choices
    assert total(first) >= total(one.choices[0]) - 1e-5
    assert total(first) >= total(second)
    ids = ids_of(exact, first)
    before = exact.tokenizer.encode("The").ids
    expected = target_log_probs(exact.checkpoint, [*before, *ids])[len(before) :]
    assert [each.logprob for each in first.logprobs] == pytest.approx(expected, abs=1e-4)


def test_a_search_that_cannot_find_what_is_wanted_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="less than n 3"):
        GenerationParams(SamplingParams(), n=3, num_beams=2)


@pytest.mark.parametrize("prefix", ["The cat ", "The cat\n", "The  cat", ""])
def test_an_unknown_word_is_never_written(english, prefix) -> None:
    for seed in range(20):
        written = english.generate(prefix, SamplingParams(seed=seed, max_tokens=30))
        assert "<unk>" not in written


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_text_goes_on_from_its_state_as_if_never_cut(checkpoints, precision) -> None:
    model = LocalModel(checkpoints / "english", precision=precision)
    whole = model.score("The old cat sat on the mat.")
    first = model.score("The old cat")
    second = model.score(" sat on the mat.", first.state)
    found = [each.logprob for each in (*first.tokens, *second.tokens)]
    assert found == [each.logprob for each in whole.tokens]
    assert second.state == whole.state
    params = SamplingParams(seed=8, max_tokens=9)
    assert model.generate("", params, first.state) == model.generate("The old cat", params)


def test_a_score_is_that_of_the_network_itself(exact) -> None:
    text = "The old cat sat on the zebra."
    found = exact.score(text)
    expected = target_log_probs(exact.checkpoint, exact.tokenizer.encode(text).ids)
    assert [each.logprob for each in found.tokens] == pytest.approx(expected, abs=1e-4)
    assert "".join(each.token for each in found.tokens) == text
    assert [each.token for each in found.tokens if each.unknown] == [" zebra"]
    assert found.perplexity == pytest.approx(math.exp(-np.mean(expected)), rel=1e-4)
    assert exact.score("").num_tokens == 0


def test_a_text_of_many_strides_scores_as_in_one(english, monkeypatch) -> None:
    text = "The old cat sat on the mat. " * 40
    (whole,) = english.score_all([text], ScoreParams(count_end=True))
    tokens = english.score(text).tokens
    monkeypatch.setattr(scoring, "STRIDE", 7)
    monkeypatch.setattr(pieces, "BLOCK", 50)
    assert [*english.score_all([text], ScoreParams(count_end=True))] == [whole]
    assert english.score(text).tokens == tokens


@pytest.mark.parametrize("name", ["english", "tang", "bytes", "counts"])
@pytest.mark.parametrize("block", [50, 1 << 22])
def test_texts_are_measured_in_their_order_as_each_is_alone(
    checkpoints, monkeypatch, name, block
) -> None:
    monkeypatch.setattr(pieces, "BLOCK", block)
    model = LocalModel(checkpoints / name)
    texts = ["The cat sat. " * (n % 7) + "zebra\n\n  春眠 didn't" * (n % 3) for n in range(40)]
    found = [*model.score_all(texts)]
    for text, score in zip(texts, found, strict=True):
        alone = model.score(text)
        assert (score.log_likelihood, score.num_tokens, score.num_unknown) == (
            alone.log_likelihood,
            alone.num_tokens,
            alone.num_unknown,
        )
        assert score.tokens is None
        assert score.state is None


def test_texts_are_measured_with_their_tokens_where_that_is_wanted(english) -> None:
    (found,) = english.score_all(["The old zebra"], ScoreParams(per_token=True))
    assert found.tokens == english.score("The old zebra").tokens


def test_texts_are_taken_only_while_there_is_room_for_their_answers(english) -> None:
    taken, answered = 0, 0

    def texts() -> Iterator[str]:
        nonlocal taken
        for n in range(30):
            taken += 1
            yield f"The cat {'sat ' * n}"

    def may_take() -> bool:
        return taken - answered < 4

    for _ in english.score_all(texts(), may_take=may_take):
        assert taken - answered <= 4
        answered += 1
    assert taken == answered == 30


def test_what_may_come_next_is_asked_of_one_prefix_or_of_many(english) -> None:
    query = NextQuery(top_k=4, candidates=["cat", "cat sat", "zebra", "!"])
    alone = [english.next(prefix, query) for prefix in PREFIXES]
    assert [*english.next_all(PREFIXES, query)] == alone
    assert [each.unknown for each in alone[0].candidates] == [False, False, True, False]
    assert all(len(each.predictions) == 4 for each in alone)
    assert len(english.next().predictions) == 10


def test_a_prediction_of_every_token_is_that_of_the_network_itself(exact) -> None:
    ids = exact.tokenizer.encode("The old cat").ids
    found = exact.predict(ids)
    expected = log_probs_after(exact.checkpoint, ids)
    assert found.log_probs == pytest.approx(expected.numpy(), abs=1e-4)
    assert found.entropy == pytest.approx(-(expected.exp() * expected).sum().item(), rel=1e-4)
    again = exact.predict([], found.state)
    assert again.log_probs.tobytes() == found.log_probs.tobytes()
    more = exact.predict(exact.tokenizer.encode(" sat").ids, found.state)
    whole = exact.predict(exact.tokenizer.encode("The old cat sat").ids)
    assert more.log_probs == pytest.approx(whole.log_probs, abs=1e-6)


def test_reading_gives_the_state_that_everything_goes_on_from(english) -> None:
    state = english.read(english.tokenizer.encode("The old").ids)
    more = english.read(english.tokenizer.encode(" cat").ids, state)
    assert more == english.read(english.tokenizer.encode("The old cat").ids)
    assert english.next("", state=more) == english.next("The old cat")


def test_a_text_that_has_ended_is_gone_on_with_by_more_text_alone(english) -> None:
    ended = TextState(english.read([5]).packed, 2, ())
    with pytest.raises(InvalidParameterError, match="has ended"):
        english.read([], ended)
    with pytest.raises(InvalidParameterError, match="has ended"):
        english.predict([], ended)
    with pytest.raises(InvalidParameterError, match="has ended"):
        english.next("", state=ended)
    with pytest.raises(EndedTextError):
        english.score("The cat", ended)
    assert english.predict([5], ended).state is not None


def test_hypotheses_are_ordered_by_how_they_read_after_their_context(english) -> None:
    hypotheses = [Hypothesis("cat sat", -0.1), Hypothesis("zebra", -0.2), Hypothesis("mat", 9.0)]
    params = RescoringParams(weight=0.5)
    found = english.rescore(hypotheses, params, context="The old")
    state = english.read(english.tokenizer.encode("The old").ids)
    for each in found:
        expected = english.score(f" {each.text}", state).log_likelihood
        assert each.log_likelihood == pytest.approx(expected, abs=1e-6)
        assert each.total == pytest.approx(each.given + 0.5 * expected, abs=1e-6)
    totals = [each.total for each in found]
    assert totals == sorted(totals, reverse=True)
    assert {each.text: each.num_unknown for each in found} == {"cat sat": 0, "zebra": 1, "mat": 0}
    assert english.rescore(hypotheses, params, state=state) == found


def test_hypotheses_without_a_context_begin_a_text(english) -> None:
    (found,) = english.rescore([Hypothesis("The cat")])
    assert found.log_likelihood == pytest.approx(english.score("The cat").log_likelihood, abs=1e-6)
    assert english.rescore([]) == []


def test_hypotheses_among_their_own_words_add_up_to_one(english) -> None:
    params = RescoringParams(normalize="hypotheses")
    found = english.rescore(
        [Hypothesis(word) for word in ("cat", "dog", "mat")], params, context="The"
    )
    assert sum(math.exp(each.log_likelihood) for each in found) == pytest.approx(1, abs=1e-5)


def test_texts_have_one_vector_of_unit_length_whoever_is_served_beside_them(english) -> None:
    texts = ["The old cat sat on the mat.", "The dog didn't sit", "cat"] * 10
    for pooling in ("mean", "last"):
        alone = [english.embed(text, pooling) for text in texts[:3]]
        together = [*english.embed_all(texts, pooling)]
        assert [each.tobytes() for each in together] == [each.tobytes() for each in alone] * 10
        assert [float(np.linalg.norm(each)) for each in alone] == pytest.approx([1.0] * 3)
        assert alone[0] @ alone[1] < 0.9999


def test_what_has_no_vector_is_refused(english, exact) -> None:
    with pytest.raises(InvalidParameterError, match="empty text"):
        english.embed("")
    with pytest.raises(WrongTaskError, match="only recurrent models in int8"):
        exact.embed("The cat")


def test_a_model_is_asked_in_the_precision_that_it_was_opened_with(english, exact) -> None:
    assert (english.precision, exact.precision) == ("int8", "fp32")
    assert english.model.version != exact.model.version
    assert isinstance(english.driver, BlockingDriver)


def test_what_is_no_language_model_is_refused(checkpoints, tmp_path) -> None:
    with pytest.raises(WrongTaskError, match="is a classifier"):
        LocalModel(checkpoints / "sentiment-en")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        LocalModel(tmp_path)
