"""The English corpora of the registry."""

from __future__ import annotations

from dataclasses import replace

from refrain.training.data.datasets.dataset import DataFile, Dataset
from refrain.training.data.mixture import english_open
from refrain.training.data.mixture.files import MANIFEST, read_mixture
from refrain.training.data.readers.imdb import read_imdb
from refrain.training.data.readers.penn_treebank import read_penn_treebank
from refrain.training.data.readers.sst import read_sst2, read_sst5
from refrain.training.data.readers.tinyshakespeare import read_tinyshakespeare
from refrain.training.data.readers.wikitext import read_natural_wikitext, read_wikitext

_WIKITEXT_FILES = (
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

_SST_FILES = (
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

WIKITEXT_2 = Dataset(
    name="wikitext-2",
    title="WikiText-2, benchmark tokens: 2,088,628 words, vocabulary 33,278",
    task="language model",
    language="en",
    license="CC BY-SA 3.0",
    origin=(
        "Salesforce Research (Merity et al. 2017); as carried by github "
        "nodiff-229/deeplearning_hw2 (train) and pytorch/examples (valid, test)"
    ),
    files=_WIKITEXT_FILES,
    how_to_get=(
        "take word_language_model/data/wikitext-2 of github pytorch/examples and put its "
        "files under wikitext-2/; gzip the training file"
    ),
    read=read_wikitext,
)

WIKITEXT_2_NATURAL = replace(
    WIKITEXT_2,
    name="wikitext-2-natural",
    title="WikiText-2 turned back to natural English, one article a text",
    read=read_natural_wikitext,
)

PENN_TREEBANK = Dataset(
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
)

TINYSHAKESPEARE = Dataset(
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
)

SST_5 = Dataset(
    name="sst-5",
    title=("Stanford Sentiment Treebank, five classes, with every phrase of the training trees"),
    task="classifier",
    language="en",
    license="none stated; research",
    origin=(
        "Stanford (Socher et al. 2013); as carried by github prrao87/fine-grained- "
        "sentiment : data/sst/raw_data"
    ),
    files=_SST_FILES,
    how_to_get=(
        "take data/sst/raw_data of github prrao87/fine-grained-sentiment and put its "
        "three trees under sst/ as trees_train.txt, trees_dev.txt, trees_test.txt"
    ),
    read=read_sst5,
)

SST_2 = replace(
    SST_5,
    name="sst-2",
    title="Stanford Sentiment Treebank, positive against negative",
    read=read_sst2,
)

IMDB = Dataset(
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
)

ENGLISH_OPEN = Dataset(
    name=english_open.ENGLISH_OPEN.name,
    title="English texts under free licences from packages, Wikipedia and the web, measured by source",
    task="language model",
    language="en",
    license=f"{english_open.ENGLISH_OPEN.license}, with attribution (english-open/ATTRIBUTION.md)",
    origin=english_open.ENGLISH_OPEN.origin(),
    files=(DataFile(f"{english_open.ENGLISH_OPEN.name}/{MANIFEST}", None),),
    how_to_get=english_open.ENGLISH_OPEN.how_to_get(),
    read=lambda root: read_mixture(root / english_open.ENGLISH_OPEN.name),
)
