"""The table of a mixture."""

from refrain.training.data.mixture.build import build_mixture
from refrain.training.data.mixture.summary import summary


def test_the_table_adds_up(root, mixture) -> None:
    _, manifest = build_mixture(mixture, root, {})
    head, long, short, total = (line.replace(",", "").split() for line in summary(manifest))
    assert head[0] == "source"
    assert [int(a) + int(b) for a, b in zip(long[1:], short[1:], strict=True)] == [
        int(n) for n in total[1:]
    ]
    assert int(total[4]) == 100
