"""Documents, and the pairs of input and target that their windows must hold."""

from refrain.training.data.batches.window import IGNORED

DOCUMENTS = [[10, 11, 12], [], [20, 21, 22, 23, 24, 25, 26], [30]]


def pairs(windows, epoch=0):
    """Every (input, target) of an epoch that counts."""
    found = []
    for window in windows.epoch(epoch):
        kept = window.targets_BT != IGNORED
        found += zip(window.inputs_BT[kept].tolist(), window.targets_BT[kept].tolist(), strict=True)
    return sorted(found)


def expected_pairs():
    stream = [1]
    for document in DOCUMENTS:
        stream += [*document, 1]
    return sorted(zip(stream[:-1], stream[1:], strict=True))
