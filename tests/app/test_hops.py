"""How far a request travels: the functions and files of this project that one warm `POST /generate` runs through."""

import sys
import threading

import pytest

from refrain import app, inference, models

ROOMS = tuple(f"{room.__path__[0]}/" for room in (app, inference, models))
MAX_FUNCTIONS, MAX_FILES = 100, 32
FRESH_SERVICE = True


class Hops:
    """Counts distinct functions in all threads that begin after it was made.

    A comprehension is part of its function, as in later versions of Python.
    """

    def __init__(self) -> None:
        self.is_counting = False
        self.functions: set[tuple[str, int]] = set()
        threading.setprofile(self)

    def __call__(self, frame, event, argument) -> None:
        code = frame.f_code
        is_own = event == "call" and code.co_filename.startswith(ROOMS)
        if self.is_counting and is_own and not code.co_name.endswith("comp>"):
            self.functions.add((code.co_filename, code.co_firstlineno))


@pytest.fixture
def hops():
    before = sys.getprofile()
    yield Hops()
    threading.setprofile(None)
    sys.setprofile(before)


@pytest.mark.parametrize(
    ("model", "prompt"), [("tang", "春"), ("english", "The"), ("bytes", "The")]
)
def test_a_generation_passes_few_functions_in_few_files(hops, serve, model, prompt) -> None:
    body = {"model": model, "prompt": prompt, "max_tokens": 40, "seed": 7}
    body |= {"temperature": 0.8, "top_p": 0.9}

    async def ask(client) -> None:
        for _ in range(3):
            await client.post("/generate", json=body)
        hops.is_counting = True
        sys.setprofile(hops)
        answer = await client.post("/generate", json=body)
        sys.setprofile(None)
        hops.is_counting = False
        assert answer.status_code == 200

    serve(ask)
    assert 50 < len(hops.functions) <= MAX_FUNCTIONS
    assert 20 < len({file for file, _ in hops.functions}) <= MAX_FILES
