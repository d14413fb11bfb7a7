"""`POST /generate`: prompts to texts."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.api.schemas.body import Answer, ModelName, ReturnState, State, Texts, TimedBody
from app.engine.beam_search import BeamParams
from models.native.sequence import SamplingParams

Stop = Annotated[str, Field(min_length=1, max_length=200)]


class GenerateBody(TimedBody):
    """What to go on with, and how."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "prompt": "床前明月光，",
                    "model": "tang",
                    "max_tokens": 48,
                    "temperature": 0.8,
                    "top_p": 0.9,
                    "seed": 7,
                }
            ]
        }
    )

    prompt: Texts = Field("", description="What to go on with; empty for the beginning of a text.")
    model: ModelName = None
    max_tokens: int = Field(
        64, ge=0, description="Most tokens to write; a poem's character is one."
    )
    temperature: float = Field(1.0, ge=0, le=100, description="0 takes the likeliest token.")
    top_k: int = Field(
        0, ge=0, le=1_000_000, description="Keep the k likeliest tokens; 0 keeps all."
    )
    top_p: float = Field(
        1.0, gt=0, le=1, description="Keep the likeliest with this much probability."
    )
    min_p: float = Field(
        0.0, ge=0, le=1, description="Keep tokens with this share of the likeliest's probability."
    )
    repetition_penalty: float = Field(
        1.0,
        ge=0.01,
        le=100,
        description="Above 1 makes tokens that the text has already less likely; of a text that goes on from a state "
        "the tokens since then.",
    )
    frequency_penalty: float = Field(
        0.0, ge=-100, le=100, description="Taken off a token's logit for each time it was written."
    )
    presence_penalty: float = Field(
        0.0, ge=-100, le=100, description="Taken off a token's logit once it was written."
    )
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] = Field(
        default_factory=list, description="Strings that end the text; they are not returned."
    )
    seed: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        description="The same seed gives the same text; without one, a new one.",
    )
    n: int = Field(1, ge=1, le=128, description="Texts for each prompt.")
    best_of: int | None = Field(
        None,
        ge=1,
        le=128,
        description="Texts to write for each prompt, of which the n likeliest (by the mean token) are returned.",
    )
    num_beams: int = Field(
        1,
        ge=1,
        le=32,
        description="Above 1: search for the likeliest texts with this many hypotheses (beam search) and return the n "
        "best; nothing is drawn by chance, and nothing streams.",
    )
    length_penalty: float = Field(
        1.0,
        ge=-10,
        le=10,
        description="Of a search: texts are ranked by log-probability over length to this power.",
    )
    logit_bias: dict[str, Annotated[float, Field(ge=-1000, le=1000)]] = Field(
        default_factory=dict,
        max_length=1000,
        description='Added to the logits of tokens, by their text: `{" the": -5}`.',
    )
    allowed: Annotated[list[str], Field(min_length=1, max_length=100_000)] | None = Field(
        None,
        description="Tokens, by their text, of which alone the answer may be made; the end is allowed too.",
    )
    logprobs: int | None = Field(
        None,
        ge=0,
        le=20,
        description="Report each token's log-probability and this many alternatives.",
    )
    stream: bool = Field(default=False, description="Answer with server-sent events.")
    state: State = None
    return_state: ReturnState = False
    ignore_eos: bool = Field(default=False, description="Never end before max_tokens.")

    @model_validator(mode="after")
    def _draw_or_search(self) -> GenerateBody:
        if self.num_beams > 1:
            for name in _DRAWN:
                if name in self.model_fields_set:
                    raise PydanticCustomError(
                        "search",
                        "a search draws nothing by chance: leave {name} out",
                        {"name": name},
                    )
        elif "length_penalty" in self.model_fields_set:
            message = "length_penalty belongs to a search: num_beams > 1"
            raise PydanticCustomError("search", message, {"name": "length_penalty"})
        return self

    def sampling(self) -> SamplingParams:
        """Give how tokens are to be chosen, but for the seed, and what names tokens by their text."""
        return SamplingParams(
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
            ignore_eos=self.ignore_eos,
        )

    def beams(self) -> BeamParams | None:
        """Give how to search, if this is a search."""
        return BeamParams(self.num_beams, self.length_penalty) if self.num_beams > 1 else None


_DRAWN = ("temperature", "top_k", "top_p", "min_p", "best_of", "stream")


class TokenAlternative(Answer):
    """A token that could have stood there."""

    token: str
    logprob: float


class TokenLogprobAnswer(Answer):
    """A written token and the likeliest in its place."""

    token: str
    logprob: float = Field(description="Natural logarithm, of the model's own distribution.")
    top: list[TokenAlternative]


class ChoiceAnswer(Answer):
    """One text; `index` is prompt x n + i."""

    index: int
    text: str
    finish_reason: str = Field(
        description="`stop`: it ended by itself or at a stop string; `length`."
    )
    logprobs: list[TokenLogprobAnswer] | None = None
    state: str | None = None


class UsageAnswer(Answer):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class GenerateAnswer(Answer):
    """The texts, and the seed that gives them again."""

    model: str
    choices: list[ChoiceAnswer]
    seed: int
    usage: UsageAnswer
