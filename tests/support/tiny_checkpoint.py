"""A tiny language model and its corpus, which is one stream."""

import numpy as np
import torch

from refrain.models.card import Card
from refrain.models.checkpoint import Checkpoint
from refrain.models.config import LanguageModelConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.data.corpus import TextCorpus

LINES = [f"the {a} saw the {b} and the {b} saw {a}" for a in "abcde" for b in "fghi"]


CORPUS = TextCorpus({"train": LINES, "validation": LINES[3:9], "test": LINES[7:12]}, unit="stream")


def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    tokenizer = Tokenizer.train("whitespace", LINES)
    config = LanguageModelConfig(
        vocab_size=tokenizer.vocab_size, embedding_size=16, hidden_size=16, num_layers=1
    )
    return Checkpoint(
        "tiny",
        LanguageModel(config).eval(),
        tokenizer,
        Card(description="", language="en", license="", dataset=""),
    )


def stream(split: str, tokenizer) -> list[int]:
    """All lines with the boundary between them, as the protocol counts them."""
    ids = []
    for line in CORPUS.documents[split]:
        ids += [*tokenizer.encode(line).ids, tokenizer.eos_id]
    return ids


def model_probs(model, ids, boundary) -> np.ndarray:
    tokens = torch.tensor([[boundary, *ids[:-1]]])
    with torch.no_grad():
        logits, _ = model(tokens, model.zero_state(1))
    return logits[0].softmax(1).gather(1, torch.tensor(ids)[:, None]).squeeze(1).numpy()
