"""Bodies of the OpenAI-compatible routes: known fields are checked, unknown ones are let pass."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator
from pydantic_core import PydanticCustomError

from refrain.app.api.schemas.sampling import sampling_fields
from refrain.inference.operations.generation import BOUNDS, GenerationParams
from refrain.models.native.step.sampling import PARAMETERS, SamplingParams

MAX_SEED = 2**63
TOKEN_ID = re.compile(r"[0-9]{1,10}")
DEFAULT_MAX_TOKENS = 16


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)


def _text_or_ids(value: Any) -> Any:
    if isinstance(value, str) or _is_ids(value):
        return value
    is_list = isinstance(value, list) and bool(value)
    if is_list and (all(isinstance(item, str) for item in value) or all(map(_is_ids, value))):
        return value
    raise PydanticCustomError(
        "texts",
        "give a string, strings, token ids, or lists of token ids; none of them an empty list",
    )


TextOrIds = Annotated[str | list[str] | list[int] | list[list[int]], BeforeValidator(_text_or_ids)]
"""A string, strings, token ids, or lists of token ids."""


def as_prompts(given: str | list[str] | list[int] | list[list[int]]) -> list[str | list[int]]:
    """Take one prompt as a list of one."""
    if isinstance(given, str):
        return [given]
    if _is_ids(given):
        return [cast("list[int]", given)]
    return list(cast("list[str | list[int]]", given))


class OpenBody(BaseModel):
    """A body that may hold fields which this service does not know."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)

    model: str | None = Field(
        None, description="Name of a loaded model; without one the first language model."
    )


class StreamOptions(BaseModel):
    """What a stream reports besides its text."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    include_usage: bool | None = Field(
        None, description="End with a chunk of no choices that counts tokens."
    )


def _as_stops(value: Any) -> Any:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


SamplingBody = create_model("SamplingBody", __base__=OpenBody, **sampling_fields(is_nullable=True))
"""A body that sets how tokens are sampled: one field for each of `PARAMETERS`."""


class CompletionBody(SamplingBody):
    """What to go on with, in OpenAI's words."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "tang", "prompt": "床前明月光，", "max_tokens": 48, "seed": 7}]
        }
    )

    prompt: TextOrIds = Field("", description="Text or token ids to go on with, or a list of them.")
    max_tokens: int | None = Field(DEFAULT_MAX_TOKENS, ge=0)
    top_k: int | None = Field(0, ge=-1, le=1_000_000, description="0 and -1 keep all.")
    n: int | None = Field(1, **BOUNDS["n"])
    best_of: int | None = Field(None, **BOUNDS["best_of"])
    stop: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]],
        BeforeValidator(_as_stops),
        Field(max_length=64),
    ] = Field(default_factory=list, description="A string or strings that end the text.")
    seed: int | None = Field(None, ge=-MAX_SEED, lt=MAX_SEED)
    logprobs: int | None = Field(
        None, **BOUNDS["logprobs"], description="Report this many alternatives to each token."
    )
    echo: bool | None = Field(default=False, description="Give the prompt back before the text.")
    logit_bias: dict[str, Annotated[float, Field(ge=-1000, le=1000)]] | None = Field(
        None, max_length=1000, description="Added to logits, by token id."
    )
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    suffix: str | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> CompletionBody:
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError(
                "stream", "stream_options needs stream: true", {"name": "stream_options"}
            )
        if self.suffix:
            raise PydanticCustomError(
                "suffix",
                "a recurrent model reads forwards only: leave suffix out",
                {"name": "suffix"},
            )
        wrong = next((key for key in self.logit_bias or () if not TOKEN_ID.fullmatch(key)), None)
        if wrong is not None:
            raise PydanticCustomError(
                "logit_bias",
                "logit_bias takes token ids, not {key}",
                {"name": "logit_bias", "key": wrong[:50]},
            )
        return self

    def sampling(self) -> SamplingParams:
        """Return how tokens are to be sampled; null stands for the default."""
        given = {name: getattr(self, name) for name in PARAMETERS}
        given["top_k"] = max(0, self.top_k or 0)
        if self.max_tokens is None:
            given["max_tokens"] = DEFAULT_MAX_TOKENS
        return SamplingParams(**{name: value for name, value in given.items() if value is not None})

    def params(self) -> GenerationParams:
        """Return what is wanted of each prompt."""
        return GenerationParams(
            sampling=self.sampling(),
            n=self.n or 1,
            best_of=self.best_of,
            stop=self.stop,
            logit_bias={int(key): value for key, value in (self.logit_bias or {}).items()},
            logprobs=self.logprobs,
            stream=bool(self.stream),
        )


class EmbeddingsBody(OpenBody):
    """What to embed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "english", "input": ["A ship.", "A boat."]}]}
    )

    input: TextOrIds = Field(description="Text or token ids, or a list of them.")
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = Field(None, ge=1, description="Only the model's own size.")


class TokenizeBody(OpenBody):
    """What to turn to token ids."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"prompt": "床前明月光"}]})

    prompt: str
    add_special_tokens: bool = Field(
        default=True, description="Begin with the boundary that every text begins with."
    )
    return_token_strs: bool | None = False


class DetokenizeBody(OpenBody):
    """What to turn to text."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tokens": [1, 5, 6]}]})

    tokens: list[int]
