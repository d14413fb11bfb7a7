"""Runs any next-token model with torch: a rectangle of tokens at once, in tiles of a fixed number of rows.

Shapes: B rows of the rectangle, R rows of a tile, T tokens a row, F features, V vocabulary, N rows that need logits.
"""

from __future__ import annotations

import torch
from torch import Tensor

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.sequence import Sequence
from refrain.inference.runners.state_pool import StatePool
from refrain.inference.runners.torch_step import Step, make_step
from refrain.models.native.step.shape import ModelShape
from refrain.models.native.step.structures import Purpose, Status
from refrain.models.native.step.workspace import SequenceList, Workspace
from refrain.models.predictor import TokenPredictor
from refrain.models.state import LayerShape, RecurrentState


class TorchRunner:
    """Reads tokens into slots, every product of the same shape; sampling is the native library's.

    A sequence with a whole block unread reads blocks, so a long prompt takes few steps; at most `max_block_rows` do so
    at once, in turn, so that one step is never longer than one narrow and one wide rectangle.
    """

    def __init__(self, model: TokenPredictor, config: EngineConfig, *, eos_id: int) -> None:
        self.is_quick = False
        self._model = model
        self._config = config
        self._pool = StatePool(model, config.max_slots)
        self._workspace = Workspace(
            vocab_size=model.vocab_size, eos_id=eos_id, max_rows=config.row_tile, num_threads=1
        )
        self.interrupt = self._workspace.interrupt
        self._shapes = [
            LayerShape(layer.shape[0], layer.shape[2], layer.dtype)
            for layer in model.zero_state(1).layers
        ]
        state_bytes = sum(shape.num_bytes for shape in self._shapes)
        self.shape = ModelShape(model.vocab_size, eos_id, state_bytes=state_bytes)
        self._first_reader = 0
        self._steps: dict[int, Step] = {}

    def open(self, sequence: Sequence, packed: bytes | None) -> None:
        if packed is None:
            self._pool.clear([sequence.slot])
        else:
            slots = torch.tensor([sequence.slot], device=self._pool.device)
            state = RecurrentState.from_bytes(packed, self._shapes).to(self._pool.device)
            self._pool.write(slots, state)

    def fork(self, source: Sequence, target: Sequence) -> None:
        slots = torch.tensor([source.slot, target.slot], device=self._pool.device)
        self._pool.write(slots[1:], self._pool.read(slots[:1]))

    @torch.inference_mode()
    def run(self, sequences: list[Sequence], max_steps: int) -> int:
        num_steps = 0
        while num_steps < max_steps:
            self._step([sequence for sequence in sequences if sequence.is_running])
            num_steps += 1
            if self.interrupt.value or any(_has_result(sequence) for sequence in sequences):
                break
        return num_steps

    def pack(self, sequence: Sequence) -> bytes:
        slots = torch.tensor([sequence.slot], device=self._pool.device)
        return self._pool.read(slots).to_bytes()

    def _step(self, sequences: list[Sequence]) -> None:
        width = self._config.block_width
        readers = [s for s in sequences if _num_until_mark(s) >= width]
        self._first_reader = (self._first_reader + self._config.max_block_rows) % max(
            1, len(readers)
        )
        rotated = readers[self._first_reader :] + readers[: self._first_reader]
        wide = rotated[: self._config.max_block_rows]
        self._advance(wide, width)
        waiting = set(map(id, readers))
        self._advance([s for s in sequences if id(s) not in waiting], 1)

    def _advance(self, sequences: list[Sequence], width: int) -> None:
        for start in range(0, len(sequences), self._config.row_tile):
            rows = sequences[start : start + self._config.row_tile]
            features_RTF = self._read(rows, width)
            for time in range(width):
                self._answer(rows, features_RTF[:, time])

    def _read(self, rows: list[Sequence], width: int) -> Tensor:
        """Read `width` tokens of each sequence of a tile: features_RTF. The cursors stay."""
        padding = self._config.row_tile - len(rows)
        tokens = [_next_tokens(sequence, width) for sequence in rows]
        slots = [sequence.slot for sequence in rows] + [self._pool.spare] * padding
        tokens_RT = torch.tensor(tokens + [tokens[0]] * padding)
        if width not in self._steps:
            self._steps[width] = make_step(self._pool, self._config.row_tile, width)
        return self._steps[width](tokens_RT, torch.tensor(slots))

    def _answer(self, rows: list[Sequence], features_RF: Tensor) -> None:
        """Move the cursors by one token, and use the logits of those who need them."""
        asking = [row for row, sequence in enumerate(rows) if _wants_logits(sequence)]
        for row, sequence in enumerate(rows):
            if row not in asking:
                sequence.native.struct.num_read += 1
                if not sequence.native.num_unread:
                    sequence.native.struct.status = Status.FULL
        if not asking:
            return
        num_asking = len(asking)
        tile = asking + asking[:1] * (self._config.row_tile - num_asking)
        logits_RV = self._model.logits(features_RF[tile])[:num_asking].float().cpu()
        self._workspace.logits[:num_asking, : self.shape.vocab_size] = logits_RV.numpy()
        self._workspace.answer(SequenceList([rows[row].native for row in asking]))


def _next_tokens(sequence: Sequence, width: int) -> list[int]:
    first = sequence.native.struct.num_read
    tokens: list[int] = sequence.native.tokens[first : first + width].tolist()
    return tokens


def _num_until_mark(sequence: Sequence) -> int:
    """Tokens that may be read at once: a score's last target is not read, and a mark is a place to stop."""
    struct = sequence.native.struct
    num_unread = sequence.native.num_unread - (sequence.native.purpose is Purpose.SCORE)
    if struct.mark > struct.num_read:
        return min(num_unread, struct.mark - struct.num_read)
    return num_unread


def _wants_logits(sequence: Sequence) -> bool:
    if sequence.is_prefill_only:
        return False
    return sequence.native.purpose is Purpose.SCORE or sequence.native.num_unread == 1


def _has_result(sequence: Sequence) -> bool:
    struct = sequence.native.struct
    return not sequence.is_running or bool(struct.num_read == struct.mark)
