"""Texts of any length scored as they arrive: the same figures as in one piece, whatever the chunks."""

import http.client
import json

import pytest

from tests.support.checkpoints import ENGLISH

TEXT = " ".join([ENGLISH] * 30) + "\nThe last line, with ünknown wörds."
POEM = "春眠不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。" * 20


def chunks_of(text: str, size: int):
    async def chunks():
        packed = text.encode()
        for first in range(0, len(packed), size):
            yield packed[first : first + size]

    return chunks()


async def stream(client, text: str, size: int = 1_000, **params):
    content = chunks_of(text, size)
    response = await client.post("/score/stream", content=content, params=params)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


FIGURES = ("perplexity", "log_likelihood", "bits_per_character")
COUNTS = ("num_tokens", "num_unknown")


def check_same(found: dict, expected: dict) -> None:
    for name in FIGURES:
        assert found[name] == pytest.approx(expected[name], rel=1e-12)
    assert [found[name] for name in COUNTS] == [expected[name] for name in COUNTS]


@pytest.mark.parametrize("model", ["english", "bytes", "tang", "counts"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_text_in_chunks_scores_as_in_one_piece(serve, model, size) -> None:
    text = POEM if model == "tang" else TEXT

    async def body(client) -> None:
        asked = {"text": text, "model": model, "count_end": True}
        whole = (await client.post("/score", json=asked)).json()["results"][0]
        params = {"model": model, "count_end": True, "stride": 17}
        *steps, last = await stream(client, text, size, **params)
        check_same(last, whole)
        assert last["final"] is True
        assert [step["num_tokens"] for step in steps] == [17 * n for n in range(1, len(steps) + 1)]
        again = await client.post("/score", json={**asked, "stride": 17})
        assert [json.loads(line) for line in again.text.splitlines()] == [*steps, last]

    serve(body)


def test_each_line_scores_as_a_text_of_its_own_and_in_order(serve) -> None:
    lines = [ENGLISH[: 3 * n] for n in range(25)] * 4

    async def body(client) -> None:
        found = await stream(client, "\n".join(lines), 10, unit="line", model="english")
        assert [each["line"] for each in found] == list(range(1, len(lines) + 1))
        whole = await client.post("/score", json={"text": lines, "model": "english"})
        for each, expected in zip(found, whole.json()["results"], strict=True):
            for name in (*FIGURES, *COUNTS):
                assert each[name] == expected[name]

    serve(body)


def test_a_state_at_the_end_goes_on_as_the_text_would(serve) -> None:
    async def body(client) -> None:
        (*_, last) = await stream(client, ENGLISH, model="english", return_state=True)
        asked = {"text": " The cat sat.", "state": last["state"]}
        rest = (await client.post("/score", json=asked)).json()["results"][0]
        whole = {"text": ENGLISH + " The cat sat.", "model": "english"}
        both = (await client.post("/score", json=whole)).json()["results"][0]
        together = last["log_likelihood"] + rest["log_likelihood"]
        assert together == pytest.approx(both["log_likelihood"])

    serve(body)


def test_a_byte_order_mark_is_no_part_of_a_text(serve) -> None:
    async def body(client) -> None:
        expected = await stream(client, ENGLISH, model="english")
        assert await stream(client, "\ufeff" + ENGLISH, model="english") == expected
        asked = {"text": "\ufeff" + ENGLISH, "model": "english", "stride": 4_096}
        response = await client.post("/score", json=asked)
        assert [json.loads(line) for line in response.text.splitlines()] == expected

    serve(body)


def test_a_body_over_the_limit_of_others_is_read(serve) -> None:
    async def body(client) -> None:
        (*_, last) = await stream(client, TEXT, model="english")
        assert last["num_tokens"] > 500

    serve(body, max_body_bytes=1_000, max_score_tokens=100)


def test_what_goes_wrong_on_the_way_is_the_last_line(serve) -> None:
    async def broken():
        yield b"The cat sat on the mat.\n"
        yield b"\xff\xfe"

    async def body(client) -> None:
        response = await client.post("/score/stream", content=broken(), params={"unit": "line"})
        *lines, last = [json.loads(line) for line in response.text.splitlines()]
        assert [line["line"] for line in lines] in ([], [1])
        assert "UTF-8" in last["error"]["message"]
        asked = {"unit": "line", "model": "english"}
        found = await stream(client, "The cat\n" + ENGLISH * 9 + "\nsat", **asked)
        assert [line["line"] for line in found] == [1, 2, 3]
        assert found[1]["error"]["code"] == "text_too_long"
        assert found[2]["num_tokens"] == 1

    serve(body, max_score_tokens=50)


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"unit": "page"}, 400),
        ({"stride": 0}, 400),
        ({"model": "sentiment-en"}, 400),
        ({"model": "gpt"}, 404),
    ],
)
def test_what_cannot_be_served_is_refused_before_the_stream(serve, params, status) -> None:
    async def body(client) -> None:
        response = await client.post("/score/stream", content=b"The cat", params=params)
        assert response.status_code == status
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}

    serve(body)


def test_a_file_may_be_put_as_curl_does(serve) -> None:
    async def body(client) -> None:
        params = {"model": "english"}
        put = await client.put("/score/stream", content=ENGLISH.encode(), params=params)
        assert [json.loads(line) for line in put.text.splitlines()] == await stream(
            client, ENGLISH, model="english"
        )
        refused = await client.put("/score", json={"text": "a"})
        assert refused.status_code == 405
        assert "POST" in refused.json()["error"]["message"]

    serve(body)


def test_an_empty_body_is_an_empty_text(serve) -> None:
    async def body(client) -> None:
        (only,) = await stream(client, "", model="english")
        assert (only["num_tokens"], only["perplexity"], only["final"]) == (0, None, True)
        assert await stream(client, "", unit="line", model="english") == []

    serve(body)


def test_a_line_is_answered_before_the_next_one_is_sent(address) -> None:
    host, _, port = address.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.putrequest("POST", "/score/stream?unit=line&model=english")
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()
    response = None
    for number, line in enumerate((b"The cat\n", b"sat on\n", b"the mat\n"), start=1):
        connection.send(b"%x\r\n%s\r\n" % (len(line), line))
        response = response or connection.getresponse()
        assert json.loads(response.readline())["line"] == number
    connection.send(b"0\r\n\r\n")
    assert response.read() == b""
    connection.close()


def test_lines_before_a_fault_are_answered(serve) -> None:
    async def broken():
        yield b"The cat sat on the mat.\n" * 50
        yield b"\xff"

    async def body(client) -> None:
        params = {"unit": "line", "model": "english"}
        response = await client.post("/score/stream", content=broken(), params=params)
        *lines, last = [json.loads(line) for line in response.text.splitlines()]
        assert [line["line"] for line in lines] == list(range(1, 51))
        assert last["error"]["message"] == "the text is not UTF-8: after byte 1200"

    serve(body)


def test_a_stream_waits_where_the_queue_is_full_for_a_moment(serve) -> None:
    async def body(client) -> None:
        found = await stream(client, "The cat sat.\n" * 100, unit="line", model="english")
        assert [each["line"] for each in found] == list(range(1, 101))
        assert all("error" not in each for each in found)

    serve(body, max_slots=1, max_queue=1)


BLANKS = {"tabs": "\t", "no-break": "\u00a0", "wide": "\u3000", "several": " \t  ", "lines": "\n\n"}


@pytest.mark.parametrize("blanks", BLANKS.values(), ids=BLANKS)
@pytest.mark.parametrize("size", [3, 997])
def test_whatever_parts_words_the_chunks_do_not_matter(serve, blanks, size) -> None:
    text = blanks.join(ENGLISH.split() * 40)

    async def body(client) -> None:
        whole = (await client.post("/score", json={"text": text, "model": "english"})).json()
        (*_, last) = await stream(client, text, size, model="english")
        check_same(last, whole["results"][0])

    serve(body)


def test_endless_blanks_and_words_are_read_in_bounded_time_and_memory(serve) -> None:
    async def body(client) -> None:
        for text in ("\n" * 400_000, " " * 400_000, "a" * 400_000, ("a" * 300 + " ") * 1_000):
            (*_, last) = await stream(client, text, 65_536, model="english")
            assert last["final"] is True
            again = await stream(client, text, 1_000, model="english")
            assert again[-1] == last

    serve(body)


def test_an_unknown_parameter_is_refused(serve) -> None:
    async def body(client) -> None:
        response = await client.post("/score/stream", content=b"a", params={"modle": "english"})
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "modle"
        response = await client.post("/score/stream", content=b"a", params={"stride": 0})
        assert response.json()["error"]["param"] == "stride"

    serve(body)
