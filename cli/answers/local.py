"""Answers of a model in this process, as the service would give them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from app.settings import Settings
from cli.answers.protocol import Answer
from cli.model_folder import CLASSIFIERS, LANGUAGE_MODELS, ModelFolder
from cli.options import num_threads_of, only
from cli.serve import read_settings
from inference.local import LocalClassifier, LocalModel
from inference.operations.embedding import Pooling
from inference.operations.generation import GenerationParams, new_seed
from inference.operations.next_token import NextQuery
from inference.operations.rescoring import Hypothesis, RescoringParams
from inference.operations.scoring import ScoreParams
from inference.runners.precision import Precision
from models.language import recognise_language

SAMPLED = 500
"""Characters of each text by which the model is chosen."""


class LocalAnswers:
    """A folder of checkpoints, of which those that are needed are loaded.

    Parameters
    ----------
    model
        A checkpoint's name or folder; None for the one that suits the first texts.
    """

    max_texts = 1 << 20

    def __init__(
        self, settings: Settings, model: str | None, precision: Precision, num_threads: int
    ) -> None:
        torch.set_num_threads(num_threads)
        preferred = [name.strip() for name in settings.preferred_models.split(",")]
        self._folder = ModelFolder(settings.models, preferred)
        self._name = model
        self._precision = precision
        self._num_threads = num_threads
        self._model: LocalModel | None = None
        self._classifiers: dict[str, LocalClassifier] = {}

    @classmethod
    def of(cls, options: argparse.Namespace) -> LocalAnswers:
        """Make those that flags ask for."""
        settings = read_settings(argparse.Namespace(**only(vars(options), "models")))
        return cls(settings, options.model, options.precision, num_threads_of(options))

    def language_model(self, sample: str) -> LocalModel:
        """Return the language model that is named, or suits a text; from then on the same one."""
        if self._model is None:
            if self._name is None:
                directory = self._folder.suitable(LANGUAGE_MODELS, recognise_language(sample))
            else:
                directory = self._folder.named(self._name)
            self._model = LocalModel(
                directory, precision=self._precision, num_threads=self._num_threads
            )
        return self._model

    def generate(
        self, prompts: Sequence[str], params: GenerationParams, seed: int | None
    ) -> Iterator[Answer]:
        """Continue prompts."""
        model = self.language_model("".join(prompts))
        seeds = [_seed(params, seed) for _ in prompts]
        for generation in model.generate_all(prompts, params, seeds):
            yield {"model": model.checkpoint.name, **generation.as_json()}

    def stream(self, prompt: str, params: GenerationParams, seed: int | None) -> Iterator[str]:
        """Continue one prompt."""
        sampling = replace(params.sampling, seed=_seed(params, seed))
        wanted = replace(params, sampling=sampling)
        for delta in self.language_model(prompt).stream(prompt, wanted):
            yield delta.text

    def score(self, texts: Sequence[str], params: ScoreParams) -> Iterator[Answer]:
        """Measure texts."""
        model = self.language_model(_sample(texts))
        for score in model.score_all(texts, params):
            yield {"model": model.checkpoint.name, **score.as_json()}

    def next(self, prefixes: Sequence[str], query: NextQuery) -> Iterator[Answer]:
        """Predict what follows prefixes."""
        model = self.language_model("".join(prefixes) or query.starts_with)
        for found in model.next_all(prefixes, query):
            yield {"model": model.checkpoint.name, **found.as_json()}

    def rescore(
        self, context: str, hypotheses: Sequence[Hypothesis], params: RescoringParams
    ) -> Answer:
        """Order hypotheses."""
        model = self.language_model(context + "".join(each.text[:100] for each in hypotheses))
        ordered = model.rescore(hypotheses, params, context=context)
        return {
            "model": model.checkpoint.name,
            "hypotheses": [each.as_json() for each in ordered],
        }

    def embed(self, texts: Sequence[str], pooling: Pooling) -> Iterator[Answer]:
        """Turn texts to vectors."""
        model = self.language_model(_sample(texts))
        for vector in model.embed_all(texts, pooling):
            yield {"model": model.checkpoint.name, "embedding": vector.tolist()}

    def sentiment(self, texts: Sequence[str], language: str | None) -> Iterator[Answer]:
        """Judge reviews, each with the model of its own language."""
        chosen = [self._classifier(language or recognise_language(text)) for text in texts]
        found = {
            model: model.classify_all(
                [text for text, its in zip(texts, chosen, strict=True) if its is model]
            )
            for model in dict.fromkeys(chosen)
        }
        for model in chosen:
            yield next(found[model]).as_json()

    def close(self) -> None:
        """Nothing is open."""

    def _classifier(self, language: str | None) -> LocalClassifier:
        key = language or ""
        if key not in self._classifiers:
            if self._name is None:
                directory = self._folder.suitable(CLASSIFIERS, language)
            else:
                directory = self._folder.named(self._name)
            known = {m.checkpoint.name: m for m in self._classifiers.values()}
            self._classifiers[key] = known.get(directory.name) or LocalClassifier(directory)
        return self._classifiers[key]


def _seed(params: GenerationParams, given: int | None) -> int:
    if given is not None:
        return given
    return 0 if params.beams else new_seed()


def _sample(texts: Sequence[str]) -> str:
    return "".join(text[:SAMPLED] for text in texts)
