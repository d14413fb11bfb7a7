"""The README.md of a checkpoint: a model card for people, with metadata for the hub on top."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from refrain.models.card import Card, Metric
from refrain.models.checkpoint import Checkpoint, Model, load_checkpoint, save_card, save_readme
from refrain.models.config import config_to_dict
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.publishing.card_metadata import front_matter

_SAME_IDS = (
    "`tokenizer.json` loads in the `tokenizers` library, which gives the ids that the model reads"
)
_OTHER_SPELLING = (
    ", but for one thing that is Refrain's own: a word that the vocabulary lacks is looked up once more in another "
    "case, and with or without the space before it, before it counts as `<unk>`. The library alone gives `<unk>` there"
)
WITH_KNESER_NEY, NEURAL_CACHE, DYNAMIC = "with Kneser-Ney", "neural cache", "dynamic evaluation"
"""How the names of models begin that `refrain evaluate --with` measures."""
INT8_CACHE = f"int8, {NEURAL_CACHE}"
"""The model that `refrain fit-cache` measures."""
ADAPTATION_METHODS = {WITH_KNESER_NEY: "kneser-ney", NEURAL_CACHE: "cache", DYNAMIC: "dynamic"}


def card_text(name: str, model: Model, tokenizer: Tokenizer, card: Card) -> str:
    """Write the model card: front matter, what it is, figures, how it was made."""
    lines = [front_matter(name, model.config, card)]
    lines += [f"# {name}", "", card.description, ""]
    lines += ["Serve it with `refrain serve --models FOLDER`, where FOLDER holds this folder.", ""]
    lines += ["## Measured quality", ""]
    lines += ["| figure | split | model | value |", "|---|---|---|---|"]
    lines += [f"| {m.name} | {m.split} | {m.model or name} | {m.value:g} |" for m in card.metrics]
    source = "" if card.recipe else f" --data {card.dataset}"
    methods = [method for start, method in ADAPTATION_METHODS.items() if _is_measured(start, card)]
    with_adaptation = f" --with {' '.join(methods)}" if methods else ""
    commands = [f"`refrain evaluate checkpoints/{name}{source}{with_adaptation}`"]
    if _is_measured(INT8_CACHE, card):
        commands.append(f"`refrain fit-cache --dry-run checkpoints/{name}{source}`")
    lines += ["", f"Reproduce with {' and '.join(commands)}.", "", "## Training", ""]
    lines += [f"- data: {card.dataset}, licence: {card.license or 'not stated'}"]
    if card.recipe:
        lines += [f"- recipe: `{card.recipe}`; `recipe.json` beside this card has every setting"]
    lines += [f"- {key}: {value}" for key, value in card.training.items()]
    lines += [f"- tokenizer: {tokenizer.kind}, {tokenizer.vocab_size:,} tokens"]
    lines += ["", "## Tokenizer", "", _tokenizer_text(tokenizer)]
    lines += ["", "## Licence", "", _licence_text(card.license)]
    lines += ["", "## Configuration", "", "```json"]
    lines += [json.dumps(config_to_dict(model.config), ensure_ascii=False, indent=2), "```", ""]
    return "\n".join(lines)


def _is_measured(start: str, card: Card) -> bool:
    return any(_without_settings(metric) == start for metric in card.metrics)


def _tokenizer_text(tokenizer: Tokenizer) -> str:
    return _SAME_IDS + (_OTHER_SPELLING if tokenizer.kind == "words" else "") + "."


def _licence_text(licence: str) -> str:
    stated = f"Weights and data: {licence}." if licence else "Nobody stated the terms of the data."
    return f"{stated} The code that made it is under the MIT licence."


def update_card(directory: Path, checkpoint: Checkpoint, measured: Sequence[Metric]) -> None:
    """Write new metrics of a checkpoint to its card; those of models that were not measured stay.

    Metrics found with other settings of an adaptation method replace those that it had.
    """
    names = {_without_settings(metric) for metric in measured}
    others = [m for m in checkpoint.card.metrics if _without_settings(m) not in names]
    card = replace(checkpoint.card, metrics=(*measured, *others))
    readme = card_text(directory.resolve().name, checkpoint.model, checkpoint.tokenizer, card)
    save_card(directory, replace(checkpoint, card=card), readme=readme)


def _without_settings(metric: Metric) -> str:
    return next(
        (start for start in ADAPTATION_METHODS if metric.model.startswith(start)), metric.model
    )


def rewrite_card(directory: Path) -> None:
    """Write a checkpoint's card anew from its `config.json`, which stays as it is, and so do the weights.

    Raises
    ------
    CheckpointError
        If the folder holds no whole checkpoint.
    """
    checkpoint = load_checkpoint(directory)
    name = directory.resolve().name
    readme = card_text(name, checkpoint.model, checkpoint.tokenizer, checkpoint.card)
    save_readme(directory, readme)
