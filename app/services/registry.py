"""The loaded models and their drivers, by name: the one place that owns them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import TypeVar

from inference.drivers.engine_thread import Caller
from inference.drivers.micro_batcher import MicroBatcher
from inference.drivers.threaded import ThreadedDriver
from inference.engine.config import EngineConfig
from inference.errors import UnknownModelError, WrongTaskError
from inference.loading import load_engine
from inference.operations.classification import MAX_BATCH
from inference.operations.text_model import TextModel
from inference.runners.precision import Precision
from models.checkpoint import Checkpoint
from models.classifier import Classifier
from models.language import first_of_language, in_order, recognise_language


@dataclass(frozen=True)
class LoadedLanguageModel:
    """A next-token model and the driver that serves it."""

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
            partial(checkpoint.model.probabilities, boundary_id=eos_id),
            max_batch=MAX_BATCH,
            max_queue=config.max_queue,
            num_tokens_of=len,
        )
        return LoadedClassifier(checkpoint.name, checkpoint, batcher)
    model, engine = load_engine(checkpoint, config, precision)
    driver = ThreadedDriver(engine, config.max_queue)
    return LoadedLanguageModel(model.name, checkpoint, model, driver)


class Registry:
    """Finds the model that a request names, or the one that suits its text."""

    def __init__(self, loaded: Sequence[Loaded], preferred: Sequence[str]) -> None:
        by_name = {each.name: each for each in loaded}
        self.models: Mapping[str, Loaded] = {
            name: by_name[name] for name in in_order(by_name, preferred)
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

    def get(self, name: str) -> Loaded:
        """Find a model by name.

        Raises
        ------
        UnknownModelError
            If no model has this name; the message lists those that are loaded.
        """
        if name not in self.models:
            known = ", ".join(self.models) or "none"
            near = get_close_matches(name[:100], self.models, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UnknownModelError(f"no model named {name!r}; {hint}loaded are: {known}")
        return self.models[name]

    @property
    def default_name(self) -> str | None:
        """Name of the language model that comes first, whatever the text."""
        return next((n for n, m in self.models.items() if isinstance(m, LoadedLanguageModel)), None)

    def language_model(self, name: str | None, text: str, caller: Caller) -> LoadedLanguageModel:
        """Find the language model of a name, or the first one of the text's language, for a caller to ask.

        Raises
        ------
        UnknownModelError
            If no model has this name, or no language model is loaded.
        WrongTaskError
            If the named model is no language model.
        """
        return self._find(LoadedLanguageModel, "language model", name, text, caller)

    def classifier(
        self, name: str | None, language: str | None, text: str, caller: Caller
    ) -> LoadedClassifier:
        """Find the classifier of a name, of a language, or of the text's language, for a caller to ask.

        Raises
        ------
        UnknownModelError
            If no model has this name, or no classifier is loaded.
        WrongTaskError
            If the named model is no classifier.
        """
        return self._find(LoadedClassifier, "classifier", name, text, caller, language)

    def _find(
        self,
        kind: type[LoadedT],
        called: str,
        name: str | None,
        text: str,
        caller: Caller,
        language: str | None = None,
    ) -> LoadedT:
        candidates = {n: each for n, each in self.models.items() if isinstance(each, kind)}
        if name is not None:
            named = self.get(name)
            caller.stats.note_model(named.name)
            if not isinstance(named, kind):
                known = ", ".join(candidates) or "none"
                raise WrongTaskError(
                    f"{name} is no {called}; this route takes one, and loaded are: {known}"
                )
            return named
        languages = {n: each.checkpoint.card.language for n, each in candidates.items()}
        first = first_of_language(languages, language or recognise_language(text))
        if first is None:
            raise UnknownModelError(f"no {called} is loaded")
        caller.stats.note_model(first)
        return candidates[first]
