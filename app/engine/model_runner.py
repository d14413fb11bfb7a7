"""A rectangle of sequences through the model, in tiles of a fixed number of rows.

Shapes: B rows of the rectangle, R rows of a tile, T tokens a row, F features, V vocabulary, N rows that need logits.
"""

from __future__ import annotations

import torch
from torch import Tensor

from app.engine.config import EngineConfig
from app.engine.sequence import Sequence
from app.engine.state_pool import StatePool
from models.predictor import TokenPredictor


class ModelRunner:
    """Reads tokens into slots and turns features to log-probabilities, every product of the same shape."""

    def __init__(self, model: TokenPredictor, pool: StatePool, config: EngineConfig) -> None:
        self._model = model
        self._pool = pool
        self._tile = config.row_tile

    def read(self, sequences: list[Sequence], width: int) -> Tensor:
        """Read `width` tokens of each sequence: features_BTF. The cursors stay."""
        device = self._pool.device
        pieces = []
        for start in range(0, len(sequences), self._tile):
            rows = sequences[start : start + self._tile]
            padding = self._tile - len(rows)
            tokens = [s.tokens[s.num_read : s.num_read + width] for s in rows]
            tokens_RT = torch.tensor(tokens + [tokens[0]] * padding, device=device)
            slots = torch.tensor(
                [s.slot for s in rows] + [self._pool.spare] * padding, device=device
            )
            features_RTF, state = self._model.read(tokens_RT, self._pool.read(slots))
            self._pool.write(
                slots[: len(rows)], state.gather(torch.arange(len(rows), device=device))
            )
            pieces.append(features_RTF[: len(rows)])
        return torch.cat(pieces)

    def logits(self, features_NF: Tensor) -> Tensor:
        """Give the logits of rows, tile by tile: [N, V], on the processor, where sampling is."""
        pieces = []
        for rows_RF in features_NF.split(self._tile):
            padding = self._tile - len(rows_RF)
            tile_RF = torch.cat((rows_RF, rows_RF[:1].expand(padding, -1))) if padding else rows_RF
            pieces.append(self._model.logits(tile_RF)[: len(rows_RF)])
        return torch.cat(pieces).cpu()
