"""A speech a document."""

from refrain.training.data.packages.document import Document
from refrain.training.data.packages.state_of_the_union import read_addresses
from tests.support.package_files import make_tgz


def test_each_text_file_is_a_speech(tmp_path) -> None:
    package = make_tgz(
        tmp_path / "sotu.tgz",
        {
            "package/data/1790_george_washington_n.txt": "Fellow-Citizens:  I embrace\nwith great satisfaction.",
            "package/data/1790_george_washington_n.json": "{}",
            "package/docs/types/index.txt": "no speech",
        },
    )
    assert list(read_addresses(package)) == [
        Document("1790_george_washington_n", "Fellow-Citizens: I embrace with great satisfaction.")
    ]
