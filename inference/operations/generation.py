"""Prompts in, texts out: drawn token by token, or searched for."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from refrain.inference.engine.request import (
    BeamParams,
    FinishReason,
    Request,
    Searched,
    TextState,
    Written,
)
from refrain.inference.operation import MORE, Delta, Operation, TokenLogprob, gather, read, scored
from refrain.inference.operations.constraints import Biases, constrained
from refrain.inference.operations.incremental_text import IncrementalText, token_logprob
from refrain.inference.operations.prompt import Prompt
from refrain.inference.operations.text_model import TextModel
from refrain.inference.plain import Plain
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.sampling import (
    GREEDY,
    PARAMETERS,
    Bounds,
    SamplingParams,
    check_bounds,
)
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want
from refrain.models.text.splitter import EOS

DRAWN = ("temperature", "top_k", "top_p", "min_p", "typical_p", "best_of", "stream")
"""What a search has no use for, by the names of `POST /generate`: it draws nothing by chance."""
BOUNDS: dict[str, Bounds] = {
    "n": {"ge": 1, "le": 128},
    "best_of": {"ge": 1, "le": 128},
    "num_beams": {"ge": 1, "le": 32},
    "length_penalty": {"ge": -10, "le": 10},
    "logprobs": {"ge": 0, "le": 20},
}
"""Of the numbers that say which texts are wanted."""


def check_search(given: Collection[str], num_beams: int) -> None:
    """Refuse parameters that do not go together, by the names of `POST /generate` that a caller has given.

    Raises
    ------
    InvalidParameterError
        If a search is to draw, or what is no search has a length penalty.
    """
    if num_beams > 1:
        for name in DRAWN:
            if name in given:
                message = f"a search draws nothing by chance: leave {name} out"
                raise InvalidParameterError(message, name)
    elif "length_penalty" in given:
        message = "length_penalty belongs to a search: num_beams > 1"
        raise InvalidParameterError(message, "length_penalty")


@dataclass(frozen=True)
class GenerationParams(Plain):
    """What is wanted of each prompt, by the names of `POST /generate`.

    Attributes
    ----------
    sampling
        How to choose tokens; `generate` is given the seed.
    n
        Texts for each prompt.
    best_of
        Texts to write, of which the n likeliest by the mean token are kept; None for n.
    num_beams, length_penalty
        Above 1 beams the likeliest texts are searched for, not drawn; see `BeamParams`.
    stop
        Strings that end a text; they are no part of it.
    logit_bias, allowed
        See `constrained`.
    logprobs
        To report each token's log-probability and so many alternatives; None reports none.
    stream
        Whether text is read as it is written.
    num_tried
        Texts that are written for each prompt.

    Raises
    ------
    InvalidParameterError
        If one is out of its bounds, or they do not go together.
    """

    hidden = frozenset({"sampling", "num_tried"})

    sampling: SamplingParams = GREEDY
    n: int = 1
    best_of: int | None = None
    num_beams: int = 1
    length_penalty: float = 1.0
    stop: Sequence[str] = ()
    logit_bias: Biases = field(default_factory=dict)
    allowed: Sequence[str] | None = None
    logprobs: int | None = None
    return_state: bool = False
    stream: bool = False
    num_tried: int = field(init=False)

    def __post_init__(self) -> None:
        check_bounds(self, BOUNDS)
        object.__setattr__(self, "num_tried", self.best_of or self.n)
        if "" in self.stop:
            raise InvalidParameterError("an empty string would end every text at once", "stop")
        is_search = self.num_beams > 1
        if is_search and self.num_beams < self.n:
            message = f"num_beams {self.num_beams} is less than n {self.n}"
            raise InvalidParameterError(message, "num_beams")
        if is_search and not self.sampling.max_tokens:
            raise InvalidParameterError("a search writes one token at least", "max_tokens")
        if is_search and self.stream:
            message = "the likeliest text is known only at the end: a search does not stream"
            raise InvalidParameterError(message, "num_beams")
        if self.num_tried < self.n:
            message = f"best_of {self.best_of} is less than n {self.n}"
            raise InvalidParameterError(message, "best_of")
        if self.num_tried > self.n and self.stream:
            message = "the best of several is known only at the end: best_of does not stream"
            raise InvalidParameterError(message, "best_of")

    def as_json(self) -> dict[str, object]:
        """Return them as a body of `POST /generate`."""
        sampling = {name: getattr(self.sampling, name) for name in PARAMETERS}
        usual = {name: each.default for name, each in PARAMETERS.items()}
        given = {name: value for name, value in sampling.items() if value != usual[name]}
        return {**given, **super().as_json()}


@dataclass(frozen=True)
class Completion(Plain):
    """One finished text; `index` is prompt x n + i."""

    hidden = frozenset({"state", "mean_logprob", "num_tokens"})

    index: int
    text: str
    finish_reason: FinishReason
    logprobs: list[TokenLogprob] | None = None
    state: TextState | None = None
    mean_logprob: float = 0.0
    num_tokens: int = 0


@dataclass(frozen=True)
class Usage(Plain):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True)
class Generation(Plain):
    """The texts of all prompts, the seed that gives them again, and what they cost."""

    choices: list[Completion]
    seed: int
    usage: Usage


def generate(
    model: TextModel, prompts: Sequence[Prompt], params: GenerationParams, seed: int | None = 0
) -> Operation[Generation]:
    """Continue prompts side by side; where no seed is named one is drawn, but for a search, which needs none.

    Raises
    ------
    InvalidParameterError
        If a biased or allowed text is not one token of the model.
    """
    sampling = constrained(params.sampling, model.tokenizer, params.logit_bias, params.allowed)
    if seed is None:
        # Of a size that every reader of JSON counts exactly.
        seed = 0 if params.num_beams > 1 else secrets.randbits(53)
    if params.num_beams > 1:
        found = yield from gather([_search(model, each, params, sampling) for each in prompts])
        tried = kept = _numbered([each for found_here in found for each in found_here])
    else:
        wanted = [prompt for prompt in prompts for _ in range(params.num_tried)]
        operations = []
        for index, prompt in enumerate(wanted):
            seeded = replace(sampling, seed=seed_of(seed, index) if index else seed)
            operations.append(_write(model, prompt, params, seeded, index))
        tried = kept = yield from gather(operations)
        if params.num_tried > params.n:
            kept = _best(tried, params)
    num_prompt = sum([prompt.num_given for prompt in prompts])
    num_written = sum([each.num_tokens for each in tried])
    return Generation(kept, seed, Usage(num_prompt, num_written, num_prompt + num_written))


def read_back(
    model: TextModel, prompt: Prompt, num_top: int
) -> Operation[tuple[list[TokenLogprob], Prompt]]:
    """Score the tokens of a prompt, each after those before it; return what is left to go on from, too.

    The first token of a text has no log-probability: nothing stands before it.
    """
    tokenizer = model.tokenizer
    if not prompt.ids:
        found, left = [], prompt
    else:
        want = Want(top=num_top, state=True)
        result = yield from scored(Request(Purpose.SCORE, prompt.ids, want=want))
        tops = result.top or [[] for _ in prompt.ids]
        rows = zip(prompt.ids, result.logprobs, tops, prompt.offsets, strict=True)
        found = [token_logprob(tokenizer, *row) for row in rows]
        left = replace(prompt, ids=[], start=result.state)
    if prompt.names_eos:
        return [TokenLogprob(EOS, None, [], 0), *found], left
    if found:
        found[0] = TokenLogprob(found[0].token, None, [], found[0].offset)
    return found, left


def seed_of(seed: int, index: int) -> int:
    """Return the seed of a text by its index from 1: a hash of both. The first text has the request's own."""
    digest = hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _write(
    model: TextModel, prompt: Prompt, params: GenerationParams, sampling: SamplingParams, index: int
) -> Operation[Completion]:
    """Write one text, with a delta for each piece of it."""
    wants_logprobs = params.logprobs is not None
    text = IncrementalText(model.tokenizer, prompt, params.stop, wants_logprobs=wants_logprobs)
    want = Want(top=params.logprobs or 0, state=params.return_state)
    is_streamed = params.stream or bool(params.stop)
    written = yield Request(
        Purpose.GENERATE, prompt.ids, prompt.start, sampling, want, is_streamed=is_streamed
    )
    parts: list[Delta] = []
    while True:
        assert isinstance(written, Written)
        piece, reason, logprobs = text.take(written)
        state = written.state
        if text.is_stopped:
            # The engine may have written on, so what counts of the text is read once more.
            state = None
            if params.return_state:
                state = yield from read([*prompt.ids, *text.token_ids], prompt.start)
        parts.append(Delta(index, piece, reason, logprobs, state))
        yield parts[-1]
        if reason:
            return _completion(parts, text, params)
        written = yield MORE


def _search(
    model: TextModel, prompt: Prompt, params: GenerationParams, sampling: SamplingParams
) -> Operation[list[Completion]]:
    """Find the likeliest texts."""
    wants_logprobs = params.logprobs is not None
    beams = BeamParams(params.num_beams, params.length_penalty)
    want = Want(top=params.logprobs or 0, state=params.return_state)
    searched = yield Request(Purpose.BRANCH, prompt.ids, prompt.start, sampling, want, beams=beams)
    assert isinstance(searched, Searched)
    found = []
    for each in searched.hypotheses[: params.n]:
        text = IncrementalText(model.tokenizer, prompt, params.stop, wants_logprobs=wants_logprobs)
        state = each.state
        written = Written(each.token_ids, each.logprobs, each.top, each.finish_reason)
        piece, reason, logprobs = text.take(written)
        if text.is_stopped and params.return_state:
            state = yield from read([*prompt.ids, *text.token_ids], prompt.start)
        found.append(_completion([Delta(0, piece, reason, logprobs, state)], text, params))
    return found


def _completion(
    parts: Sequence[Delta], written: IncrementalText, params: GenerationParams
) -> Completion:
    """Join the pieces of a text."""
    last = parts[-1]
    assert last.finish_reason is not None
    text = "".join([part.text for part in parts])
    logprobs = [each for part in parts for each in part.logprobs]
    shown = None if params.logprobs is None else logprobs
    num_tokens = len(written.token_ids)
    mean = written.sum_logprobs / max(1, num_tokens)
    return Completion(last.index, text, last.finish_reason, shown, last.state, mean, num_tokens)


def _best(completions: list[Completion], params: GenerationParams) -> list[Completion]:
    """Keep the n likeliest of each prompt's texts, by the mean token."""
    kept: list[Completion] = []
    for first in range(0, len(completions), params.num_tried):
        tried = completions[first : first + params.num_tried]
        kept += sorted(tried, key=lambda each: -each.mean_logprob)[: params.n]
    return _numbered(kept)


def _numbered(completions: Iterable[Completion]) -> list[Completion]:
    return [replace(each, index=index) for index, each in enumerate(completions)]
