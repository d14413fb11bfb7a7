"""A step: schedule, run, update. No threads, no event loop."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from app.engine.config import EngineConfig
from app.engine.model_runner import ModelRunner
from app.engine.sampler import sample
from app.engine.scheduler import Scheduler
from app.engine.sequence import FinishReason, Scored, Sequence, TokenEvent
from app.engine.state_pool import StatePool
from models.predictor import TokenPredictor

Outcome = TokenEvent | Scored | Tensor
"""What a step may find out for a sequence: a token, a finished score, or log-probabilities [V]."""


class Engine:
    """Advances every running sequence by one step at a time.

    A running stream waits at most for one wide rectangle (`max_block_rows` x `block_width` tokens) a step, however
    long the prompts of others are.
    """

    def __init__(self, model: TokenPredictor, config: EngineConfig, *, boundary_id: int) -> None:
        self._config = config
        self._boundary_id = boundary_id
        self._pool = StatePool(model, config.max_slots)
        self._runner = ModelRunner(model, self._pool, config)
        self.scheduler = Scheduler(config)

    def add(self, sequences: Iterable[Sequence]) -> None:
        """Queue sequences, all or none."""
        self.scheduler.add(sequences)

    def remove(self, sequence: Sequence) -> None:
        """Drop a sequence and free its slot."""
        if self.scheduler.remove(sequence):
            self._pool.release(sequence.slot)

    def admit(self) -> None:
        """Give free slots, emptied, to those who wait."""
        admitted = self.scheduler.admit(self._pool.free)
        if admitted:
            self._pool.clear([sequence.slot for sequence in admitted])

    @torch.inference_mode()
    def step(self) -> list[tuple[Sequence, Outcome]]:
        """Advance everybody who holds a slot and tell what was found out."""
        batch = self.scheduler.schedule()
        if batch is None:
            return []
        outcomes = self._advance(batch.wide, self._config.block_width)
        outcomes += self._advance(batch.narrow, 1)
        for sequence, outcome in outcomes:
            if is_final(outcome):
                self.remove(sequence)
        return outcomes

    def _advance(self, sequences: list[Sequence], width: int) -> list[tuple[Sequence, Outcome]]:
        """Read `width` tokens of each sequence and do what its purpose asks for."""
        if not sequences:
            return []
        features_BTF = self._runner.read(sequences, width)
        for sequence in sequences:
            sequence.num_read += width
        outcomes: list[tuple[Sequence, Outcome]] = []
        outcomes += self._score(sequences, features_BTF)
        done = [row for row, s in enumerate(sequences) if s.num_unread == 0]
        outcomes += self._look_ahead([sequences[row] for row in done], features_BTF[done, -1])
        return outcomes

    def _score(
        self, sequences: list[Sequence], features_BTF: Tensor
    ) -> list[tuple[Sequence, Outcome]]:
        """Keep the log-probability and rank of the token after each one read."""
        width = features_BTF.shape[1]
        places: list[tuple[int, int, int]] = []
        for row, sequence in enumerate(sequences):
            if sequence.purpose == "score":
                first = sequence.num_read - width + 1
                targets = sequence.tokens[first : first + width]
                places += [(row, time, target) for time, target in enumerate(targets)]
        for start in range(0, len(places), self._config.row_tile):
            tile = places[start : start + self._config.row_tile]
            rows, times, chosen = (list(column) for column in zip(*tile, strict=True))
            log_probs_NV = self._runner.logits(features_BTF[rows, times]).log_softmax(1)
            chosen_N1 = log_probs_NV.gather(1, torch.tensor(chosen)[:, None])
            ranks_N = (log_probs_NV > chosen_N1).sum(dim=1) + 1
            values = zip(rows, chosen_N1[:, 0].tolist(), ranks_N.tolist(), strict=True)
            for row, logprob, rank in values:
                sequences[row].logprobs.append(logprob)
                sequences[row].ranks.append(rank)
        return [
            (s, Scored(s.logprobs, s.ranks))
            for s in sequences
            if s.purpose == "score" and s.num_unread <= 1
        ]

    def _look_ahead(
        self, sequences: list[Sequence], features_NF: Tensor
    ) -> list[tuple[Sequence, Outcome]]:
        """Give the whole distribution to those who asked for it, and a token to those who write."""
        kept = [row for row, s in enumerate(sequences) if s.purpose != "score"]
        if not kept:
            return []
        rows = [sequences[row] for row in kept]
        logits_NV = self._runner.logits(features_NF[kept])
        log_probs_NV = logits_NV.log_softmax(dim=1)
        outcomes: list[tuple[Sequence, Outcome]] = [
            (s, log_probs_NV[row].clone()) for row, s in enumerate(rows) if s.purpose == "next"
        ]
        writing = [row for row, s in enumerate(rows) if s.purpose == "generate"]
        if writing:
            writers = [rows[row] for row in writing]
            tokens = sample(logits_NV[writing], writers, self._boundary_id)
            for row, sequence, token_id in zip(writing, writers, tokens, strict=True):
                outcomes.append((sequence, self._write(sequence, token_id, log_probs_NV[row])))
        return outcomes

    def _write(self, sequence: Sequence, token_id: int, log_probs_V: Tensor) -> TokenEvent:
        """Append a token to its text and say how likely it and its alternatives were."""
        params = sequence.params
        assert params is not None
        sequence.tokens.append(token_id)
        reason: FinishReason | None = None
        if token_id == self._boundary_id:
            reason = "stop"
        elif sequence.num_written >= params.max_tokens:
            reason = "length"
        top: tuple[tuple[int, float], ...] = ()
        if params.num_logprobs:
            values, ids = log_probs_V.topk(min(params.num_logprobs, len(log_probs_V)))
            top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
        return TokenEvent(token_id, float(log_probs_V[token_id]), top, reason)


def is_final(outcome: Outcome) -> bool:
    """Tell whether an outcome is the last of its sequence."""
    return not isinstance(outcome, TokenEvent) or outcome.finish_reason is not None
