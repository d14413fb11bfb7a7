"""Native libraries: what the processor is found to run, and which variant is loaded or refused."""

import platform
from pathlib import Path

import pytest

from refrain.models.errors import NativeLibraryError
from refrain.models.native.library import VARIANTS, Feature, NativeLibrary
from refrain.models.native.step import library as step
from refrain.models.native.step.structures import STRUCTURES

CPUINFO = Path("/proc/cpuinfo")
STEM = Path(step.__file__).with_name("step")
FLAGS = {
    Feature.AVX2: {"avx2", "fma", "f16c", "bmi1", "bmi2", "movbe", "abm"},
    Feature.AVX512: {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"},
    Feature.AVX512_VNNI: {"avx512_vnni"},
    Feature.AVX512_BF16: {"avx512_bf16"},
}
"""What Linux calls the parts of each feature."""
NEEDS = {
    Feature.AVX512: Feature.AVX2,
    Feature.AVX512_VNNI: Feature.AVX512,
    Feature.AVX512_BF16: Feature.AVX512,
}


def library(
    stem: Path = STEM, structures=STRUCTURES, declared: list | None = None
) -> NativeLibrary:
    return NativeLibrary(stem, structures, ([] if declared is None else declared).append)


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not CPUINFO.exists(), reason="asks Linux about an x86-64"
)
def test_features_are_those_that_the_operating_system_reports() -> None:
    (flags, *_) = [
        set(line.split(":")[1].split())
        for line in CPUINFO.read_text(encoding="utf-8").splitlines()
        if line.startswith("flags")
    ]
    expected = Feature(0)
    for feature, parts in FLAGS.items():
        if parts <= flags and NEEDS.get(feature, Feature(0)) in expected:
            expected |= feature
    assert Feature(step.load_library("portable").processor_features()) == expected


def test_the_best_variant_was_built_and_is_the_fastest_that_this_processor_runs() -> None:
    features = Feature(step.load_library("portable").processor_features())
    runs = [each for each in step.built_variants() if VARIANTS[each] in features]
    assert step.best_variant() == runs[-1]
    assert runs[0] == "portable"


def test_a_library_is_opened_once_and_declared_once() -> None:
    declared: list = []
    opened = library(declared=declared)
    assert opened.load("portable") is opened.load("portable")
    assert opened.load() is opened.load(opened.best_variant())
    assert len(declared) == len({"portable", opened.best_variant()})


def test_a_library_that_was_not_built_is_refused(tmp_path) -> None:
    missing = library(tmp_path / "step")
    assert missing.built_variants() == []
    for variant in ("portable", "avx2", None):
        with pytest.raises(NativeLibraryError, match=r"cannot be loaded .* install Refrain again"):
            missing.load(variant)


def test_a_file_that_is_no_library_is_refused(tmp_path) -> None:
    (tmp_path / "step_portable.so").write_bytes(b"no library")
    broken = library(tmp_path / "step")
    assert broken.built_variants() == ["portable"]
    with pytest.raises(NativeLibraryError, match="cannot be loaded"):
        broken.best_variant()


@pytest.mark.parametrize("structures", [STRUCTURES[:-1], STRUCTURES[::-1], ()])
def test_a_library_of_other_sources_is_refused_before_it_is_declared(structures) -> None:
    declared: list = []
    other = library(structures=structures, declared=declared)
    with pytest.raises(NativeLibraryError, match="other sources; install Refrain again"):
        other.open("portable")
    assert not declared
