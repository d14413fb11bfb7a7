"""Answers about the server itself: its load, its health, its versions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelLoad:
    """One model's engine just now; totals are since the start."""

    model: str
    num_running: int
    num_waiting: int
    max_slots: int
    max_queue: int
    prompt_tokens_total: int
    generation_tokens_total: int
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Load:
    """The service just now: "ready" or "not_ready"."""

    status: str
    uptime_seconds: float
    models: tuple[ModelLoad, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """The state of a service that answers: "live" or "ready"."""

    status: str


@dataclass(frozen=True, slots=True)
class Version:
    """The versions of the server's parts, and its device."""

    refrain: str
    python: str
    torch: str
    device: str
