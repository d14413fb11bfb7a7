"""A language model for decoders of speech and handwriting, in their own process: thousands of words a second.

from refrain.inference.local import WordScorer

scorer = WordScorer.load("checkpoints/english", alpha=0.6, beta=1.0)
state = scorer.get_start_state()
score, state = scorer.score(state, "the")
score, state = scorer.score(state, "river", is_last_word=True)

The methods are those that `pyctcdecode` asks of a language model; that library is not needed here.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refrain.inference.engine.request import TextState
from refrain.inference.local.model import LocalModel
from refrain.models.config import NGramConfig
from refrain.models.errors import InvalidParameterError

NATS_PER_LOG10 = math.log(10)
USUAL_WORD = 6
"""Letters above which a word under way that begins no known one costs more with each."""
SETTINGS = "settings.json"
CHECKPOINT = "checkpoint"
PARAMETERS = ("alpha", "beta", "unk_score_offset", "score_boundary")


class WordScorer:
    """Scores a text word by word, from states that a decoder holds for its hypotheses.

    A word's score is `alpha * (log_likelihood + unknown) + beta`, in nats as acoustic log-probabilities are. With
    alpha 1, beta 0 and no offset the scores of a text's words add up to its `log_likelihood` of `/score`, with
    `score_boundary` to that with `count_end`; divided by `NATS_PER_LOG10` that is what KenLM calls a score. Only
    `unk_score_offset` is a decimal logarithm, as in `pyctcdecode`, so that values that were tuned there hold here.

    Parameters
    ----------
    model
        The language model: of words, characters or BPE.
    alpha, beta
        Weight of the language model, and what each word earns beside.
    unk_score_offset
        Added, as a decimal logarithm, to a word with a token that the vocabulary lacks.
    score_boundary
        Whether the last word's score counts the end of the text.
    separator
        What stands between two words; None takes a space, or nothing where a model of characters knows none.
    order
        Words after which a decoder may take two histories for the same; None keeps all apart, but for n-grams.
    cache_bytes
        Room for the distributions after texts that were found at last: 4 bytes a token of the vocabulary each.
    """

    def __init__(
        self,
        model: LocalModel,
        *,
        alpha: float = 0.5,
        beta: float = 1.5,
        unk_score_offset: float = -10.0,
        score_boundary: bool = True,
        separator: str | None = None,
        order: int | None = None,
        cache_bytes: int = 67_108_864,
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.unk_score_offset = unk_score_offset
        self.score_boundary = score_boundary
        self._model = model
        self._tokenizer = model.tokenizer
        if separator is None:
            is_spaceless = self._tokenizer.kind == "characters" and not self._tokenizer.id_of(" ")
            separator = "" if is_spaceless else " "
        self._separator = separator
        self._order = order
        self._directory: Path | None = None
        num_rows = max(16, cache_bytes // (4 * self._tokenizer.vocab_size))
        self._after = lru_cache(num_rows)(self._predict)
        self._ids = lru_cache(65_536)(self._encode)
        self._begins_word = lru_cache(65_536)(model.model.words.begins_word)

    @classmethod
    def load(cls, directory: Path | str, **parameters: object) -> WordScorer:
        """Read a checkpoint; `parameters` are those of the class."""
        scorer = cls(LocalModel(directory), **parameters)  # type: ignore[arg-type]
        scorer._directory = Path(directory)
        return scorer

    @property
    def order(self) -> int:
        """Words of which the last `order - 1` tell two histories apart; a recurrent network forgets none."""
        if self._order is not None:
            return self._order
        config = self._model.checkpoint.config
        is_of_words = isinstance(config, NGramConfig) and self._tokenizer.kind == "words"
        return config.order if is_of_words and isinstance(config, NGramConfig) else sys.maxsize

    def get_start_state(self) -> TextState | None:
        """Return the state of the beginning of a text: None."""
        return None

    def score(
        self, prev_state: TextState | None, word: str, is_last_word: bool = False
    ) -> tuple[float, TextState | None]:
        """Return the score of a word after a text, and the state of the longer text.

        The state does not hold the end of the text, even after a last word: more may be added.
        """
        log_likelihood, state, is_unknown = 0.0, prev_state, False
        for token_id in self._ids(word, is_first=prev_state is None):
            log_probs, read = self._after(state)
            log_likelihood += float(log_probs[token_id])
            state = read.extended(token_id)  # which is not read yet
            is_unknown |= token_id == self._tokenizer.unk_id
        if is_unknown:
            log_likelihood += self.unk_score_offset * NATS_PER_LOG10
        if is_last_word and self.score_boundary:
            log_likelihood += float(self._after(state)[0][self._tokenizer.eos_id])
        return self.alpha * log_likelihood + self.beta, state

    def score_partial_token(self, partial_token: str) -> float:
        """Return the penalty of a word under way: `unk_score_offset` if no known word begins so, more if it is long."""
        if self._begins_word(partial_token):
            return 0.0
        return self.unk_score_offset * max(1.0, len(partial_token) / USUAL_WORD)

    def reset_params(self, **params: float | bool | None) -> None:
        """Set some of `alpha`, `beta`, `unk_score_offset` and `score_boundary`; what is None stays as it is.

        Raises
        ------
        InvalidParameterError
            If it is none of these.
        """
        for name, value in params.items():
            if name not in PARAMETERS:
                known = ", ".join(PARAMETERS)
                raise InvalidParameterError(f"there is no {name}; there are {known}", name)
            if value is not None:
                setattr(self, name, value)

    def save_to_dir(self, filepath: Path | str) -> None:
        """Write the parameters and a copy of the checkpoint to a folder.

        Raises
        ------
        InvalidParameterError
            If this was not made by `load` or `load_from_dir`: then no one knows where the checkpoint is.
        """
        if self._directory is None:
            raise InvalidParameterError("only what `WordScorer.load` has read can be saved")
        folder = Path(filepath)
        shutil.copytree(self._directory, folder / CHECKPOINT)
        settings: dict[str, object] = {name: getattr(self, name) for name in PARAMETERS}
        settings |= {"separator": self._separator, "order": self._order}
        (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load_from_dir(cls, filepath: Path | str) -> WordScorer:
        """Read what `save_to_dir` wrote."""
        folder = Path(filepath)
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        return cls.load(folder / CHECKPOINT, **settings)

    def _predict(self, state: TextState | None) -> tuple[NDArray[np.float32], TextState]:
        """Return the log-probability of every token after a text, and the state in which all of it has been read."""
        found = self._model.predict((), state)
        assert found.log_probs is not None
        assert found.state is not None
        return found.log_probs, found.state

    def _encode(self, word: str, *, is_first: bool) -> list[int]:
        return self._tokenizer.encode(word if is_first else self._separator + word).ids
