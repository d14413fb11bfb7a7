"""The README.md of a checkpoint: a model card with Hugging Face's front matter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models.card import Card, Metric
from models.checkpoint import Checkpoint, Model, save_card
from models.config import config_to_dict
from models.tokenizer import Tokenizer

_TASKS = {
    "language_model": "text-generation",
    "ngram": "text-generation",
    "classifier": "text-classification",
}


def card_text(name: str, model: Model, tokenizer: Tokenizer, card: Card) -> str:
    """Write the model card: front matter, what it is, figures, how it was made."""
    task = model.config.task
    front = {
        "language": card.language,
        "license": card.license,
        "pipeline_tag": _TASKS[task],
        "library_name": "refrain",
        "datasets": [card.dataset],
    }
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---", ""]
    lines += [f"# {name}", "", card.description, "", "## Measured quality", ""]
    lines += ["| figure | split | model | value |", "|---|---|---|---|"]
    lines += [f"| {m.name} | {m.split} | {m.model or name} | {m.value:g} |" for m in card.metrics]
    source = "" if card.recipe else f" --data {card.dataset}"
    command = f"refrain evaluate checkpoints/{name}{source}"
    lines += ["", f"Reproduce with `{command}`.", "", "## Training", ""]
    lines += [f"- data: {card.dataset}, licence: {card.license}"]
    if card.recipe:
        lines += [f"- recipe: `{card.recipe}`; `recipe.json` beside this card has every setting"]
    lines += [f"- {key}: {value}" for key, value in card.training.items()]
    lines += [f"- tokenizer: {tokenizer.kind}, {tokenizer.vocab_size:,} tokens"]
    lines += ["", "## Configuration", "", "```json"]
    lines += [json.dumps(config_to_dict(model.config), ensure_ascii=False, indent=2), "```", ""]
    return "\n".join(lines)


def update_card(directory: Path, checkpoint: Checkpoint, measured: Sequence[Metric]) -> None:
    """Write new figures of a checkpoint to its card; figures of models that were not measured stay."""
    names = {metric.model for metric in measured}
    others = [metric for metric in checkpoint.card.metrics if metric.model not in names]
    card = replace(checkpoint.card, metrics=(*measured, *others))
    readme = card_text(directory.resolve().name, checkpoint.model, checkpoint.tokenizer, card)
    save_card(directory, replace(checkpoint, card=card), readme=readme)
