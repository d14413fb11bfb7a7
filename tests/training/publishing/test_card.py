"""A card is valid metadata of the hub, and its figures are those of the checkpoint."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard

from refrain.cli.main import main
from refrain.models.card import Card, Metric
from refrain.models.checkpoint import find_checkpoints, load_checkpoint, save_checkpoint
from refrain.models.config import ClassifierConfig, LanguageModelConfig, NGramConfig
from refrain.models.networks.classifier import Classifier
from refrain.models.networks.language_model import LanguageModel
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.publishing.card import (
    DYNAMIC,
    INT8_CACHE,
    NEURAL_CACHE,
    card_text,
    update_card,
)
from refrain.training.publishing.licence import HubLicence, first_kept_back, hub_licence

SHIPPED = find_checkpoints(Path(__file__).parents[3] / "checkpoints")
TOKENIZER = Tokenizer.train("characters", ["春眠不觉晓，处处闻啼鸟。"])
CARD = Card(
    description="A tiny model.",
    language="zh",
    license="CC BY-SA 3.0 (Wikipedia)",
    dataset="tang",
    recipe="recipes/tang.toml",
    metrics=(
        Metric("perplexity", "validation", 3.25),
        Metric("perplexity", "test", 3.5),
        Metric("unknown_rate", "test", 0.00006),
        Metric("perplexity", "test", 3.75, model="int8"),
        Metric("perplexity", "test", 9.5, model="Kneser-Ney 5-gram"),
    ),
)


def models():
    size = TOKENIZER.vocab_size
    sizes = {"vocab_size": size, "embedding_size": 4, "hidden_size": 4}
    classes = {"labels": ("no", "yes"), "label_scores": (0, 1)}
    texts = [TOKENIZER.encode("春眠不觉晓").ids]
    return {
        "text-generation": LanguageModel(LanguageModelConfig(**sizes)),
        "text-classification": Classifier(ClassifierConfig(**sizes, **classes)),
        "n-gram": KneserNeyModel.estimate(texts, NGramConfig(vocab_size=size, order=3)),
    }


def metadata(card: Card, model=None):
    text = card_text("tiny", model or models()["text-generation"], TOKENIZER, card)
    return ModelCard(text).data


def test_a_card_says_how_each_of_its_figures_is_found() -> None:
    names = (NEURAL_CACHE, f"{DYNAMIC}, learning rate 0.001, forgetting 0.01", "int8")
    helped = [Metric("perplexity", "test", 3.0, model=name) for name in names]
    card = replace(CARD, metrics=(*CARD.metrics, *helped))
    text = card_text("tiny", models()["text-generation"], TOKENIZER, card)
    assert "`refrain evaluate checkpoints/tiny --with cache dynamic`" in text
    assert "fit-cache" not in text
    fitted = replace(CARD, metrics=(Metric("perplexity", "test", 3.0, INT8_CACHE),))
    text = card_text("tiny", models()["text-generation"], TOKENIZER, fitted)
    commands = "evaluate checkpoints/tiny`", "fit-cache --dry-run checkpoints/tiny`"
    assert (
        "Reproduce with `refrain {}and `refrain {}".format(commands[0] + " ", commands[1]) in text
    )
    alone = card_text("tiny", models()["text-generation"], TOKENIZER, CARD)
    assert "`refrain evaluate checkpoints/tiny`" in alone


@pytest.mark.parametrize("kind", ["text-generation", "text-classification", "n-gram"])
def test_a_card_is_metadata_that_the_hub_understands(kind) -> None:
    data = metadata(CARD, models()[kind])
    assert data.pipeline_tag == ("text-generation" if kind == "n-gram" else kind)
    assert (data.language, data.license, data.library_name) == ("zh", "cc-by-sa-3.0", "refrain")
    assert data.datasets == ["tang"]
    assert data.model_name == "tiny"
    assert data.tags


def test_the_index_has_the_figures_of_the_model_itself_and_of_no_baseline() -> None:
    found = {
        (result.metric_name, result.dataset_type, result.dataset_split): result.metric_value
        for result in metadata(CARD).eval_results
    }
    assert found == {
        ("Perplexity", "tang", "validation"): 3.25,
        ("Perplexity", "tang", "test"): 3.5,
        ("Unknown rate", "tang", "test"): 0.00006,
        ("Perplexity (int8)", "tang", "test"): 3.75,
    }


def test_what_the_hub_would_not_understand_is_left_out() -> None:
    own = replace(
        CARD, language="unknown", license="", dataset="my: book.txt", recipe="", metrics=()
    )
    data = metadata(own)
    assert (data.language, data.datasets, data.eval_results) == (None, None, None)
    assert data.license == "unknown"


@pytest.mark.parametrize("name", ["no", "123", "a: b", "春", "- x", "''"])
def test_any_name_survives_the_metadata(name) -> None:
    text = card_text(name, models()["text-generation"], TOKENIZER, CARD)
    assert ModelCard(text).data.model_name == name


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("MIT (corpus); the poems are in the public domain", HubLicence("mit")),
        ("CC BY-SA 3.0 (Wikipedia)", HubLicence("cc-by-sa-3.0")),
        ("cc-by-nc-nd-4.0", HubLicence("cc-by-nc-nd-4.0")),
        ("CC BY 4.0", HubLicence("cc-by-4.0")),
        ("CC0 1.0", HubLicence("cc0-1.0")),
        ("Apache 2.0", HubLicence("apache-2.0")),
        ("  ", HubLicence("unknown")),
        ("public domain", HubLicence("other", "public-domain")),
        ("MIT-like terms", HubLicence("other", "mit-like-terms")),
        ("MIT, but not to be given away", HubLicence("other", "mit-but-not-to-be-given-away")),
        ("。", HubLicence("other", "unnamed")),
        (
            "LDC user agreement",
            HubLicence("other", "ldc-user-agreement", "https://catalog.ldc.upenn.edu/LDC99T42"),
        ),
    ],
)
def test_a_licence_for_people_has_an_identifier_of_the_hub(text, licence) -> None:
    assert hub_licence(text) == licence


def test_a_licence_that_forbids_giving_away_is_found() -> None:
    fine = ["MIT", "CC BY-SA 3.0 (Wikipedia)", "", "public domain", "research; none stated"]
    assert first_kept_back(fine) is None
    for text in ("LDC user agreement", "may not be redistributed", "All rights reserved."):
        assert first_kept_back([*fine, text]) == text


@pytest.mark.parametrize("directory", SHIPPED, ids=lambda path: path.name)
def test_the_shipped_cards_are_valid_and_tell_the_figures_of_their_checkpoints(directory) -> None:
    card = load_checkpoint(directory).card
    data = ModelCard.load(directory / "README.md").data
    assert data.license in ("mit", "cc-by-sa-3.0", "other")
    assert data.license != "other" or data.license_name
    own = [metric for metric in card.metrics if metric.model in ("", "int8")]
    assert sorted(result.metric_value for result in data.eval_results) == sorted(
        metric.value for metric in own
    )


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = models()["text-generation"]
    save_checkpoint(tmp_path / "tiny", model, TOKENIZER, CARD, readme="old\n")
    return tmp_path / "tiny"


def test_a_card_is_written_anew_and_nothing_else_changes(saved, capsys) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    assert main(["card", str(saved)]) == 0
    after = {path.name: path.read_bytes() for path in saved.iterdir()}
    assert before.pop("README.md") == b"old\n"
    assert ModelCard(after.pop("README.md").decode()).data.model_name == "tiny"
    assert before == after
    assert "README.md" in capsys.readouterr().out


def test_a_card_of_no_checkpoint_is_refused(tmp_path, capsys) -> None:
    assert main(["card", str(tmp_path)]) == 2
    assert "config.json: is missing" in capsys.readouterr().err


def test_new_figures_reach_the_index(saved) -> None:
    update_card(saved, load_checkpoint(saved), [Metric("perplexity", "test", 2.5)])
    results = ModelCard.load(saved / "README.md").data.eval_results
    assert [result.metric_value for result in results if result.metric_name == "Perplexity"] == [
        2.5
    ]


def test_figures_with_a_cache_in_int8_stay_beside_those_without(saved) -> None:
    alone, cached = (
        Metric("perplexity", "test", 3.75, "int8"),
        Metric("perplexity", "test", 3.0, INT8_CACHE),
    )
    update_card(saved, load_checkpoint(saved), [cached])
    assert {alone, cached} <= set(load_checkpoint(saved).card.metrics)
    measured = replace(alone, value=3.7)
    update_card(saved, load_checkpoint(saved), [measured])
    metrics = set(load_checkpoint(saved).card.metrics)
    assert {measured, cached} <= metrics
    assert alone not in metrics
