"""The list of sources that goes with a mixture, and with a model trained on it."""

from __future__ import annotations

from collections.abc import Mapping

from refrain.training.data.mixture.extracting import num_words
from refrain.training.data.mixture.files import SPLITS
from refrain.training.data.mixture.source import Mixture
from refrain.training.data.mixture.splitting import Splits


def attribution(mixture: Mixture, sources: Mapping[str, Splits]) -> str:
    """Return a page in Markdown: what each source is, whose, under which licence, and how much of it there is."""
    head = (
        f"# Sources of {mixture.name}\n\n"
        f"Licence of the whole: {mixture.license}. The texts were extracted from the packages named here, cleaned of\n"
        "markup and repeats, and split by document. Nobody named here endorses this corpus or a model trained on it.\n"
    )
    sections = [head]
    for source in mixture.sources:
        documents = [each for split in SPLITS for each in sources[source.name][split]]
        sections.append(
            f"## {source.title}\n\n"
            f"- package: {source.package}\n"
            f"- licence: {source.license}\n"
            f"- copyright: {source.holders}\n"
            f"- here: {len(documents):,} documents, {num_words(documents):,} words\n"
        )
    return "\n".join(sections)
