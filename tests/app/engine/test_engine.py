"""The engine's invariants: whoever shares the batch, the same bytes; a slot is free as soon as it can be."""

import random

import pytest
import torch

from app.engine.config import EngineConfig
from app.engine.engine import Engine
from app.engine.errors import QueueFullError
from app.engine.sequence import SamplingParams, Scored, Sequence, TokenEvent
from models.config import LanguageModelConfig, NGramConfig
from models.kneser_ney import KneserNeyModel
from models.language_model import LanguageModel

VOCABULARY = 50
CONFIG = EngineConfig(max_slots=6, max_queue=100, block_width=8, max_block_rows=3, row_tile=4)


def recurrent(cell: str = "lstm") -> LanguageModel:
    torch.manual_seed(0)
    config = LanguageModelConfig(
        vocab_size=VOCABULARY, cell=cell, embedding_size=24, hidden_size=40, num_layers=2
    )
    return LanguageModel(config).eval()


def counted() -> KneserNeyModel:
    texts = random.Random(0)
    documents = [[texts.randrange(2, VOCABULARY) for _ in range(30)] for _ in range(20)]
    return KneserNeyModel.estimate(documents, NGramConfig(vocab_size=VOCABULARY, order=3))


def work(engine: Engine, sequences: list[Sequence]) -> dict[Sequence, list]:
    """Serve sequences to the end and collect what was found out for each."""
    engine.add(sequences)
    found: dict[Sequence, list] = {sequence: [] for sequence in sequences}
    while engine.scheduler.is_busy:
        engine.admit()
        for sequence, outcome in engine.step():
            found[sequence].append(outcome)
    return found


def make_sequence(purpose: str, seed: int) -> Sequence:
    draw = random.Random(seed)
    ids = [draw.randrange(2, VOCABULARY) for _ in range(draw.choice([0, 1, 5, 8, 9, 31, 70]))]
    params = SamplingParams(
        seed=seed,
        max_tokens=draw.randrange(1, 20),
        temperature=draw.choice([0.0, 0.7, 1.3]),
        top_k=draw.choice([0, 0, 3]),
        top_p=draw.choice([1.0, 0.8]),
        repetition_penalty=draw.choice([1.0, 1.2]),
        num_logprobs=draw.choice([0, 2]),
        banned=frozenset({0}),
    )
    if purpose == "score" and not ids:
        ids = [3]
    return Sequence.start(purpose, 1, ids, params)


def bytes_of(outcome) -> object:
    return outcome.numpy().tobytes() if isinstance(outcome, torch.Tensor) else outcome


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("make_model", [recurrent, lambda: recurrent("gru"), counted])
def test_not_a_byte_depends_on_who_shares_the_batch(make_model, num_threads) -> None:
    model = make_model()
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        kinds = [("generate", "score", "next")[n % 3] for n in range(30)]
        together = work(
            Engine(model, CONFIG, boundary_id=1),
            [make_sequence(kind, n) for n, kind in enumerate(kinds)],
        )
        for n, (kind, outcomes) in enumerate(zip(kinds, together.values(), strict=True)):
            engine = Engine(model, CONFIG, boundary_id=1)
            (alone,) = work(engine, [make_sequence(kind, n)]).values()
            assert list(map(bytes_of, outcomes)) == list(map(bytes_of, alone)), (n, kind)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("make_model", [recurrent, counted])
def test_scores_and_distributions_equal_the_model_read_at_once(make_model) -> None:
    model = make_model()
    ids = [random.Random(1).randrange(2, VOCABULARY) for _ in range(45)]
    found = work(
        Engine(model, CONFIG, boundary_id=1),
        [Sequence.start("score", 1, ids), Sequence.start("next", 1, ids)],
    )
    (scored,), (log_probs_V,) = found.values()
    tokens = torch.tensor([[1, *ids]])
    with torch.no_grad():
        features, _ = model.read(tokens, model.zero_state(1))
        expected_TV = model.logits(features[0]).log_softmax(1)
    assert isinstance(scored, Scored)
    targets = torch.tensor(ids)
    expected = expected_TV[:-1].gather(1, targets[:, None])
    torch.testing.assert_close(torch.tensor(scored.logprobs), expected[:, 0], atol=1e-5, rtol=1e-5)
    assert scored.ranks == [
        int((row > row[target]).sum()) + 1 for row, target in zip(expected_TV, ids, strict=False)
    ]
    torch.testing.assert_close(log_probs_V, expected_TV[-1], atol=1e-5, rtol=1e-5)
    assert log_probs_V.exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_the_log_probability_of_a_written_token_is_the_one_that_a_score_gives() -> None:
    model = recurrent()
    params = SamplingParams(seed=3, max_tokens=12, temperature=0.8, ignore_eos=True)
    (events,) = work(
        Engine(model, CONFIG, boundary_id=1), [Sequence.start("generate", 1, [5, 6], params)]
    ).values()
    written = [event.token_id for event in events]
    (scores,) = work(
        Engine(model, CONFIG, boundary_id=1), [Sequence.start("score", 1, [5, 6, *written])]
    ).values()
    assert scores[0].logprobs[2:] == pytest.approx([e.logprob for e in events], abs=1e-5)


def test_a_text_ends_at_the_boundary_or_at_its_limit() -> None:
    model = recurrent()
    with torch.no_grad():
        model.output_bias[1] = 50
    stop, length = (
        work(Engine(model, CONFIG, boundary_id=1), [Sequence.start("generate", 1, [4], params)])
        for params in (
            SamplingParams(seed=0, max_tokens=5),
            SamplingParams(seed=0, max_tokens=5, ignore_eos=True),
        )
    )
    ((ended,),) = stop.values()
    assert (ended.token_id, ended.finish_reason) == (1, "stop")
    (events,) = length.values()
    assert [event.finish_reason for event in events] == [None] * 4 + ["length"]
    assert all(event.token_id != 1 for event in events)


def test_alternatives_come_likeliest_first_and_hold_true_log_probabilities() -> None:
    params = SamplingParams(seed=0, max_tokens=1, temperature=0, num_logprobs=4)
    (events,) = work(
        Engine(recurrent(), CONFIG, boundary_id=1), [Sequence.start("generate", 1, [4], params)]
    ).values()
    values = [logprob for _, logprob in events[0].top]
    assert len(values) == 4
    assert values == sorted(values, reverse=True)
    assert events[0].top[0] == (events[0].token_id, events[0].logprob)


def test_a_running_stream_advances_every_step_while_long_prompts_are_read() -> None:
    engine = Engine(recurrent(), CONFIG, boundary_id=1)
    params = SamplingParams(seed=0, max_tokens=20, ignore_eos=True)
    stream = Sequence.start("generate", 1, [4], params)
    engine.add([stream])
    engine.admit()
    engine.step()
    engine.step()
    engine.add([Sequence.start("next", 1, [7] * 200) for _ in range(5)])
    for _ in range(15):
        engine.admit()
        written = [s for s, outcome in engine.step() if isinstance(outcome, TokenEvent)]
        assert written == [stream]


def test_readers_of_long_prompts_take_turns() -> None:
    engine = Engine(recurrent(), CONFIG, boundary_id=1)
    readers = [Sequence.start("next", 1, [7] * 400) for _ in range(6)]
    engine.add(readers)
    engine.admit()
    for _ in range(10):
        engine.step()
    assert {reader.num_read for reader in readers} == {5 * CONFIG.block_width}


def test_a_removed_sequence_frees_its_slot_for_the_next_in_the_queue() -> None:
    engine = Engine(recurrent(), CONFIG, boundary_id=1)
    params = SamplingParams(seed=0, max_tokens=1000, ignore_eos=True)
    sequences = [Sequence.start("generate", 1, [4], params) for _ in range(7)]
    engine.add(sequences)
    engine.admit()
    engine.step()
    assert engine.scheduler.waiting[0] is sequences[6]
    engine.remove(sequences[2])
    engine.admit()
    assert sequences[6] in engine.scheduler.running
    assert sequences[6].slot == sequences[2].slot


def test_a_full_queue_takes_all_of_a_request_or_none() -> None:
    engine = Engine(recurrent(), EngineConfig(max_slots=2, max_queue=2), boundary_id=1)
    engine.add([Sequence.start("next", 1, [4]) for _ in range(3)])
    with pytest.raises(QueueFullError):
        engine.add([Sequence.start("next", 1, [4]) for _ in range(2)])
    assert len(engine.scheduler.waiting) == 3
    engine.add([Sequence.start("next", 1, [4])])
