"""A prompt read back: how likely each of its tokens was, and what was likelier."""

from __future__ import annotations

from dataclasses import dataclass

from app.services.prompts import Prompt
from app.services.registry import LoadedLanguageModel
from models.tokenizer import EOS


@dataclass(frozen=True)
class PromptToken:
    """A token of a prompt: its natural log-probability (None for the first), the likeliest in its place, its place."""

    token: str
    logprob: float | None
    top: list[tuple[str, float]]
    place: int


async def read_back(
    model: LoadedLanguageModel, prompt: Prompt, *, num_top: int, caller: str
) -> tuple[list[PromptToken], Prompt]:
    """Score the tokens of a prompt, each after those before it; give what is left to go on from, too.

    Raises
    ------
    EngineError
        If the queue is full or the engine has stopped.
    """
    surface = model.checkpoint.tokenizer.surface
    scored = await model.engine.score(prompt.ids, num_top=num_top, caller=caller, wants_state=True)
    tops = scored.top or [[] for _ in prompt.ids]
    rows = zip(prompt.ids, scored.logprobs, tops, prompt.places, strict=True)
    tokens = [
        PromptToken(surface(token_id), logprob, [(surface(t), p) for t, p in top], place)
        for token_id, logprob, top, place in rows
    ]
    if prompt.names_boundary:
        tokens = [PromptToken(EOS, None, [], 0), *tokens]
    elif tokens:
        tokens[0] = PromptToken(tokens[0].token, None, [], tokens[0].place)
    return tokens, prompt.after(scored.state)
