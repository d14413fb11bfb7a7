"""A recurrent layer over time in bfloat16 on the processor, with its gradient: what training runs under autocast.

The large products are torch's; the steps of time, which depend on one another, are one call of
`refrain.models.native.layer.layer` each way. Numbers are bfloat16 with sums, gates and cells in float32.

Shapes: B rows, T times, I width of the input, H width of the layer, G gates, C components of the state.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from refrain.models.native.layer.layer import UNITS, layer_backward, layer_forward
from refrain.models.native.layer.structures import LayerKind
from refrain.models.networks.cells import Cell, ElmanCell, GRUCell, LSTMCell


def bf16_kind(cell: Cell, input_BTI: Tensor) -> LayerKind | None:
    """Return which compiled layer runs a cell here: only on the processor, under autocast, at widths that fit.

    Where there is AMX, oneDNN's LSTM has it and this layer has not: an LSTM is left to torch there.
    """
    if (
        input_BTI.device.type != "cpu"
        or not torch.is_autocast_enabled("cpu")
        or cell.hidden_size % UNITS
    ):
        return None
    match cell:
        case LSTMCell():
            return None if torch.cpu._is_amx_tile_supported() else LayerKind.LSTM
        case GRUCell():
            return LayerKind.GRU
        case ElmanCell(nonlinearity=nonlinearity):
            return LayerKind[f"ELMAN_{nonlinearity.upper()}"]
        case _:
            return None


class Bf16Layer(torch.autograd.Function):
    """`apply(kind, input_BTI, state_CBH, weight_ih, weight_hh, bias_ih, bias_hh)`: outputs_BTH and the state after."""

    @staticmethod
    def forward(
        ctx: Any,
        kind: LayerKind,
        input_BTI: Tensor,
        state_CBH: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
    ) -> tuple[Tensor, Tensor]:
        num_rows, num_times, input_size = input_BTI.shape
        half = torch.bfloat16
        inputs_NI = input_BTI.to(half).reshape(-1, input_size)
        weights = (weight_ih.to(half).contiguous(), weight_hh.to(half).contiguous())
        products = torch.mm(inputs_NI, weights[0].t()).view(num_rows, num_times, -1)
        outputs, memory, kept = layer_forward(
            kind, products, (bias_ih, bias_hh), weights[1], state_CBH
        )
        ctx.kind, ctx.input_dtype = kind, input_BTI.dtype
        ctx.save_for_backward(inputs_NI, *weights, outputs, memory, kept)
        last = outputs[:, -1].float()
        match kind:
            case LayerKind.LSTM if memory is not None:
                state = torch.stack((last, memory[:, -1]))
            case LayerKind.GRU if memory is not None:
                state = memory[:, -1].unsqueeze(0).clone()
            case _:
                state = last.unsqueeze(0)
        return outputs[:, 1:].contiguous(), state

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        output_grads, state_grad = gradients
        inputs_NI, weight_ih, weight_hh, outputs, memory, kept = ctx.saved_tensors
        num_rows, num_times, hidden_size = output_grads.shape
        input_grads, product_grads, state_grad = layer_backward(
            ctx.kind, outputs, memory, kept, weight_hh, output_grads.contiguous(), state_grad
        )
        input_NG, product_NG = input_grads.flatten(0, 1), product_grads.flatten(0, 1)
        before_NH = outputs[:, :-1].reshape(-1, hidden_size)
        bias_grad = input_NG.sum(0, dtype=torch.float32)
        given = torch.mm(input_NG, weight_ih) if ctx.needs_input_grad[1] else None
        return (
            None,
            None if given is None else given.view(num_rows, num_times, -1).to(ctx.input_dtype),
            state_grad,
            torch.mm(input_NG.t(), inputs_NI).float(),
            torch.mm(product_NG.t(), before_NH).float(),
            bias_grad,
            product_NG.sum(0, dtype=torch.float32)
            if ctx.kind is LayerKind.GRU
            else bias_grad.clone(),
        )
