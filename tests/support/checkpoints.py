"""Tiny checkpoints with random weights, one of each kind."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from refrain.models.card import Card
from refrain.models.checkpoint import save_checkpoint
from refrain.models.config import ClassifierConfig, LanguageModelConfig, NGramConfig
from refrain.models.networks.classifier import Classifier
from refrain.models.networks.language_model import LanguageModel
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.text.splitter import TokenizerKind
from refrain.models.text.tokenizer import Tokenizer

ENGLISH = "The old cat sat on the mat. The dog didn't sit, and the cat saw it. A lovely day!"
CHINESE = "春眠不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。"


def card(language: str) -> Card:
    return Card(description="Tiny.", language=language, license="public domain", dataset="none")


def save_language_model(directory: Path, kind: TokenizerKind, text: str, language: str) -> None:
    tokenizer = Tokenizer.train(kind, [text])
    config = LanguageModelConfig(
        vocab_size=tokenizer.vocab_size, embedding_size=12, hidden_size=16, num_layers=2
    )
    save_checkpoint(directory, LanguageModel(config), tokenizer, card(language))


def save_classifier(directory: Path, kind: TokenizerKind, text: str, language: str) -> None:
    tokenizer = Tokenizer.train(kind, [text])
    config = ClassifierConfig(
        vocab_size=tokenizer.vocab_size,
        labels=("negative", "neutral", "positive"),
        label_scores=(0.0, 0.5, 1.0),
        embedding_size=6,
        hidden_size=5,
    )
    save_checkpoint(directory, Classifier(config), tokenizer, card(language))


def save_ngram(directory: Path) -> None:
    tokenizer = Tokenizer.train("words", [ENGLISH])
    config = NGramConfig(vocab_size=tokenizer.vocab_size, order=3)
    model = KneserNeyModel.estimate([tokenizer.encode(ENGLISH).ids], config)
    save_checkpoint(directory, model, tokenizer, card("en"))


def with_two_ids_swapped(tokenizer: Tokenizer) -> Tokenizer:
    """Return the same vocabulary, in which the last two tokens have each other's ids."""
    described = json.loads(tokenizer.to_json())
    vocabulary = described["model"]["vocab"]
    one, other = list(vocabulary)[-2:]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    return Tokenizer.from_json(json.dumps(described), tokenizer.kind)


def save_one_of_each(folder: Path) -> Path:
    """Fill a folder with one model of each kind; return it."""
    torch.manual_seed(0)
    save_language_model(folder / "tang", "characters", CHINESE, "zh")
    save_language_model(folder / "english", "words", ENGLISH, "en")
    save_language_model(folder / "bytes", "bpe", ENGLISH + CHINESE, "unknown")
    save_ngram(folder / "counts")
    save_classifier(folder / "sentiment-en", "words", ENGLISH, "en")
    save_classifier(folder / "sentiment-zh", "characters", CHINESE, "zh")
    return folder
