"""The compiled step, loaded in the variant that suits this processor."""

from __future__ import annotations

from pathlib import Path

from refrain.models.native.library import NativeLibrary
from refrain.models.native.step.structures import STRUCTURES, declare

_STEP = NativeLibrary(Path(__file__).with_name("step"), STRUCTURES, declare)
best_variant, built_variants = _STEP.best_variant, _STEP.built_variants
load_library = _STEP.load
