"""What LitServe serves side by side: the LSTM by torch, by ONNX Runtime, and a transformer of as many parameters."""

from __future__ import annotations

from typing import Protocol

import torch

from benchmarks.servers.tutorial import TorchModel
from refrain.models.networks.language_model import LanguageModel


class Writer(Protocol):
    """Continues prompts of one length, [B, T], by sampled tokens: [B, num_tokens]."""

    def generate(self, prompts: torch.Tensor, num_tokens: int) -> torch.Tensor:
        """Continue."""
        ...


class OnnxModel:
    """The weights of a two-layer LSTM checkpoint in ONNX Runtime's own LSTM, fp32, with all its optimisations."""

    def __init__(self, model: LanguageModel) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(
            _graph(model), options, providers=["CPUExecutionProvider"]
        )
        self._sizes = [cell.hidden_size for cell in model.stack.layers]

    def generate(self, prompts: torch.Tensor, num_tokens: int) -> torch.Tensor:
        """Continue; torch draws from the logits."""
        rows = len(prompts)
        states = {
            f"{name}{layer}": torch.zeros(1, rows, size).numpy()
            for layer, size in enumerate(self._sizes)
            for name in "hc"
        }
        tokens, written = prompts, []
        for _ in range(num_tokens):
            inputs = {"tokens": tokens.T.contiguous().numpy(), **states}
            logits, *after = self._session.run(None, inputs)
            states = dict(zip(states, after, strict=True))
            tokens = torch.multinomial(torch.from_numpy(logits).softmax(1), 1)
            written.append(tokens)
        return torch.cat(written, dim=1)


def _graph(model: LanguageModel) -> bytes:
    """Write a step as an ONNX graph: tokens [T, B] and states in; logits [B, V] after the last, and states out."""
    from onnx import TensorProto, helper, numpy_helper

    weights, nodes, inputs, outputs = [], [], [], []

    def keep(name: str, values: torch.Tensor) -> str:
        weights.append(numpy_helper.from_array(values.detach().float().contiguous().numpy(), name))
        return name

    def from_torch(values: torch.Tensor) -> torch.Tensor:  # torch has i, f, g, o; ONNX i, o, f, c
        i, f, g, o = values.detach().chunk(4)
        return torch.cat((i, o, f, g))

    nodes.append(
        helper.make_node("Gather", [keep("embedding", model.embedding.weight), "tokens"], ["x0"])
    )
    for layer, cell in enumerate(model.stack.layers):
        bias = torch.cat((from_torch(cell.bias_ih), from_torch(cell.bias_hh)))
        read = [
            f"x{layer}",
            keep(f"w{layer}", from_torch(cell.weight_ih)[None]),
            keep(f"r{layer}", from_torch(cell.weight_hh)[None]),
            keep(f"b{layer}", bias[None]),
            "",
            f"h{layer}",
            f"c{layer}",
        ]
        written = [f"y{layer}", f"h{layer}_out", f"c{layer}_out"]
        nodes.append(helper.make_node("LSTM", read, written, hidden_size=cell.hidden_size))
        one = numpy_helper.from_array(torch.tensor([1]).numpy(), f"axis{layer}")
        weights.append(one)
        nodes.append(helper.make_node("Squeeze", [f"y{layer}", one.name], [f"x{layer + 1}"]))
        shape: list[str | int | None] = [1, "B", cell.hidden_size]
        for name in (f"h{layer}", f"c{layer}"):
            inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
            outputs.append(helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, shape))
    last = len(model.stack.layers) - 1
    weights.append(numpy_helper.from_array(torch.tensor([0]).numpy(), "axis"))
    nodes += [
        helper.make_node("Squeeze", [f"h{last}_out", "axis"], ["feature"]),
        helper.make_node(
            "Gemm",
            ["feature", keep("output", model.output_matrix), keep("bias", model.output_bias)],
            ["logits"],
            transB=1,
        ),
    ]
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, ["T", "B"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", model.vocab_size])
    graph = helper.make_graph(nodes, "step", [tokens, *inputs], [logits, *outputs], weights)
    opset = helper.make_opsetid("", 17)
    written_model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    return bytes(written_model.SerializeToString())


class Transformer:
    """A GPT-2 of about as many parameters, with random weights, by `transformers` with its cache of keys and values."""

    width = 256

    @classmethod
    def num_layers(cls, model: LanguageModel) -> int:
        """Return how many layers make up for the parameters of a model."""
        num_parameters = sum(parameter.numel() for parameter in model.parameters())
        left = num_parameters - model.vocab_size * cls.width
        return max(1, round(left / (12 * cls.width**2)))

    @classmethod
    def bytes_of_token(cls, model: LanguageModel) -> int:
        """Return what its cache takes for one token: a key and a value in every layer."""
        return cls.num_layers(model) * 2 * cls.width * 4

    def __init__(self, model: LanguageModel) -> None:
        import transformers

        config = transformers.GPT2Config(
            vocab_size=model.vocab_size,
            n_embd=self.width,
            n_layer=self.num_layers(model),
            n_head=4,
            n_positions=2_048,
            bos_token_id=1,
            eos_token_id=None,
            pad_token_id=0,
        )
        self._model = transformers.GPT2LMHeadModel(config).eval()

    @torch.inference_mode()
    def generate(self, prompts: torch.Tensor, num_tokens: int) -> torch.Tensor:
        """Continue."""
        written: torch.Tensor = self._model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=True,
            top_k=0,
            max_new_tokens=num_tokens,
        )
        return written[:, prompts.shape[1] :]


WRITERS: dict[str, type[Writer]] = {
    "torch": TorchModel,
    "onnx": OnnxModel,
    "transformer": Transformer,
}
