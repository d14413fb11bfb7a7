"""Metrics of a checkpoint on a corpus, in float32, as the service would compute them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch

from refrain.models.card import Metric
from refrain.models.checkpoint import Checkpoint
from refrain.models.int8 import has_int8_form
from refrain.models.networks.classifier import Classifier
from refrain.models.networks.language_model import LanguageModel
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.data.batches.document_windows import DocumentWindows
from refrain.training.data.batches.labelled_batches import LabelledBatches
from refrain.training.data.batches.stream_windows import StreamWindows
from refrain.training.data.corpus import LabelledCorpus, Split, TextCorpus
from refrain.training.errors import RecipeError
from refrain.training.evaluation.scored_documents import score_documents
from refrain.training.optimize.objectives.classifier import predict
from refrain.training.optimize.objectives.window_loss import summed_loss
from refrain.training.reporting.progress_bar import progress_bar

CPU = torch.device("cpu")
ROWS, WINDOW = 16, 128
BatchT = TypeVar("BatchT")


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    corpus: TextCorpus | LabelledCorpus,
    splits: Sequence[Split] = ("validation", "test"),
) -> tuple[Metric, ...]:
    """Measure a checkpoint on splits of a corpus.

    Language models: perplexity over all tokens and the end of each text (that of the int8 form too), bits per
    character, and the share of unknown tokens. Each text is read from a zero state, or, where the corpus is one
    stream, the splits are read in one lane with the state carried over. Classifiers: accuracy.

    Raises
    ------
    RecipeError
        If the corpus is of the wrong kind for the checkpoint.
    """
    model = checkpoint.model
    metrics: list[Metric] = []
    for split in splits:
        if isinstance(model, Classifier) and isinstance(corpus, LabelledCorpus):
            metrics += classifier_metrics(model, checkpoint.tokenizer, corpus, split)
        elif not isinstance(model, Classifier) and isinstance(corpus, TextCorpus):
            metrics += language_model_metrics(model, checkpoint.tokenizer, corpus, split)
        else:
            raise RecipeError(
                f"{checkpoint.name} is a {checkpoint.task}: the corpus is of another kind"
            )
    return tuple(metrics)


def language_model_metrics(
    model: LanguageModel | KneserNeyModel, tokenizer: Tokenizer, corpus: TextCorpus, split: Split
) -> list[Metric]:
    """Measure perplexity, bits per character and the share of unknown tokens on one split."""
    documents = corpus.documents[split]
    ids = tokenizer.encode_batch(documents)
    loss = cross_entropy(model, ids, tokenizer.eos_id, stream=corpus.unit == "stream")
    num_tokens = sum(len(document) + 1 for document in ids)
    num_characters = sum(len(document) + 1 for document in documents)
    num_unknown = sum(document.count(tokenizer.unk_id) for document in ids)
    metrics = [
        Metric("perplexity", split, round(math.exp(loss), 4)),
        Metric(
            "bits_per_character", split, round(loss * num_tokens / num_characters / math.log(2), 4)
        ),
        Metric("unknown_rate", split, round(num_unknown / num_tokens, 5)),
    ]
    if isinstance(model, LanguageModel) and has_int8_form(model):
        texts = ids if corpus.unit == "documents" else [joined(ids, tokenizer.eos_id)]
        quantised = int8_cross_entropy(model, texts, tokenizer.eos_id)
        metrics.append(Metric("perplexity", split, round(math.exp(quantised), 4), model="int8"))
    return metrics


def int8_cross_entropy(model: LanguageModel, texts: Sequence[Sequence[int]], eos_id: int) -> float:
    """Return the mean cross-entropy in nats of the integer form that the service runs."""
    num_tokens = sum(map(len, texts)) + len(texts)
    with progress_bar("scoring", num_tokens, leave=False, delay=2) as bar:
        scored = score_documents(model, texts, eos_id, on_tokens=bar.update)
        logprobs = [np.asarray(text.logprobs, np.float32) for text in scored]
    return -float(np.concatenate(logprobs).mean(dtype=np.float64))


def cross_entropy(
    model: LanguageModel | KneserNeyModel,
    documents: Sequence[Sequence[int]],
    eos_id: int,
    *,
    stream: bool,
) -> float:
    """Return the mean cross-entropy in nats over all tokens and the boundary that ends each document."""
    if isinstance(model, KneserNeyModel):
        return _ngram_cross_entropy(model, documents, eos_id)
    if stream:
        windows: StreamWindows | DocumentWindows = StreamWindows(
            documents, eos_id=eos_id, batch_size=1, window=WINDOW
        )
    else:
        windows = DocumentWindows(documents, eos_id=eos_id, batch_size=ROWS, window=WINDOW)
    total, num_targets = summed_loss(
        model, _with_progress(windows.epoch(0), windows.num_windows), CPU
    )
    return total / num_targets


def _with_progress(batches: Iterator[BatchT], number: int) -> Iterator[BatchT]:
    """Yield batches one by one, with a bar on a terminal where they take a while."""
    yield from progress_bar("measuring", number, of=batches, leave=False, delay=2)


def joined(documents: Sequence[Sequence[int]], eos_id: int) -> list[int]:
    """Join documents, with a boundary between them and none at the ends."""
    ids: list[int] = []
    for document in documents:
        ids.extend((*document, eos_id))
    return ids[:-1]


def _ngram_cross_entropy(
    model: KneserNeyModel, documents: Sequence[Sequence[int]], eos_id: int
) -> float:
    """No history reaches back over a boundary, so that all documents are one array of tokens."""
    ids = [eos_id, *joined(documents, eos_id), eos_id]
    return -float(model.target_log_probs(np.array(ids)).mean())


def classifier_metrics(
    model: Classifier, tokenizer: Tokenizer, corpus: LabelledCorpus, split: Split
) -> list[Metric]:
    """Measure accuracy on one split; with more than two classes also of negative against positive.

    The binary accuracy leaves out the examples whose true class is neutral and compares the summed
    probabilities of the classes below and above the middle.
    """
    examples = corpus.examples[split]
    batches = LabelledBatches(
        tokenizer.encode_batch([example.text for example in examples]),
        [example.label for example in examples],
        eos_id=tokenizer.eos_id,
        batch_size=ROWS,
        max_length=1_000_000,
    )
    probabilities_NK, labels_N = predict(
        model, _with_progress(batches.epoch(0), batches.num_windows), CPU
    )
    accuracy = (probabilities_NK.argmax(1) == labels_N).float().mean().item()
    metrics = [Metric("accuracy", split, round(accuracy, 5))]
    if len(corpus.labels) > 2:
        scores_K = torch.tensor(corpus.label_scores)
        positive_N = probabilities_NK[:, scores_K > 0.5].sum(1)
        negative_N = probabilities_NK[:, scores_K < 0.5].sum(1)
        truth_N = scores_K[labels_N]
        right_N = (positive_N > negative_N) == (truth_N > 0.5)
        binary = right_N[truth_N != 0.5].float().mean().item()
        metrics.append(Metric("binary_accuracy", split, round(binary, 5)))
    return metrics
