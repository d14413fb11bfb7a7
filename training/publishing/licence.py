"""What a licence's text means to the hub, and whether it lets a checkpoint be given away."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_KNOWN = (
    (r"MIT", "mit"),
    (r"Apache(?: License)?,?[ -](?:Version )?2(?:\.0)?", "apache-2.0"),
    (r"BSD[ -]3[ -]Clause", "bsd-3-clause"),
    (r"BSD[ -]2[ -]Clause", "bsd-2-clause"),
    (r"CC0(?:[ -]1\.0)?", "cc0-1.0"),
    (r"ODC[ -]BY", "odc-by"),
)
"""How well-known licences are written, and their identifiers on the hub."""

_CREATIVE_COMMONS = re.compile(r"CC[ -](BY(?:[ -](?:NC|SA|ND))*)[ -](\d\.\d)\b", re.IGNORECASE)

_FORBIDDEN = re.compile(
    r"\bLDC|Linguistic Data Consortium|not (?:to )?be (?:given away|(?:re)?distributed|shared)"
    r"|\bno (?:re)?distribution|not (?:re)?distributable|all rights reserved|confidential|proprietary",
    re.IGNORECASE,
)

_LINKS = (
    ("LDC", "https://catalog.ldc.upenn.edu/LDC99T42"),
    ("Stanford Sentiment Treebank", "https://nlp.stanford.edu/sentiment/"),
)
"""Pages with the terms of corpora whose licence has no identifier."""


@dataclass(frozen=True)
class HubLicence:
    """A licence as the metadata of a model card names it.

    Attributes
    ----------
    identifier
        One of the hub's identifiers, such as "cc-by-sa-3.0"; "other" for terms that have none; "unknown" for no terms.
    name, link
        What "other" terms are called, in the hub's spelling, and a page about them; else empty.
    """

    identifier: str
    name: str = ""
    link: str = ""


def hub_licence(text: str) -> HubLicence:
    """Find the hub's identifier for a licence that is written for people; it must begin the text."""
    text = text.strip()
    if not text:
        return HubLicence("unknown")
    if not is_kept_back(text):
        if creative := _CREATIVE_COMMONS.match(text):
            kind = re.sub(r"[ -]", "-", creative[1])
            return HubLicence(f"cc-{kind}-{creative[2]}".lower())
        for pattern, identifier in _KNOWN:
            if re.match(rf"(?:{pattern})(?![\w.-])", text, re.IGNORECASE):
                return HubLicence(identifier)
    name = re.sub(r"[^\w.]+", "-", text.lower()).strip("-.")[:80].rstrip("-.")
    link = next((page for owner, page in _LINKS if owner in text), "")
    return HubLicence("other", name or "unnamed", link)


def is_kept_back(text: str) -> bool:
    """Return whether a licence's text forbids giving away what stands under it."""
    return _FORBIDDEN.search(text) is not None


def first_kept_back(texts: Iterable[str]) -> str | None:
    """Return the first of several texts about one licence that forbids giving away, if there is one."""
    return next((text for text in texts if is_kept_back(text)), None)
