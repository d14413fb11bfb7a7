"""The compiled layer: the OpenMP that it is given, and that its sources are these."""

from types import SimpleNamespace

import pytest

from refrain.models.errors import NativeLibraryError
from refrain.models.native.layer import library as layer_library


def test_torch_without_openmp_is_said_to_take_one_thread(monkeypatch) -> None:
    monkeypatch.setattr(layer_library.ctypes, "CDLL", lambda path: SimpleNamespace())
    with pytest.warns(UserWarning, match="take one thread"):
        assert not layer_library.find_openmp().parallel


@pytest.mark.parametrize("library", [{}, {"native_layout": lambda: 1}])
def test_a_library_of_other_sources_is_refused(monkeypatch, library) -> None:
    monkeypatch.setattr(layer_library.ctypes, "CDLL", lambda path: SimpleNamespace(**library))
    with pytest.raises(NativeLibraryError, match=r"other sources; install Refrain again"):
        layer_library.LIBRARY.open("portable")
