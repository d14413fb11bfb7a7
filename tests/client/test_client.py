"""Over a real socket: every method gives what its route answers."""

import io
import math

import httpx
import pytest

from refrain.client import Client, Hypothesis, InvalidRequestError, NotFoundError, Retries
from tests.support.checkpoints import CHINESE, ENGLISH

LONG = " ".join([ENGLISH] * 40)


def test_a_text_and_its_stream_are_the_same(client) -> None:
    asked = {"model": "english", "max_tokens": 12, "seed": 5, "logprobs": 1}
    whole = client.generate("The cat", **asked)
    assert whole.model == "english"
    stream = client.stream("The cat", **asked)
    pieces = list(stream)
    assert "".join(piece.text for piece in pieces) == whole.text
    assert pieces[-1].finish_reason == whole.choices[0].finish_reason
    assert stream.end is not None
    assert (stream.end.seed, stream.end.usage) == (5, whole.usage)
    sent = [each for piece in pieces for each in piece.logprobs or ()]
    assert tuple(sent) == whole.choices[0].logprobs


def test_several_prompts_have_choices_in_their_order(client) -> None:
    found = client.generate(["The", "A"], model="english", n=2, max_tokens=2, stop=["zzz"])
    assert [choice.index for choice in found.choices] == [0, 1, 2, 3]
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens


def test_a_state_goes_on_where_the_text_ended(client) -> None:
    first = client.score("The old cat", model="english", return_state=True).results[0]
    rest = client.score(" sat.", state=first.state, per_token=True).results[0]
    whole = client.score("The old cat sat.", model="english").results[0]
    assert first.log_likelihood + rest.log_likelihood == pytest.approx(whole.log_likelihood)
    assert [token.token for token in rest.tokens] == [" sat", "."]
    assert whole.tokens is None


def test_the_next_word_has_probabilities(client) -> None:
    found = client.next("The old", model="english", top_k=1_000, candidates=["cat", "zebra"])
    (result,) = found.results
    assert math.fsum(each.probability for each in result.predictions) == pytest.approx(1)
    assert [each.unknown for each in result.candidates] == [None, True]


def test_hypotheses_are_ordered(client) -> None:
    given = [Hypothesis("the cat", -50.0), "the dog"]
    found = client.rescore(given, context="The", model="english", weight=0.5)
    assert [each.text for each in found.hypotheses] == ["the dog", "the cat"]
    assert found.hypotheses[1].given == -50.0


def test_reviews_get_stars(client) -> None:
    english, chinese = client.sentiment([ENGLISH, CHINESE]).results
    assert (english.model, chinese.model) == ("sentiment-en", "sentiment-zh")
    assert sum(english.probabilities.values()) == pytest.approx(1)


def test_a_session_grows_predicts_and_is_forgotten(client) -> None:
    with client.session("The o", model="english") as session:
        assert session.append("ld c").session == session.id
        session.append("at ")
        found = session.next(top_k=3)
        assert found.model == session.model == "english"
        assert session.num_tokens == 3
    whole = client.next("The old cat", model="english", top_k=3).results[0]
    assert found.predictions == whole.predictions
    with pytest.raises(NotFoundError) as refusal:
        session.next()
    assert refusal.value.code == "session_not_found"


def test_a_session_that_is_gone_already_closes_in_silence(client) -> None:
    with client.session() as session:
        session.close()
    assert client.health().status == "ready"


def test_models_health_and_version_are_reported(client) -> None:
    names = [model.name for model in client.models().models]
    assert "tang" in names
    assert client.model("tang").tokenizer == "characters"
    assert client.health("live").status == "live"
    assert client.version().device == "cpu"
    with pytest.raises(NotFoundError, match="a/b"):
        client.model("a/b")


def test_a_refusal_carries_all_that_the_server_reports(client) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        client.generate("The", temperature=-1)
    error = refusal.value
    assert (error.status, error.type) == (400, "invalid_request_error")
    assert (error.param, error.code) == ("temperature", "invalid_value")
    assert "temperature" in error.message
    assert error.request_id
    with pytest.raises(NotFoundError):
        next(client.stream("The", model="nobody"))


SOURCES = {
    "string": lambda text: text,
    "bytes": lambda text: text.encode(),
    "text file": io.StringIO,
    "binary file": lambda text: io.BytesIO(text.encode()),
    "pieces": lambda text: [text[first : first + 7] for first in range(0, len(text), 7)] + [""],
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_long_text_is_scored_from_whatever_holds_it(client, source) -> None:
    whole = client.score(LONG, model="english", count_end=True).results[0]
    asked = {"model": "english", "count_end": True, "stride": 100}
    *steps, last = client.score_stream(source(LONG), **asked)
    assert last.final
    assert last.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
    assert [step.num_tokens for step in steps] == [100 * n for n in range(1, len(steps) + 1)]


def test_a_stream_of_scores_over_httpx_gives_the_same(address, client) -> None:
    with httpx.Client() as http, Client(address, http_client=http) as indirect:
        blocks = list(indirect.score_stream(iter([ENGLISH, ENGLISH]), model="english", stride=9))
        assert blocks == list(client.score_stream(ENGLISH * 2, model="english", stride=9))
        assert blocks == list(client.score_strides(ENGLISH * 2, 9, model="english"))
        assert not http.is_closed


def test_blocks_come_while_the_text_is_still_being_given(client) -> None:
    sent = []

    def pieces():
        yield LONG * 8
        while not sent:  # ends only if something is sent before all is sent
            yield " cat"

    blocks = client.score_stream(pieces(), model="english", stride=50)
    sent.append(next(blocks))
    *_, last = blocks
    assert sent[0].num_tokens == 50
    assert last.final


def test_lines_are_scored_in_order_and_a_long_one_reports_why_not(client) -> None:
    found = list(client.score_lines("The cat.\n\n" + ENGLISH, model="english"))
    assert [each.line for each in found] == [1, 2, 3]
    assert found[1].perplexity is None
    whole = client.score(ENGLISH, model="english").results[0]
    assert found[2].log_likelihood == whole.log_likelihood


def test_a_refusal_of_a_stream_of_text_is_the_route_s_own(client) -> None:
    with pytest.raises(NotFoundError) as refusal:
        next(client.score_stream(iter([LONG] * 200), model="nobody"))
    assert refusal.value.code == "model_not_found"
    assert refusal.value.request_id
    with pytest.raises(InvalidRequestError, match="UTF-8"):
        list(client.score_stream([b"The", b"\xff"], model="english"))


def test_the_address_may_come_from_the_environment(address, monkeypatch) -> None:
    monkeypatch.setenv("REFRAIN_URL", f"{address}/")
    with Client(retries=Retries(max_retries=0)) as client:
        assert client.health().status == "ready"
    with pytest.raises(ValueError, match="http://"):
        Client("127.0.0.1:8000")
