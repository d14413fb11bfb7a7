"""`GET /load`: how much there is to do just now."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from refrain.app.api.schemas.body import Answer


class ModelLoad(Answer):
    """One model's engine."""

    model: str
    num_running: int = Field(description="Texts that hold a slot, or are in a classifier's batch.")
    num_waiting: int = Field(description="Texts that wait for one.")
    max_slots: int = Field(description="Texts that may run together.")
    max_queue: int = Field(description="Texts that may wait; more get a 503.")
    prompt_tokens_total: int = Field(description="Given tokens that were read since the start.")
    generation_tokens_total: int = Field(description="Tokens that were written since the start.")
    tokens_per_second: float = Field(
        description="Tokens read and written a second, over the last five to six seconds."
    )


class LoadAnswer(Answer):
    """The service and every loaded model."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ready",
                    "uptime_seconds": 12.3,
                    "models": [
                        {
                            "model": "tang",
                            "num_running": 1,
                            "num_waiting": 0,
                            "max_slots": 64,
                            "max_queue": 256,
                            "prompt_tokens_total": 10,
                            "generation_tokens_total": 20,
                            "tokens_per_second": 5.0,
                        }
                    ],
                }
            ]
        }
    )

    status: Literal["ready", "not_ready"] = Field(
        description="`not_ready`: starting, stopping, or an engine broke; `/health/ready` is a 503 then."
    )
    uptime_seconds: float
    models: list[ModelLoad]
