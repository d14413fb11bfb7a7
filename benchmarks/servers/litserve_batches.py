"""LitServe with request batching: whole requests share a batch of a loop over one of several models.

python -m benchmarks.servers.litserve_batches PORT [torch|onnx|transformer]
"""

from __future__ import annotations

import sys
from pathlib import Path

import litserve
import torch

from benchmarks.servers.writers import WRITERS, Writer
from refrain.models.checkpoint import load_checkpoint
from refrain.models.networks.language_model import LanguageModel


class Continue(litserve.LitAPI):
    """Continues prompts of one length, all in a batch."""

    kind = "torch"

    def setup(self, device: str) -> None:
        """Load the weights."""
        checkpoint = load_checkpoint(Path("checkpoints/tang"), device)
        assert isinstance(checkpoint.model, LanguageModel)
        self.model: Writer = WRITERS[self.kind](checkpoint.model)  # type: ignore[call-arg]
        self.tokenizer = checkpoint.tokenizer

    def decode_request(self, request) -> tuple[list[int], int]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Read a body; LitServe looks at the annotation, and reads JSON where there is none."""
        return [1, *self.tokenizer.encode(request["prompt"]).ids], request["max_tokens"]

    def predict(self, inputs: list[tuple[list[int], int]]) -> list[list[int]]:
        """Continue a batch."""
        prompts = torch.tensor([ids for ids, _ in inputs])
        written: list[list[int]] = self.model.generate(prompts, inputs[0][1]).tolist()
        return written

    def encode_response(self, output: list[int]) -> dict[str, str]:
        """Write an answer."""
        return {"text": self.tokenizer.decode(output)}


if __name__ == "__main__":
    api = Continue(max_batch_size=64, batch_timeout=0.01)
    api.kind = sys.argv[2] if len(sys.argv) > 2 else "torch"
    server = litserve.LitServer(api, accelerator="cpu", timeout=120)
    server.run(
        port=int(sys.argv[1]), host="127.0.0.1", log_level="warning", generate_client_file=False
    )
