"""What a language model writes by now: a glance while it learns, not the serving engine."""

from __future__ import annotations

import torch

from refrain.models.predictor import TokenPredictor
from refrain.models.text.tokenizer import Tokenizer


@torch.no_grad()
def sample_text(
    model: TokenPredictor, tokenizer: Tokenizer, prompt: str, *, num_tokens: int = 60, seed: int = 0
) -> str:
    """Write up to `num_tokens` tokens after a prompt, at temperature 0.8, never an unknown word."""
    generator = torch.Generator().manual_seed(seed)
    state = model.zero_state(1)
    device = state.layers[0].device
    ids = [tokenizer.eos_id, *tokenizer.encode(prompt).ids]
    unread = ids
    for _ in range(num_tokens):
        features, state = model.read(torch.tensor([unread], device=device), state)
        logits_V = model.logits(features[:, -1])[0].float().cpu() / 0.8
        logits_V[tokenizer.unk_id] = float("-inf")
        unread = [int(torch.multinomial(logits_V.softmax(0), 1, generator=generator))]
        if unread[0] == tokenizer.eos_id:
            break
        ids = ids + unread
    return tokenizer.decode(ids)
