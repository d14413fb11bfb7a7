"""The shipped checkpoints: each loads, answers sensibly, and its card holds its own figures."""

import asyncio
from pathlib import Path

import httpx
import pytest

from refrain.app.main import create_app
from refrain.app.settings import Settings
from refrain.models.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[1]
NAMES = ("english", "sentiment-en", "sentiment-zh", "tang")
SHIPPED = [ROOT / "checkpoints" / name for name in NAMES]
MEGABYTE = 1_000_000


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_checkpoint_is_small_and_its_card_holds_its_figures(path) -> None:
    assert sum(file.stat().st_size for file in path.iterdir()) <= 25 * MEGABYTE
    checkpoint = load_checkpoint(path)
    readme = (path / "README.md").read_text("utf-8")
    assert checkpoint.card.metrics
    for metric in checkpoint.card.metrics:
        row = f"| {metric.name} | {metric.split} | {metric.model or path.name} | {metric.value:g} |"
        assert row in readme
    assert checkpoint.card.license in readme
    assert (ROOT / checkpoint.card.recipe).is_file()
    assert checkpoint.card.dataset != "penn-treebank"


def ask_all(questions: list[tuple[str, dict]]) -> list[dict]:
    async def main() -> list[dict]:
        app = create_app(Settings(models=ROOT / "checkpoints"))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
        async with app.router.lifespan_context(app), client:
            calls = (client.post(path, json=body, timeout=60) for path, body in questions)
            answers = await asyncio.gather(*calls)
        return [answer.raise_for_status().json() for answer in answers]

    return asyncio.run(main())


def test_a_poem_a_word_a_perplexity_and_a_sentiment() -> None:
    poem, word, scores, stars, context = ask_all(
        [
            (
                "/generate",
                {"prompt": "床前明月光，", "max_tokens": 60, "temperature": 0.7, "seed": 3},
            ),
            ("/next", {"prefix": "The capital of the United", "top_k": 3}),
            ("/score", {"text": ["The ship was built in 1910.", "Ship in the was 1910 built."]}),
            (
                "/sentiment",
                {
                    "text": [
                        "A lovely film, moving and funny.",
                        "A dull, stupid waste of time.",
                        "很好，非常满意！",
                    ]
                },
            ),
            ("/next", {"prefix": "The ship " * 500, "top_k": 1_000_000}),
        ]
    )
    lines = ("床前明月光，" + poem["choices"][0]["text"]).split("\n")
    assert all(len(clause) in (5, 7) for clause in lines[0].rstrip("。？！；").split("，"))
    assert word["results"][0]["predictions"][0]["token"] in (" States", " Kingdom", " Nations")
    natural, shuffled = (result["perplexity"] for result in scores["results"])
    assert natural < shuffled / 5
    good, bad, very_good = (result["stars"] for result in stars["results"])
    assert good > 3.5
    assert bad < 1.5
    assert very_good > 3.5
    total = sum(p["probability"] for p in context["results"][0]["predictions"])
    assert total == pytest.approx(1, abs=1e-4)
