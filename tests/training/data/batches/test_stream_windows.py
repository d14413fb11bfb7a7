"""Windows cover every target once, in order, and say where texts begin."""

import numpy as np
import pytest
import torch

from refrain.training.data.batches.document_windows import DocumentWindows
from refrain.training.data.batches.stream_windows import FirstWindows, StreamWindows
from refrain.training.data.batches.window import IGNORED, stream_of
from tests.support.windows import DOCUMENTS, expected_pairs, pairs


@pytest.mark.parametrize("batch_size", [1, 3, 100])
@pytest.mark.parametrize("window", [1, 4, 100])
@pytest.mark.parametrize("kind", [StreamWindows, DocumentWindows])
def test_every_token_and_every_end_is_a_target_once(kind, batch_size, window) -> None:
    windows = kind(DOCUMENTS, eos_id=1, batch_size=batch_size, window=window)
    assert pairs(windows) == expected_pairs()
    assert len(list(windows.epoch(0))) == windows.num_windows


def test_a_lane_goes_on_where_its_last_window_stopped() -> None:
    windows = list(StreamWindows([list(range(2, 30))], eos_id=1, batch_size=2, window=5).epoch(0))
    lanes = torch.cat([window.inputs_BT for window in windows], dim=1)
    assert lanes[0].tolist() == [1, *range(2, 16)]
    assert [window.starts_B.tolist() for window in windows] == [
        [True] * 2,
        [False] * 2,
        [False] * 2,
    ]


def test_an_epoch_is_the_same_each_time_and_unlike_the_next() -> None:
    windows = StreamWindows([list(range(2, 500))], eos_id=1, batch_size=4, window=5, seed=3)
    first, again, second = (list(windows.epoch(n)) for n in (0, 0, 1))
    assert all(torch.equal(a.inputs_BT, b.inputs_BT) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].inputs_BT, second[0].inputs_BT)


def test_a_restarted_row_begins_with_the_boundary() -> None:
    windows = StreamWindows(
        [list(range(2, 3000))], eos_id=1, batch_size=20, window=5, restart_rate=0.05, seed=3
    )
    starts = [(w.starts_B, w.inputs_BT[:, 0]) for w in windows.epoch(0)]
    restarted = sum(int(s.sum()) for s, _ in starts[1:])
    assert 10 < restarted < 100
    assert all((first[s] == 1).all() for s, first in starts)


def test_windows_of_varying_length_cover_every_target_once_in_a_known_number_of_steps() -> None:
    windows = StreamWindows(
        [list(range(2, 2000))],
        eos_id=1,
        batch_size=3,
        window=20,
        window_jitter=4,
        seed=5,
    )
    for epoch in (0, 1):
        found = list(windows.epoch(epoch))
        assert len(found) == windows.num_windows
        lengths = [window.inputs_BT.shape[1] for window in found]
        assert len(set(lengths)) > 3
        assert all(
            window.rate == length / 20 for window, length in zip(found, lengths, strict=True)
        )
        targets = torch.cat([window.targets_BT for window in found], dim=1)
        assert sorted(targets[targets != IGNORED].tolist()) == sorted([*range(2, 2000), 1])
    first, second = (
        [window.inputs_BT.shape[1] for window in windows.epoch(epoch)] for epoch in (0, 1)
    )
    assert first != second
    assert sorted(first) == sorted(second)


def test_a_mapped_stream_gives_the_windows_of_its_documents(tmp_path) -> None:
    path = tmp_path / "a.ids"
    documents = [list(range(2, 300)), [7] * 50, list(range(2, 90))]
    stream_of(documents, 1).astype(np.uint16).tofile(path)
    options = {"eos_id": 1, "batch_size": 7, "window": 10, "window_jitter": 2.0, "seed": 4}
    held = StreamWindows(documents, **options, restart_rate=0.1)
    mapped = StreamWindows(np.memmap(path, np.uint16, "r"), **options, restart_rate=0.1)
    for epoch in (0, 1):
        for a, b in zip(held.epoch(epoch), mapped.epoch(epoch), strict=True):
            assert torch.equal(a.inputs_BT, b.inputs_BT)
            assert torch.equal(a.targets_BT, b.targets_BT)
            assert torch.equal(a.starts_B, b.starts_B)


def test_a_bounded_epoch_is_the_beginning_of_a_whole_one() -> None:
    whole = StreamWindows([list(range(2, 500))], eos_id=1, batch_size=4, window=5, seed=3)
    first = FirstWindows(whole, 6)
    assert first.num_windows == len(list(first.epoch(0))) == 6
    for a, b in zip(first.epoch(1), whole.epoch(1), strict=False):
        assert torch.equal(a.inputs_BT, b.inputs_BT)
    assert FirstWindows(whole, 1000).num_windows == whole.num_windows
