"""A language model as an ONNX graph of one step of time, by torch's own exporter.

Shapes: L layers, B rows, E embedding, H width of the widest layer, V vocabulary.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from refrain.models.checkpoint import FORMAT_VERSION, TOKENIZER, Checkpoint
from refrain.models.config import config_to_dict
from refrain.models.errors import ExportError
from refrain.models.networks.language_model import LanguageModel

GRAPH = "model.onnx"
STATE_NAMES = ("hidden", "cell")
"""Components of a state, in the order of `refrain.models.state`; only an LSTM and a Mogrifier have the second."""


class OnnxStep(nn.Module):
    """One step of a language model with its state in rectangles: what the graph computes.

    A layer that is narrower than the widest uses the first elements of its rows; the rest are zero.
    """

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, token_ids_B: Tensor, *state_LBH: Tensor) -> tuple[Tensor, ...]:
        """Read a token in each row: logits_BV of the next one, and the state after it, a tensor for each component."""
        output_BE = self.model.embedding(token_ids_B)
        width = state_LBH[0].shape[2]
        layers = []
        for index, cell in enumerate(self.model.stack.layers):
            state_CBH = torch.stack([part[index, :, : cell.hidden_size] for part in state_LBH])
            state_CBH = cell(output_BE, state_CBH)
            output_BE = state_CBH[0]
            layers.append(nn.functional.pad(state_CBH, (0, width - cell.hidden_size)))
        state_LCBH = torch.stack(layers)
        return (self.model.logits(output_BE), *state_LCBH.unbind(1))


def export_onnx(checkpoint: Checkpoint, directory: Path) -> Path:
    """Write `model.onnx` to a folder, with `tokenizer.json` beside it; give the graph's path.

    Inputs are `token_ids` [B] int64, `hidden` and, of an LSTM or a Mogrifier, `cell`, both float32 [L, B, H]; outputs
    are `logits` [B, V], `next_hidden` and `next_cell`. B is free. A text starts from a state of zeros and the token
    `boundary_id` of the graph's metadata.

    Raises
    ------
    ExportError
        If the checkpoint is no recurrent language model.
    """
    if not isinstance(checkpoint.model, LanguageModel):
        raise ExportError(
            f"{checkpoint.name} is a {checkpoint.task}: only recurrent language models have a step to export"
        )
    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / f"{GRAPH}.partial"
    with _quiet_exporter():
        program = _program(checkpoint.model)
        program.model.metadata_props.update(_metadata(checkpoint))
        program.save(partial)
    (directory / TOKENIZER).write_text(checkpoint.tokenizer.to_json(), encoding="utf-8")
    os.replace(partial, directory / GRAPH)
    return directory / GRAPH


def _program(model: LanguageModel) -> torch.onnx.ONNXProgram:
    """Trace one step of two rows, and let their number be free."""
    shapes = model.stack.state_shapes
    names = STATE_NAMES[: shapes[0].components]
    state_LBH = torch.zeros(len(shapes), 2, max(shape.size for shape in shapes))
    free = torch.export.Dim.DYNAMIC
    program = torch.onnx.export(
        OnnxStep(model).eval(),
        (torch.zeros(2, dtype=torch.int64), *(state_LBH.clone() for _ in names)),
        input_names=["token_ids", *names],
        output_names=["logits", *(f"next_{name}" for name in names)],
        dynamic_shapes=({0: "batch"}, tuple({1: free} for _ in names)),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    return program


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    """Return what a reader of the graph has to know; every value is text."""
    return {
        "name": checkpoint.name,
        "format_version": str(FORMAT_VERSION),
        "config": json.dumps(config_to_dict(checkpoint.config)),
        "tokenizer": checkpoint.tokenizer.kind,
        "boundary_id": str(checkpoint.tokenizer.eos_id),
        "unk_id": str(checkpoint.tokenizer.unk_id),
        "license": checkpoint.card.license,
    }


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep to itself what the exporter says of torch's own old calls and of packages that are not needed."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)
