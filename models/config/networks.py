"""The configurations of recurrent networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from refrain.models.config.validation import (
    require,
    require_fractions,
    require_one_of,
    require_positive,
    require_types,
)

CellName = Literal["feedforward", "elman", "jordan", "gru", "lstm", "mogrifier"]
Nonlinearity = Literal["tanh", "relu", "sigmoid"]
Pooling = Literal["last", "mean", "max", "mean_max"]


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """What every recurrent network of this project has.

    Attributes
    ----------
    vocab_size
        Number of tokens, special ones included.
    cell
        What one step of a layer is; see `refrain.models.networks.cells`.
    nonlinearity
        Activation of feed-forward, Elman and Jordan cells; the others have their own and take "tanh" only.
    forget_bias
        What the biases of an LSTM's or a Mogrifier's forget gates begin with, beside their random draw: 1 lets a cell
        remember at first (Gers et al. 2000; Jozefowicz et al. 2015), 0 is what Zaremba et al. 2014 had.
    mogrifier_rounds, mogrifier_rank
        How often a Mogrifier's input and state scale each other, and the rank of the matrices that do it.
    embedding_size
        Width of a token's vector.
    hidden_size
        Width of each layer (of one direction).
    num_layers
        Layers of the stack.
    input_dropout, hidden_dropout, output_dropout
        Locked dropout (one mask a row, the same at each time; Gal & Ghahramani 2016) on the
        embeddings, between layers, and before the output.
    embedding_dropout
        Share of the vocabulary whose vectors are zeroed for a window (Merity et al. 2018).
    weight_dropout
        Share of the weights from a layer's state to itself that are zeroed for a window (Wan et al. 2013,
        Merity et al. 2018).
    """

    vocab_size: int
    cell: CellName = "lstm"
    nonlinearity: Nonlinearity = "tanh"
    embedding_size: int = 256
    hidden_size: int = 512
    num_layers: int = 2
    input_dropout: float = 0.0
    hidden_dropout: float = 0.0
    output_dropout: float = 0.0
    embedding_dropout: float = 0.0
    weight_dropout: float = 0.0
    forget_bias: float = 1.0
    mogrifier_rounds: int = 5
    mogrifier_rank: int = 84

    def __post_init__(self) -> None:
        require_types(self)
        require_positive(
            mogrifier_rounds=self.mogrifier_rounds,
            mogrifier_rank=self.mogrifier_rank,
            vocab_size=self.vocab_size,
            embedding_size=self.embedding_size,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
        )
        self._check_cell()
        require_fractions(
            input_dropout=self.input_dropout,
            hidden_dropout=self.hidden_dropout,
            output_dropout=self.output_dropout,
            embedding_dropout=self.embedding_dropout,
            weight_dropout=self.weight_dropout,
        )

    def _check_cell(self) -> None:
        """Check the cell, and what only some cells have."""
        require_one_of("cell", self.cell, get_args(CellName))
        require_one_of("nonlinearity", self.nonlinearity, get_args(Nonlinearity))
        require(
            self.cell in ("feedforward", "elman", "jordan") or self.nonlinearity == "tanh",
            f"a {self.cell} cell has its own nonlinearities: leave nonlinearity at 'tanh'",
        )
        require(
            self.cell != "feedforward" or not self.weight_dropout,
            "a feedforward cell has no weights from state to state to drop",
        )
        require(
            self.cell in ("lstm", "mogrifier") or self.forget_bias == 1,
            f"a {self.cell} cell has no forget gate whose bias could be set: leave forget_bias at 1",
        )
        require(-100 <= self.forget_bias <= 100, "forget_bias must lie in [-100, 100]")

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Width of each layer, first to last."""
        return (self.hidden_size,) * self.num_layers


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig(RecurrentConfig):
    """A recurrent network that predicts the next token.

    Attributes
    ----------
    tied
        Whether the output matrix is the embedding matrix (Press & Wolf 2017); the last layer then
        has `embedding_size` in place of `hidden_size`.
    """

    task: ClassVar[str] = "language_model"

    tied: bool = True

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Width of each layer, first to last."""
        last = self.embedding_size if self.tied else self.hidden_size
        return (self.hidden_size,) * (self.num_layers - 1) + (last,)


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(RecurrentConfig):
    """A recurrent network that reads a whole text and gives it a label.

    Attributes
    ----------
    labels
        Names of the classes.
    label_scores
        Where each class lies from 0 (most negative) to 1 (most positive).
    bidirectional
        Whether a second stack reads the text from its end.
    pooling
        How the outputs of all times become one vector: the last one of each direction, their
        mean, their maximum, or mean and maximum side by side.
    """

    task: ClassVar[str] = "classifier"

    labels: tuple[str, ...]
    label_scores: tuple[float, ...]
    num_layers: int = 1
    bidirectional: bool = True
    pooling: Pooling = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "label_scores", tuple(self.label_scores))
        require(all(isinstance(label, str) for label in self.labels), "labels must be names")
        require(
            all(isinstance(score, (int, float)) and 0 <= score <= 1 for score in self.label_scores),
            "label_scores must be numbers from 0 to 1",
        )
        require(len(self.labels) > 1, "labels must name two classes at least")
        require(
            len(self.labels) == len(self.label_scores), "label_scores must have one score a label"
        )
        require_one_of("pooling", self.pooling, get_args(Pooling))
