"""The files of a mixture: JSON lines for each split and source, and a manifest that says what is in them.

`SPLIT/SOURCE.jsonl.gz` has a document a line, id and text. `manifest.json` has the SHA-256 of each, unpacked.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from refrain.training.data.corpus import Split, TextCorpus
from refrain.training.data.mixture.splitting import Splits
from refrain.training.data.packages.document import Document
from refrain.training.errors import CorruptDatasetError, OutputExistsError

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def write_mixture(
    folder: Path, sources: Mapping[str, Splits], manifest: Mapping[str, Any], attribution: str
) -> str:
    """Write a mixture beside its folder and rename it; what was there before stays whole until then.

    Parameters
    ----------
    manifest
        What else to say about the mixture, and about each source below `sources`; the files' figures are added.

    Returns
    -------
    str
        The SHA-256 of the manifest: the same for the same texts.

    Raises
    ------
    OutputExistsError
        If the folder holds something that is no mixture.
    """
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise OutputExistsError(f"{folder} holds something else; move it away")
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as partial:
        new = Path(partial) / "new"
        content = _write_sources(new, sources, manifest)
        (new / MANIFEST).write_text(content, "utf-8")
        (new / "ATTRIBUTION.md").write_text(attribution, "utf-8")
        if folder.exists():
            folder.rename(Path(partial) / "old")
        new.rename(folder)
    return hashlib.sha256(content.encode()).hexdigest()


def _write_sources(folder: Path, sources: Mapping[str, Splits], manifest: Mapping[str, Any]) -> str:
    """Write the documents of all sources; return the manifest with the figures of their files."""
    described = {name: {**about, "splits": {}} for name, about in manifest["sources"].items()}
    for split in SPLITS:
        (folder / split).mkdir(parents=True)
        for name, splits in sources.items():
            path = folder / split / f"{name}.jsonl.gz"
            described[name]["splits"][split] = _write_documents(path, splits[split])
    content = {"format_version": FORMAT_VERSION, **manifest, "sources": described}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _write_documents(path: Path, documents: Sequence[Document]) -> dict[str, Any]:
    """Write documents, to the same bytes at any time; return their figures."""
    digest, num_bytes = hashlib.sha256(), 0
    with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        for document in documents:
            record = {"id": document.id, "text": document.text}
            line = (json.dumps(record, ensure_ascii=False) + "\n").encode()
            packed.write(line)
            digest.update(line)
            num_bytes += len(document.text.encode())
    return {
        "documents": len(documents),
        "words": sum(document.num_words for document in documents),
        "bytes": num_bytes,
        "sha256": digest.hexdigest(),
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a mixture.

    Raises
    ------
    CorruptDatasetError
        If there is none that this version reads.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        is_ours = manifest["format_version"] == FORMAT_VERSION
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptDatasetError(f"{folder / MANIFEST} cannot be read: {error}") from error
    if not is_ours:
        raise CorruptDatasetError(f"{folder} is of another version; build it again")
    return manifest


def read_mixture(folder: Path) -> TextCorpus:
    """Read a mixture that was built: all its documents, and those of each source.

    Raises
    ------
    CorruptDatasetError
        If a file is not as its manifest says.
    """
    sources = {
        name: TextCorpus(
            {
                split: _read_documents(folder / split / f"{name}.jsonl.gz", about["splits"][split])
                for split in SPLITS
            },
            unit="documents",
        )
        for name, about in read_manifest(folder)["sources"].items()
    }
    documents: dict[Split, list[str]] = {
        split: [text for source in sources.values() for text in source.documents[split]]
        for split in SPLITS
    }
    return TextCorpus(documents, unit="documents", sources=sources)


def _read_documents(path: Path, figures: Mapping[str, Any]) -> list[str]:
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise CorruptDatasetError(f"{path} cannot be unpacked: {error}; build it again") from error
    if hashlib.sha256(content).hexdigest() != figures["sha256"]:
        raise CorruptDatasetError(f"{path} is not what was built; build it again")
    return [json.loads(line)["text"] for line in content.splitlines()]
