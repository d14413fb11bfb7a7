r"""Models in one's own process, for those who cannot afford HTTP: the same engine, the same numbers, no thread.

from refrain.inference.local import LocalModel
from refrain.inference.operations.next_token import NextQuery

model = LocalModel("checkpoints/english")
model.next("The capital of the United").predictions  # [Prediction(token=" States", ...), ...]
for score in model.score_all(line.rstrip("\n") for line in open("lines.txt")):  # every slot filled, in order
    print(score.perplexity)
keyboard = model.session("Dear Sir")
keyboard.append(", I am")
keyboard.next(NextQuery(candidates=["writing", "riding"]))
"""

from refrain.inference.local.classifier import LocalClassifier
from refrain.inference.local.model import LocalModel
from refrain.inference.local.session import LocalSession
from refrain.inference.local.word_scorer import NATS_PER_LOG10, WordScorer

__all__ = ["NATS_PER_LOG10", "LocalClassifier", "LocalModel", "LocalSession", "WordScorer"]
