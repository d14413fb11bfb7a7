r"""Models in one's own process, for those who cannot afford HTTP: the same engine, the same numbers, no thread.

from inference.local import LocalModel
from inference.operations.next_token import NextQuery

model = LocalModel("checkpoints/english")
model.next("The capital of the United").predictions  # [Prediction(token=" States", ...), ...]
for score in model.score_all(line.rstrip("\n") for line in open("lines.txt")):  # every slot filled, in order
    print(score.perplexity)
keyboard = model.session("Dear Sir")
keyboard.append(", I am")
keyboard.next(NextQuery(candidates=["writing", "riding"]))
"""

from inference.local.classifier import LocalClassifier
from inference.local.model import LocalModel
from inference.local.session import LocalSession
from inference.local.word_scorer import NATS_PER_LOG10, WordScorer

__all__ = ["NATS_PER_LOG10", "LocalClassifier", "LocalModel", "LocalSession", "WordScorer"]
