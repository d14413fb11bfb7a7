"""States as signed tokens: exact, and refused where they are not whole, not ours, or not of this version."""

import pytest

from refrain.app.services.errors import StaleStateError
from refrain.app.services.scoring import score
from refrain.app.services.state_token import FORMAT, StateTokens
from refrain.inference.engine.request import TextState
from refrain.inference.operations.scoring import ScoreParams
from refrain.models.errors import InvalidParameterError
from tests.support.serving import asked, serve
from tests.support.states import SECRET, body_of, signed

WITH_STATE = ScoreParams(return_state=True)


def with_token(checkpoints, check) -> None:
    """Call a check with the models, their states, and the token and state of a text."""

    async def body(serving) -> None:
        loaded, (scored,) = await score(serving, asked("english"), ["The old cat"], WITH_STATE)
        token = serving.states.encode(loaded.model, scored.state)
        check(serving, loaded.model, scored.state, token)

    serve(checkpoints, body, ("english", "tang"))


def test_a_state_comes_back_as_it_was(checkpoints) -> None:
    def check(serving, model, state, token) -> None:
        found = serving.states.decode(token)
        assert found.model_name == "english"
        assert found.open(model) == state
        assert StateTokens(SECRET.encode()).decode(token) == found

    with_token(checkpoints, check)


def test_what_another_signed_or_changed_is_refused(checkpoints) -> None:
    def check(serving, _, __, token) -> None:
        swapped = ("B" if token[30] == "A" else "A").join((token[:30], token[31:]))
        for wrong in (swapped, token[:-4], token + "AAAA", signed(body_of(token), "another"), ""):
            with pytest.raises(InvalidParameterError, match="signed by another server"):
                serving.states.decode(wrong)
        with pytest.raises(InvalidParameterError, match="not a token of this service"):
            serving.states.decode("é!")

    with_token(checkpoints, check)


def test_a_token_of_another_format_is_stale(checkpoints) -> None:
    def check(serving, _, __, token) -> None:
        other = signed(bytes([FORMAT + 1]) + body_of(token)[1:])
        with pytest.raises(StaleStateError, match="another version of this service"):
            serving.states.decode(other)

    with_token(checkpoints, check)


def test_a_state_of_another_model_or_of_another_length_is_stale_at_the_edge(checkpoints) -> None:
    def check(serving, model, state, token) -> None:
        tang = serving.registry.models["tang"].model
        with pytest.raises(StaleStateError, match="another version or precision of english"):
            serving.states.decode(token).open(tang)
        for packed in (state.packed[:-1], state.packed + b"\0", b""):
            cut = TextState(packed, state.position, state.unread)
            found = serving.states.decode(serving.states.encode(model, cut))
            with pytest.raises(StaleStateError):
                found.open(model)

    with_token(checkpoints, check)
