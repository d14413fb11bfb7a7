"""What a text is to report beside its tokens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Want:
    """What a text is to report beside its tokens.

    Attributes
    ----------
    top
        Likeliest tokens beside each token that is written or scored, or of a prediction.
    ranks
        Of a score: each target's rank among all tokens.
    state
        The state to go on from.
    hidden
        The last layer's states: of a score before each target, of a text that is only read after each token.
    distribution
        Of a prediction: the log-probability of every token, not of the top alone.
    branches
        Of a search: the tokens that each hypothesis may best go on with.
    """

    top: int = 0
    ranks: bool = False
    state: bool = False
    hidden: bool = False
    distribution: bool = True
    branches: int = 0


NOTHING = Want()
