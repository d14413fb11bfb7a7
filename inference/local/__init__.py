r"""Models in one's own process: `LocalModel`, `LocalClassifier`, `WordScorer`.

from refrain import LocalModel
from refrain.inference.local import NextQuery

model = LocalModel("english")
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
from refrain.inference.operations.candidates import Prediction
from refrain.inference.operations.classification import Sentiment
from refrain.inference.operations.generation import Generation, GenerationParams
from refrain.inference.operations.next_token import NextQuery, NextToken
from refrain.inference.operations.rescoring import Hypothesis, Rescored, RescoringParams
from refrain.inference.operations.scoring import ScoreParams, TextScore
from refrain.models.native.step.sampling import SamplingParams

__all__ = [
    "NATS_PER_LOG10",
    "Generation",
    "GenerationParams",
    "Hypothesis",
    "LocalClassifier",
    "LocalModel",
    "LocalSession",
    "NextQuery",
    "NextToken",
    "Prediction",
    "Rescored",
    "RescoringParams",
    "SamplingParams",
    "ScoreParams",
    "Sentiment",
    "TextScore",
    "WordScorer",
]
