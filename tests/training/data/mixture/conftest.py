"""A mixture of two small sources, in a data folder of its own."""

from pathlib import Path
from random import Random

import pytest

from refrain.training.data.mixture.source import Mixture, Source, hash_of_documents
from refrain.training.data.packages.document import Document
from refrain.training.data.packages.state_of_the_union import read_addresses
from tests.support.package_files import make_tgz

WORDS = [
    a + b for a in ("ba", "de", "ki", "lo", "mu", "re", "so") for b in ("nar", "tel", "vis", "dom")
]


def sentence(random: Random) -> str:
    """Return a sentence of twelve words that no other is likely to be."""
    return " ".join(random.choices(WORDS, k=12)).capitalize() + "."


def documents(seed: int, number: int, num_sentences: int = 60) -> list[Document]:
    """Return documents of random sentences."""
    random = Random(seed)
    return [
        Document(
            f"{1790 + n}_speaker_{seed}", " ".join(sentence(random) for _ in range(num_sentences))
        )
        for n in range(number)
    ]


@pytest.fixture
def root(tmp_path) -> Path:
    """A data folder with both packages."""
    (tmp_path / "packages").mkdir()
    for name, seed, number in (("long", 1, 60), ("short", 2, 40)):
        write_package(tmp_path, name, documents(seed, number))
    return tmp_path


def write_package(root: Path, name: str, texts: list[Document]) -> None:
    """Write documents as a package of npm."""
    files = {f"package/data/{each.id}.txt": each.text for each in texts}
    make_tgz(root / f"packages/{name}-1.0.tgz", files)


def source(name: str, texts: list[Document], max_share: float = 1.0) -> Source:
    """Return a source that is pinned to documents."""
    return Source(
        name=name,
        title=f"The {name} one",
        package=f"npm {name} 1.0",
        license="CC0",
        holders=f"nobody of {name}",
        files=(f"packages/{name}-*.tgz",),
        fetch=f"npm pack {name}@1.0",
        sha256=hash_of_documents(texts),
        extract=read_addresses,
        max_share=max_share,
    )


@pytest.fixture
def mixture() -> Mixture:
    """The mixture of both, as it is registered."""
    return Mixture(
        name="tiny-open",
        license="CC BY-SA 4.0",
        sources=(source("long", documents(1, 60)), source("short", documents(2, 40))),
    )
