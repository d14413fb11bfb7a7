"""The loaded models and their drivers, by name: their only owner."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import ClassVar, NoReturn, TypeVar

from refrain.inference.drivers.engine_thread import Caller
from refrain.inference.drivers.micro_batcher import MicroBatcher
from refrain.inference.drivers.threaded import ThreadedDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.errors import UnknownModelError, WrongTaskError
from refrain.inference.loading import load_engine
from refrain.inference.operations.classification import MAX_BATCH
from refrain.inference.operations.text_model import TextModel
from refrain.inference.runners.precision import Precision
from refrain.models.checkpoint import Checkpoint
from refrain.models.networks.classifier import Classifier
from refrain.models.text.language import first_of_language, in_order, recognise_language


@dataclass(frozen=True)
class LoadedLanguageModel:
    """A next-token model and the driver that serves it."""

    called: ClassVar[str] = "language model"

    name: str
    checkpoint: Checkpoint
    model: TextModel
    driver: ThreadedDriver

    @property
    def precision(self) -> str:
        """Numbers that it computes with: "int8", "bf16" or "fp32"."""
        return self.model.precision


@dataclass(frozen=True)
class LoadedClassifier:
    """A classifier and its driver, which takes token ids and returns class probabilities."""

    called: ClassVar[str] = "classifier"

    name: str
    checkpoint: Checkpoint
    driver: MicroBatcher[Sequence[int], list[float]]
    precision: str = "fp32"


Loaded = LoadedLanguageModel | LoadedClassifier
LoadedT = TypeVar("LoadedT", LoadedLanguageModel, LoadedClassifier)


def load(checkpoint: Checkpoint, config: EngineConfig, precision: Precision = "auto") -> Loaded:
    """Pair a checkpoint with its driver, not yet started.

    Raises
    ------
    PrecisionError
        If the model has no form of that precision.
    """
    if isinstance(checkpoint.model, Classifier):
        eos_id = checkpoint.tokenizer.eos_id
        batcher = MicroBatcher[Sequence[int], list[float]](
            partial(checkpoint.model.probabilities, eos_id=eos_id),
            max_batch=MAX_BATCH,
            max_queue=config.max_queue,
        )
        return LoadedClassifier(checkpoint.name, checkpoint, batcher)
    model, engine = load_engine(checkpoint, config, precision)
    driver = ThreadedDriver(engine, config.max_queue)
    return LoadedLanguageModel(model.name, checkpoint, model, driver)


class ModelsByName(dict[str, Loaded]):
    """Models by name.

    Raises
    ------
    UnknownModelError
        For a name that no model has; the message lists those that are loaded.
    """

    def __missing__(self, name: str) -> NoReturn:
        known = ", ".join(self) or "none"
        near = get_close_matches(name[:100], self, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UnknownModelError(f"no model named {name!r}; {hint}loaded: {known}")


class Registry:
    """Finds the model that a request names, or the one that suits its text."""

    def __init__(self, loaded: Sequence[Loaded], preferred: Sequence[str]) -> None:
        by_name = {each.name: each for each in loaded}
        self.models = ModelsByName({name: by_name[name] for name in in_order(by_name, preferred)})
        self._languages: dict[type[Loaded], dict[str, str]] = {
            kind: {
                name: each.checkpoint.card.language
                for name, each in self.models.items()
                if isinstance(each, kind)
            }
            for kind in (LoadedLanguageModel, LoadedClassifier)
        }

    @property
    def is_ready(self) -> bool:
        """Whether every engine serves."""
        return all(each.driver.is_alive for each in self.models.values())

    def start(self) -> None:
        """Start every engine."""
        for each in self.models.values():
            each.driver.start_thread()

    async def stop(self) -> None:
        """Stop every engine; open work ends with an error."""
        await asyncio.gather(*(each.driver.stop() for each in self.models.values()))

    @property
    def default_name(self) -> str | None:
        """Name of the language model that comes first, whatever the text."""
        return next(iter(self._languages[LoadedLanguageModel]), None)

    def find(
        self,
        kind: type[LoadedT],
        name: str | None,
        text: str,
        caller: Caller,
        language: str | None = None,
    ) -> LoadedT:
        """Find the model of a name, else the first of a language or the text's own, for a caller to ask.

        Raises
        ------
        UnknownModelError
            If no model has this name, or none of the kind is loaded.
        WrongTaskError
            If the named model is of another kind.
        """
        languages = self._languages[kind]
        if name is None:
            name = first_of_language(languages, language or recognise_language(text))
        if name is None:
            raise UnknownModelError(f"no {kind.called} is loaded")
        found = self.models[name]
        caller.stats.note_model(name)
        if not isinstance(found, kind):
            known = ", ".join(languages) or "none"
            raise WrongTaskError(f"this route takes a {kind.called}, not {name}; loaded: {known}")
        return found
