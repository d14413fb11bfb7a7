"""Answers of a model in this process, equal to those of the service."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from refrain.cli.answers.protocol import Answer, Answers
from refrain.cli.documents.texts import sample_of
from refrain.cli.options.answers import only
from refrain.cli.options.model_folder import CLASSIFIERS, LANGUAGE_MODELS, ModelFolder
from refrain.cli.options.processor import num_threads_of
from refrain.cli.options.settings import read_settings
from refrain.inference.local import LocalClassifier, LocalModel
from refrain.inference.operations.embedding import Pooling
from refrain.inference.operations.generation import Generation, GenerationParams
from refrain.inference.operations.next_token import NextQuery, NextToken
from refrain.inference.operations.rescoring import Hypothesis, RescoringParams
from refrain.inference.operations.scoring import ScoreParams, TextScore
from refrain.models.text.language import recognise_language


class LocalAnswers(Answers):
    """A folder of checkpoints, of which those that are needed are loaded.

    Parameters
    ----------
    options
        Their `model` is a checkpoint's name or folder; None for the one that suits the first texts.
    """

    max_texts = 1 << 20

    def __init__(self, options: argparse.Namespace) -> None:
        settings = read_settings(argparse.Namespace(**only(vars(options), "models")))
        self._folder = ModelFolder(settings)
        self._options = options
        self._num_threads = num_threads_of(options)
        self._model: LocalModel | None = None
        self._classifiers: dict[str | None, LocalClassifier] = {}
        torch.set_num_threads(self._num_threads)

    def language_model(self, sample: str) -> LocalModel:
        """Return the language model that is named, or suits a text; from then on the same one."""
        if self._model is None:
            self._model = LocalModel(
                self._directory(LANGUAGE_MODELS, recognise_language(sample)),
                precision=self._options.precision,
                num_threads=self._num_threads,
            )
        return self._model

    def generate(
        self, prompts: Sequence[str], params: GenerationParams, seed: int | None
    ) -> Iterator[Answer]:
        model = self.language_model("".join(prompts))
        return _named(model, model.generate_all(prompts, params, [seed] * len(prompts)))

    def stream(self, prompt: str, params: GenerationParams, seed: int | None) -> Iterator[str]:
        drawn = secrets.randbits(53) if seed is None else seed
        seeded = replace(params, sampling=replace(params.sampling, seed=drawn))
        for delta in self.language_model(prompt).stream(prompt, seeded):
            yield delta.text

    def score(self, texts: Sequence[str], params: ScoreParams) -> Iterator[Answer]:
        model = self.language_model(sample_of(texts))
        return _named(model, model.score_all(texts, params))

    def next(self, prefixes: Sequence[str], query: NextQuery) -> Iterator[Answer]:
        model = self.language_model("".join(prefixes) or query.starts_with)
        return _named(model, model.next_all(prefixes, query))

    def rescore(
        self, context: str, hypotheses: Sequence[Hypothesis], params: RescoringParams
    ) -> Answer:
        model = self.language_model(context + "".join(each.text[:100] for each in hypotheses))
        ordered = [each.as_json() for each in model.rescore(hypotheses, params, context=context)]
        return {"model": model.checkpoint.name, "hypotheses": ordered}

    def embed(self, texts: Sequence[str], pooling: Pooling) -> Iterator[Answer]:
        model = self.language_model(sample_of(texts))
        for vector in model.embed_all(texts, pooling):
            yield {"model": model.checkpoint.name, "embedding": vector.tolist()}

    def sentiment(self, texts: Sequence[str], language: str | None) -> Iterator[Answer]:
        chosen = [self._classifier(language or recognise_language(text)) for text in texts]
        pairs = list(zip(texts, chosen, strict=True))
        found = {
            model: model.classify_all([text for text, its in pairs if its is model])
            for model in dict.fromkeys(chosen)
        }
        for model in chosen:
            yield next(found[model]).as_json()

    def close(self) -> None:
        """Nothing is open."""

    def _classifier(self, language: str | None) -> LocalClassifier:
        if language not in self._classifiers:
            directory = self._directory(CLASSIFIERS, language)
            known = {each.checkpoint.name: each for each in self._classifiers.values()}
            self._classifiers[language] = known.get(directory.name) or LocalClassifier(directory)
        return self._classifiers[language]

    def _directory(self, tasks: Sequence[str], language: str | None) -> Path:
        name = self._options.model
        return self._folder.suitable(tasks, language) if name is None else self._folder.named(name)


def _named(
    model: LocalModel, found: Iterable[Generation | TextScore | NextToken]
) -> Iterator[Answer]:
    for each in found:
        yield {"model": model.checkpoint.name, **each.as_json()}
