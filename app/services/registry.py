"""The loaded models and their engines, by name: the one place that owns them."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeVar

import torch

from app.engine import tally
from app.engine.async_engine import AsyncEngine
from app.engine.config import EngineConfig
from app.engine.one_shot import OneShotEngine
from app.engine.precision import Precision, make_runner, version_of
from app.services.errors import UnknownModelError, WrongTaskError
from app.services.model_choice import first_of_language, in_order
from models.checkpoint import Checkpoint
from models.classifier import Classifier
from models.language import recognise_language
from models.padding import pad_texts

MAX_CLASSIFIER_BATCH = 32


@dataclass(frozen=True)
class WordIndex:
    """The words of a vocabulary in the order of their surfaces, without the space before each."""

    surfaces: list[str]
    token_ids: list[int]

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> WordIndex:
        """Sort a checkpoint's vocabulary."""
        tokenizer = checkpoint.tokenizer
        special = (tokenizer.unk_id, tokenizer.eos_id)
        words = [i for i in range(tokenizer.vocab_size) if i not in special]
        pairs = sorted((tokenizer.surface(i).lstrip(" "), i) for i in words)
        return cls([surface for surface, _ in pairs], [token_id for _, token_id in pairs])

    def starting_with(self, letters: str) -> list[int]:
        """Give the ids of the tokens that begin with these letters."""
        first = bisect_left(self.surfaces, letters)
        last = bisect_left(self.surfaces, letters + "\U0010ffff")
        return self.token_ids[first:last]


@dataclass(frozen=True)
class LoadedLanguageModel:
    """A next-token model and its engine.

    Attributes
    ----------
    precision
        "int8", "bf16" or "fp32".
    version
        A hash of weights and precision: a state fits this version alone.
    """

    checkpoint: Checkpoint
    engine: AsyncEngine
    words: WordIndex = field(repr=False)
    precision: str
    version: bytes


@dataclass(frozen=True)
class LoadedClassifier:
    """A classifier and its engine, which takes token ids and gives class probabilities."""

    checkpoint: Checkpoint
    engine: OneShotEngine[Sequence[int], list[float]]


Loaded = LoadedLanguageModel | LoadedClassifier
LoadedT = TypeVar("LoadedT", LoadedLanguageModel, LoadedClassifier)
AskedT = TypeVar("AskedT", bound=Loaded)


def load(checkpoint: Checkpoint, config: EngineConfig, precision: Precision = "auto") -> Loaded:
    """Give a checkpoint its engine, not yet started.

    Raises
    ------
    PrecisionError
        If the model has no form of that precision.
    """
    if isinstance(checkpoint.model, Classifier):
        return LoadedClassifier(checkpoint, _classifier_engine(checkpoint, config))
    boundary_id = checkpoint.tokenizer.eos_id
    chosen, runner = make_runner(checkpoint.model, precision, config, boundary_id=boundary_id)
    engine = AsyncEngine(runner, config, boundary_id=boundary_id)
    version = version_of(checkpoint.model, chosen)
    return LoadedLanguageModel(checkpoint, engine, WordIndex.of(checkpoint), chosen, version)


def _classifier_engine(
    checkpoint: Checkpoint, config: EngineConfig
) -> OneShotEngine[Sequence[int], list[float]]:
    model, boundary_id = checkpoint.model, checkpoint.tokenizer.eos_id
    assert isinstance(model, Classifier)

    def run_batch(texts: list[Sequence[int]]) -> list[list[float]]:
        return class_probabilities(model, texts, boundary_id)

    return OneShotEngine(
        run_batch,
        max_batch=MAX_CLASSIFIER_BATCH,
        max_queue=config.max_queue,
        num_tokens_of=len,
    )


@torch.inference_mode()
def class_probabilities(
    model: Classifier, texts: Sequence[Sequence[int]], boundary_id: int
) -> list[list[float]]:
    """Run one batch of texts, as token ids, through a classifier."""
    device = model.output.weight.device
    tokens_BT, lengths_B = pad_texts(texts, boundary_id)
    logits_BK = model(tokens_BT.to(device), lengths_B.to(device))
    rows: list[list[float]] = logits_BK.softmax(dim=1).tolist()
    return rows


class Registry:
    """Finds the model that a request names, or the one that suits its text."""

    def __init__(self, loaded: Sequence[Loaded], preferred: Sequence[str]) -> None:
        by_name = {m.checkpoint.name: m for m in loaded}
        self.models: Mapping[str, Loaded] = {
            name: by_name[name] for name in in_order(by_name, preferred)
        }

    @property
    def is_ready(self) -> bool:
        """Whether every engine serves."""
        return all(model.engine.is_alive for model in self.models.values())

    def start(self) -> None:
        """Start every engine."""
        for model in self.models.values():
            model.engine.start()

    async def stop(self) -> None:
        """Stop every engine; open work ends with an error."""
        await asyncio.gather(*(model.engine.stop() for model in self.models.values()))

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
            raise UnknownModelError(f"no model named {name!r}; {hint}loaded are: {known}", "model")
        return self.models[name]

    @property
    def default_name(self) -> str | None:
        """Name of the language model that comes first, whatever the text."""
        return next((n for n, m in self.models.items() if isinstance(m, LoadedLanguageModel)), None)

    def language_model(self, name: str | None, text: str) -> LoadedLanguageModel:
        """Find the language model of a name, or the first one of the text's language.

        Raises
        ------
        UnknownModelError
            If no model has this name, or no language model is loaded.
        WrongTaskError
            If the named model is no language model.
        """
        candidates = [m for m in self.models.values() if isinstance(m, LoadedLanguageModel)]
        if name is None:
            return asked(_by_language(candidates, recognise_language(text), "language model"))
        model = asked(self.get(name))
        if not isinstance(model, LoadedLanguageModel):
            raise _wrong_task(name, "language model", candidates)
        return model

    def classifier(self, name: str | None, language: str | None, text: str) -> LoadedClassifier:
        """Find the classifier of a name, of a language, or of the text's language.

        Raises
        ------
        UnknownModelError
            If no model has this name, or no classifier is loaded.
        WrongTaskError
            If the named model is no classifier.
        """
        candidates = [m for m in self.models.values() if isinstance(m, LoadedClassifier)]
        if name is None:
            found = _by_language(candidates, language or recognise_language(text), "classifier")
            return asked(found)
        model = asked(self.get(name))
        if not isinstance(model, LoadedClassifier):
            raise _wrong_task(name, "classifier", candidates)
        return model


def asked(model: AskedT) -> AskedT:
    """Give a model, which the request at hand asks from here on."""
    tally.current().ask(model.checkpoint.name)
    return model


def _by_language(candidates: Sequence[LoadedT], language: str | None, kind: str) -> LoadedT:
    by_name = {model.checkpoint.name: model for model in candidates}
    languages = {name: model.checkpoint.card.language for name, model in by_name.items()}
    name = first_of_language(languages, language)
    if name is None:
        raise UnknownModelError(f"no {kind} is loaded", "model")
    return by_name[name]


def _wrong_task(name: str, wanted: str, candidates: Sequence[Loaded]) -> WrongTaskError:
    names = ", ".join(model.checkpoint.name for model in candidates) or "none"
    message = f"{name} is no {wanted}; this route takes one, and loaded are: {names}"
    return WrongTaskError(message, "model")
