"""Models in one's own process, for those who cannot afford HTTP: the same engine, the same numbers, no thread.

from app.local import LocalModel

model = LocalModel("checkpoints/english")
model.next("The capital of the United", top_k=3)     # [Prediction(token=" States", ...), ...]
for score in model.score_all(open("lines.txt")):     # every slot of the engine filled, in order
    print(score.perplexity)
keyboard = model.session("Dear Sir")
keyboard.append(", I am")
keyboard.next(candidates=["writing", "riding"])
"""

from app.local.classifier import LocalClassifier
from app.local.model import LocalModel
from app.local.session import LocalSession

__all__ = ["LocalClassifier", "LocalModel", "LocalSession"]
