"""Checkpoint folders: reading, writing, finding them, the shipped ones.

config.json            format version, tokenizer kind, model configuration, card
tokenizer.json         as the `tokenizers` library writes it
tokenizer_config.json  the names of its special tokens, for the `transformers` library; not read here
model.safetensors      the weights; no pickle anywhere
README.md              the model card for people
run_log.jsonl          how training went, where it was kept; not needed to serve

Such a folder is a repository of the hub as it stands.
"""

from refrain.models.checkpoint.checkpoint import (
    CONFIG,
    FORMAT_VERSION,
    README,
    RUN_LOG,
    TOKENIZER,
    TOKENIZER_CONFIG,
    WEIGHTS,
    Checkpoint,
    Description,
    Model,
    bytes_of,
)
from refrain.models.checkpoint.folders import (
    DEFAULT_FOLDER,
    find_checkpoint,
    find_checkpoints,
    find_models,
    is_shipped,
    place_of,
    source_of,
    unfinished_runs,
)
from refrain.models.checkpoint.reading import describe_checkpoint, load_checkpoint
from refrain.models.checkpoint.writing import save_card, save_checkpoint, save_readme

__all__ = [
    "CONFIG",
    "DEFAULT_FOLDER",
    "FORMAT_VERSION",
    "README",
    "RUN_LOG",
    "TOKENIZER",
    "TOKENIZER_CONFIG",
    "WEIGHTS",
    "Checkpoint",
    "Description",
    "Model",
    "bytes_of",
    "describe_checkpoint",
    "find_checkpoint",
    "find_checkpoints",
    "find_models",
    "is_shipped",
    "load_checkpoint",
    "place_of",
    "save_card",
    "save_checkpoint",
    "save_readme",
    "source_of",
    "unfinished_runs",
]
