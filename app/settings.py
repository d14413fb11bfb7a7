"""Every setting and limit of the service, read once from flags and the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from refrain.app.log_format import LogFormat

Limit = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """Settings of `refrain serve`: flags win over `REFRAIN_*` variables, which win over these defaults."""

    model_config = SettingsConfigDict(env_prefix="REFRAIN_", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    trusted_proxies: str = Field(
        "",
        description="comma-separated addresses of proxies whose X-Forwarded-For identifies callers; * for any",
    )
    cors_origins: str = Field(
        "",
        description="comma-separated origins whose pages may send requests, such as https://example.org; * for any",
    )
    models: Path | None = Field(
        None,
        description="folder of checkpoints, each a sub-folder (default: checkpoints here, beside the shipped models)",
    )
    shipped: bool | None = Field(
        None,
        description="serve the shipped models beside one's own, which win by name: true or false "
        "(default: true only without --models)",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the models run")
    precision: Literal["auto", "int8", "bf16", "fp32"] = Field(
        "auto",
        description="numbers that language models compute with; auto takes int8 where it is fast",
    )
    num_threads: int = Field(
        0, ge=0, description="threads of one step; 0 takes as many as there are processors"
    )
    preferred_models: str = Field(
        "tang,english,sentiment-en,sentiment-zh",
        description="comma-separated models to prefer where a request names none",
    )
    max_slots: Limit = Field(64, description="texts of one model that advance together")
    max_queue: Limit = Field(256, description="texts of one model that may wait; more get a 503")
    max_body_bytes: Limit = Field(4_194_304, description="longest request body; more gets a 413")
    max_prompt_tokens: Limit = Field(8_192, description="longest prompt or prefix, in tokens")
    max_score_tokens: Limit = Field(262_144, description="longest text to score, in tokens")
    max_classify_tokens: Limit = Field(8_192, description="longest text to classify, in tokens")
    max_tokens: Limit = Field(4_096, description="most tokens that one text may be continued by")
    max_texts: Limit = Field(128, description="most texts of one request, n counted")
    request_timeout: float = Field(
        0, ge=0, description="seconds after which any answer is a 504; 0 for no limit"
    )
    prefix_cache_bytes: int = Field(
        33_554_432, ge=0, description="bytes of one model's prefix cache; 0 for no cache"
    )
    max_sessions: Limit = Field(10_000, description="sessions that may be open, for all callers")
    session_cache_bytes: int = Field(
        268_435_456, ge=0, description="bytes that all adaptive sessions together may remember"
    )
    session_idle_seconds: float = Field(
        900, gt=0, description="seconds after which an idle session is forgotten"
    )
    state_secret: SecretStr = Field(
        SecretStr(""),
        description="what signs states; replicas that share it take one another's; by default a new one at each start",
    )
    log_format: LogFormat = Field(
        "text", description="text, or json: one object per line, and a line for each request"
    )
    otlp_endpoint: str = Field(
        "",
        description="where traces go by OTLP over HTTP, such as http://localhost:4318; empty for nowhere",
    )
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field(
        "info", description="how much the server writes to its log"
    )

    @property
    def preferred_names(self) -> list[str]:
        """The names of `preferred_models`, in their order."""
        return [name.strip() for name in self.preferred_models.split(",")]
