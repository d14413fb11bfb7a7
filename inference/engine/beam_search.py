"""Beam search: the texts of the highest probability that a model can be found to write.

At every step each live hypothesis is branched to its best continuations; the best of all of them live on. A hypothesis
is a slot, and a slot is of one size: to fork it is to copy a few kilobytes, however long the text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from refrain.inference.engine.request import (
    Alternatives,
    BeamParams,
    FinishReason,
    Hypothesis,
    TextState,
)
from refrain.inference.engine.runner import Runner
from refrain.inference.engine.sequence import Sequence


@dataclass(eq=False)
class _Beam:
    """A live hypothesis: its slot and text, and how likely it is."""

    row: Sequence
    score: float = 0.0
    logprobs: list[float] = field(default_factory=list)
    top: list[Alternatives] = field(default_factory=list)


@dataclass(frozen=True)
class _Branch:
    parent: _Beam
    token_id: int
    score: float
    logprob: float


class BeamSearch:
    """One search, from its first text, whose prompt is read once, to its hypotheses.

    As in the usual implementations, the best 2 x `num_beams` continuations are looked at in order: those that end are
    kept if they are among the first `num_beams`, the others live on. The search is over when `num_beams` hypotheses
    have ended and no live one could still beat the worst of them, or at the longest length.
    """

    def __init__(self, root: Sequence, params: BeamParams, eos_id: int) -> None:
        self.root = root
        self._params = params
        self._eos_id = eos_id
        self._live = [_Beam(root)]
        self._ended: list[Hypothesis] = []
        self._length = 0
        self.is_done = False

    @property
    def rows(self) -> list[Sequence]:
        """The live hypotheses, which step together."""
        return [beam.row for beam in self._live]

    @property
    def is_answered(self) -> bool:
        """Whether every live hypothesis has been branched."""
        return all(not beam.row.is_running for beam in self._live)

    @property
    def hypotheses(self) -> list[Hypothesis]:
        """What was found, best first."""
        return sorted(self._ended, key=lambda each: -each.score)[: self._params.num_beams]

    def advance(self, runner: Runner) -> None:
        """Choose among all branches, and continue the chosen ones."""
        self._length += 1
        chosen = self._choose(runner)
        if self._length >= self.root.request.sampling.max_tokens:
            for branch in chosen:
                self._end(branch, "length", runner)
            self.is_done = True
        elif not chosen or self._is_decided(chosen):
            self.is_done = True
        else:
            self._grow(chosen, runner)

    def _choose(self, runner: Runner) -> list[_Branch]:
        """Return the branches that go on; keep those that end."""
        num_beams = self._params.num_beams
        chosen: list[_Branch] = []
        for rank, branch in enumerate(self._branches()[: 2 * num_beams]):
            if branch.token_id != self._eos_id:
                chosen.append(branch)
            elif rank < num_beams:
                self._end(branch, "stop", runner)
            if len(chosen) == num_beams:
                break
        return chosen

    def _branches(self) -> list[_Branch]:
        """Return every continuation, best first; equal ones in the order of hypotheses and tokens."""
        found = []
        for beam in self._live:
            native = beam.row.native
            columns = (native.branch_ids, native.branch_scores, native.branch_logprobs)
            for token_id, score, logprob in zip(*[c.tolist() for c in columns], strict=True):
                if score > -float("inf"):
                    found.append(_Branch(beam, token_id, beam.score + score, logprob))
        return sorted(found, key=lambda branch: -branch.score)

    def _end(self, branch: _Branch, reason: FinishReason, runner: Runner) -> None:
        parent, native = branch.parent, branch.parent.row.native
        state = None
        if self.root.wants_state:
            unread = () if reason == "stop" else (branch.token_id,)
            position = native.struct.position + native.struct.num_read
            state = TextState(runner.pack(parent.row), position, unread)
        written = native.tokens[native.struct.num_given : native.struct.num_tokens].tolist()
        self._ended.append(
            Hypothesis(
                [*written, branch.token_id],
                [*parent.logprobs, branch.logprob],
                [*parent.top, parent.row.next_top],
                reason,
                self._ranked(branch.score),
                state,
            )
        )

    def _ranked(self, score: float) -> float:
        return score / math.pow(self._length, self._params.length_penalty)

    def _is_decided(self, chosen: list[_Branch]) -> bool:
        """Return whether enough have ended, and the best live one is worse than all of them even now."""
        ended = self.hypotheses
        is_enough = len(ended) == self._params.num_beams
        return is_enough and self._ranked(chosen[0].score) <= ended[-1].score

    def _grow(self, chosen: list[_Branch], runner: Runner) -> None:
        """Move chosen branches to slots: the first of a parent stays in the parent's, the others take free ones."""
        parents = {branch.parent for branch in chosen}
        kept = {beam.row for beam in parents}
        free = [row for row in (self.root, *self.root.siblings) if row not in kept]
        tops = {beam: beam.row.next_top for beam in parents}
        grown: list[_Beam] = []
        for branch in chosen:
            row = branch.parent.row
            if row in kept:
                kept.remove(row)
            else:
                row = free.pop()
                runner.fork(branch.parent.row, row)
                row.native.copy_text(branch.parent.row.native)
            logprobs = [*branch.parent.logprobs, branch.logprob]
            top = [*branch.parent.top, tops[branch.parent]]
            grown.append(_Beam(row, branch.score, logprobs, top))
        for beam, branch in zip(grown, chosen, strict=True):
            beam.row.native.push(branch.token_id)
        self._live = grown
