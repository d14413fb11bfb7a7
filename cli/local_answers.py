"""Answers of a model in this process, as the service would give them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import torch

from app.api.schemas.body import as_list
from app.api.schemas.generate import GenerateBody
from app.api.schemas.next_token import NextBody
from app.api.schemas.score import ScoreBody, TokenScoreAnswer
from app.api.schemas.sentiment import SentimentBody
from app.engine.precision import Precision
from app.local import LocalClassifier, LocalModel
from app.local.writing import Writing, WritingOptions
from app.services.next_token import NextToken, Prediction
from app.services.scoring import TextScore
from app.settings import Settings
from cli.answers import Answer, OnText
from cli.model_folder import CLASSIFIERS, LANGUAGE_MODELS, ModelFolder
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

    def language_model(self, sample: str) -> LocalModel:
        """Give the language model that is named, or suits a text; from then on the same one."""
        if self._model is None:
            if self._name is None:
                directory = self._folder.suitable(LANGUAGE_MODELS, recognise_language(sample))
            else:
                directory = self._folder.named(self._name)
            self._model = LocalModel(
                directory, precision=self._precision, num_threads=self._num_threads
            )
        return self._model

    def generate(self, body: GenerateBody, on_text: OnText | None = None) -> Iterator[Answer]:
        """Continue prompts."""
        prompts = as_list(body.prompt)
        model = self.language_model("".join(prompts))
        options = _writing_options(body, on_text)
        if body.seed is not None or options.beams:
            seeds = [body.seed or 0] * len(prompts)
        else:
            seeds = [secrets.randbits(53) for _ in prompts]
        for writing, seed in zip(model.generate_all(prompts, options, seeds), seeds, strict=True):
            yield {
                "model": model.checkpoint.name,
                **_written(writing),
                "seed": seed,
                **_usage(writing),
            }

    def score(self, body: ScoreBody) -> Iterator[Answer]:
        """Measure texts."""
        texts = as_list(body.text)
        model = self.language_model("".join(text[:SAMPLED] for text in texts))
        scores = model.score_all(texts, per_token=body.per_token, count_end=body.count_end)
        for score in scores:
            values = score_values(score)
            if body.per_token:
                tokens = map(TokenScoreAnswer.of, score.tokens)
                values["tokens"] = [token.model_dump(exclude_unset=True) for token in tokens]
            yield {"model": model.checkpoint.name, **values}

    def next(self, body: NextBody) -> Iterator[Answer]:
        """Predict what follows prefixes."""
        prefixes = as_list(body.prefix)
        model = self.language_model("".join(prefixes) or body.starts_with)
        found = model.next_all(
            prefixes,
            top_k=body.top_k,
            starts_with=body.starts_with,
            candidates=body.candidates,
            among_candidates=body.normalize == "candidates",
        )
        for each in found:
            yield {"model": model.checkpoint.name, **_predicted(each)}

    def sentiment(self, body: SentimentBody) -> Iterator[Answer]:
        """Judge reviews, each with the model of its own language."""
        texts = as_list(body.text)
        chosen = [self._classifier(body.language or recognise_language(text)) for text in texts]
        found = {
            model: model.classify_all(
                [text for text, its in zip(texts, chosen, strict=True) if its is model]
            )
            for model in dict.fromkeys(chosen)
        }
        for model in chosen:
            yield {**vars(next(found[model]))}

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


def _writing_options(body: GenerateBody, on_text: OnText | None) -> WritingOptions:
    stops = as_list(body.stop)
    return WritingOptions(body.sampling(), body.n, stops, body.beams(), on_text=on_text)


def _written(writing: Writing) -> dict[str, Any]:
    return {
        "choices": [
            {"index": c.index, "text": c.text, "finish_reason": c.finish_reason}
            for c in writing.choices
        ]
    }


def _usage(writing: Writing) -> dict[str, Any]:
    return {
        "usage": {
            "prompt_tokens": writing.num_prompt,
            "completion_tokens": writing.num_written,
            "total_tokens": writing.num_prompt + writing.num_written,
        }
    }


def score_values(score: TextScore) -> dict[str, Any]:
    """Give the figures of a score, as `POST /score` answers with them."""
    return {name: value for name, value in vars(score).items() if name not in ("tokens", "state")}


def _predicted(found: NextToken) -> dict[str, Any]:
    values: dict[str, Any] = {
        "predictions": [_prediction(each) for each in found.predictions],
        "entropy": found.entropy,
    }
    if found.candidates is not None:
        values["candidates"] = [_prediction(each) for each in found.candidates]
    return values


def _prediction(each: Prediction) -> dict[str, Any]:
    unknown = {"unknown": True} if each.is_unknown else {}
    return {
        "token": each.token,
        "probability": each.probability,
        "logprob": each.logprob,
        **unknown,
    }
