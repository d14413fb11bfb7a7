"""`POST /generate`: prompts to texts."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, create_model

from refrain.app.api.schemas.body import Answer, ModelName, ReturnState, State, Texts, TimedBody
from refrain.app.api.schemas.sampling import sampling_fields
from refrain.inference.operations.generation import BOUNDS, GenerationParams, check_search
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.sampling import PARAMETERS, SamplingParams

Stop = Annotated[str, Field(min_length=1, max_length=200)]


def _as_list(stop: str | list[str]) -> list[str]:
    return [stop] if isinstance(stop, str) else stop


SamplingBody = create_model(
    "SamplingBody", __base__=TimedBody, **sampling_fields(is_nullable=False)
)
"""A body that sets how tokens are sampled: one field for each of `PARAMETERS`."""


class GenerateBody(SamplingBody):
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

    prompt: Texts = Field(
        "",
        validate_default=True,
        description="What to go on with; empty for the beginning of a text.",
    )
    model: ModelName = None
    stop: Annotated[
        Stop | Annotated[list[Stop], Field(max_length=16)], AfterValidator(_as_list)
    ] = Field(default_factory=list, description="Strings that end the text; they are not returned.")
    seed: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        description="The same seed gives the same text; without one, a new one.",
    )
    n: int = Field(1, **BOUNDS["n"], description="Texts for each prompt.")
    best_of: int | None = Field(
        None,
        **BOUNDS["best_of"],
        description="Texts to write for each prompt, of which the n likeliest (by the mean token) are returned.",
    )
    num_beams: int = Field(
        1,
        **BOUNDS["num_beams"],
        description="Above 1: search for the likeliest texts with this many hypotheses (beam search) and return the n "
        "best; nothing is drawn by chance, and nothing streams.",
    )
    length_penalty: float = Field(
        1.0,
        **BOUNDS["length_penalty"],
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
        **BOUNDS["logprobs"],
        description="Report each token's log-probability and this many alternatives.",
    )
    stream: bool = Field(default=False, description="Answer with server-sent events.")
    state: State = None
    return_state: ReturnState = False

    def params(self) -> GenerationParams:
        """Return what is wanted of each prompt.

        Raises
        ------
        InvalidParameterError
            For fields that do not go together.
        """
        try:
            check_search(self.model_fields_set, self.num_beams)
        except InvalidParameterError as error:
            raise InvalidParameterError(f"{error.param}: {error}", error.param) from error
        sampling = SamplingParams(**{name: getattr(self, name) for name in PARAMETERS})
        return GenerationParams(sampling, **self.taken(GenerationParams))


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
