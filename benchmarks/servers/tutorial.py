"""A tutorial's server: FastAPI, one request at a time in the thread pool, a loop over `nn.LSTM` and `multinomial`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from torch import nn

from refrain.models.checkpoint import load_checkpoint
from refrain.models.networks.language_model import LanguageModel


class TorchModel(nn.Module):
    """The weights of a two-layer LSTM checkpoint in torch's own modules."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        first, second = model.stack.layers
        self.embedding = nn.Embedding.from_pretrained(model.embedding.weight.detach())
        self.layers = nn.ModuleList(
            nn.LSTM(cell.input_size, cell.hidden_size, batch_first=True) for cell in (first, second)
        )
        for layer, cell in zip(self.layers, (first, second), strict=True):
            layer.load_state_dict({f"{k}_l0": v for k, v in cell.state_dict().items()})
        self.weight, self.bias = model.output_matrix.detach(), model.output_bias.detach()

    @torch.inference_mode()
    def generate(self, prompts: torch.Tensor, num_tokens: int) -> torch.Tensor:
        """Continue prompts of one length, [B, T], by sampled tokens: [B, num_tokens]."""
        states: list[tuple[torch.Tensor, torch.Tensor] | None] = [None, None]
        tokens, written = prompts, []
        for _ in range(num_tokens):
            hidden = self.embedding(tokens)
            for index, layer in enumerate(self.layers):
                hidden, states[index] = layer(hidden, states[index])
            logits = hidden[:, -1] @ self.weight.T + self.bias
            tokens = torch.multinomial(logits.softmax(1), 1)
            written.append(tokens)
        return torch.cat(written, dim=1)


class Body(BaseModel):
    """What to continue."""

    prompt: str
    max_tokens: int


def main() -> None:
    """Serve on the port of the command line."""
    checkpoint = load_checkpoint(Path("checkpoints/tang"))
    assert isinstance(checkpoint.model, LanguageModel)
    model, tokenizer = TorchModel(checkpoint.model), checkpoint.tokenizer
    app = FastAPI()

    @app.post("/generate")
    def generate(body: Body) -> dict[str, str]:
        prompt = torch.tensor([[1, *tokenizer.encode(body.prompt).ids]])
        return {"text": tokenizer.decode(model.generate(prompt, body.max_tokens)[0].tolist())}

    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
