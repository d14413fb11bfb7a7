"""The softmax of training, side by side and one part after another."""

import pytest
import torch

from refrain.models.native.layer.library import find_openmp, load_library
from refrain.models.native.layer.softmax import softmax_errors
from refrain.models.native.layer.structures import OpenMpStruct


def test_parts_in_torchs_threads_equal_parts_that_follow_one_another() -> None:
    openmp = find_openmp()
    if not openmp.parallel:
        pytest.skip("torch was built without OpenMP")
    torch.manual_seed(4)
    scores, bias = torch.randn(37, 300).bfloat16(), torch.randn(300)
    targets = torch.randint(300, (37,))

    def run():
        return softmax_errors(scores.clone(), bias, targets)

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    side_by_side = run()
    library = load_library()
    library.use_openmp(OpenMpStruct())
    try:
        one_by_one = run()
    finally:
        library.use_openmp(openmp)
        torch.set_num_threads(before)
    for one, other in zip(side_by_side, one_by_one, strict=True):
        assert torch.equal(one, other)
