"""What an operation knows of the language model that it asks: its tokenizer, its words, its sizes."""

from __future__ import annotations

from dataclasses import dataclass, field

from refrain.models.checkpoint import Checkpoint
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.shape import ModelShape
from refrain.models.networks.language_model import LanguageModel
from refrain.models.neural_cache import NeuralCache, NeuralCacheConfig
from refrain.models.text.tokenizer import Tokenizer
from refrain.models.text.word_index import WordIndex


@dataclass(frozen=True)
class TextModel:
    """A next-token model that is ready to be asked.

    Attributes
    ----------
    precision
        "int8", "bf16" or "fp32".
    version
        A hash of all that a state depends on: a state fits this version alone.
    """

    checkpoint: Checkpoint
    shape: ModelShape
    precision: str
    version: bytes
    words: WordIndex = field(repr=False)
    name: str = field(init=False)
    tokenizer: Tokenizer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.checkpoint.name)
        object.__setattr__(self, "tokenizer", self.checkpoint.tokenizer)

    @property
    def num_units(self) -> int:
        """Units of the last layer, without the padding of `shape.hidden_size`."""
        assert isinstance(self.checkpoint.model, LanguageModel)
        return self.checkpoint.model.output_matrix.shape[1]

    def new_cache(self) -> NeuralCache:
        """Make the neural cache of a text that adapts: as was fitted, or as is usual.

        Raises
        ------
        InvalidParameterError
            If what runs the model reports no hidden states.
        """
        if not self.shape.hidden_size:
            message = f"{self.name} runs in {self.precision}: only models in int8 adapt"
            raise InvalidParameterError(message, "adaptive")
        config = self.checkpoint.neural_cache or NeuralCacheConfig()
        return NeuralCache(config, self.shape.hidden_size)
