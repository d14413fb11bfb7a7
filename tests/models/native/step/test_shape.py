"""The shape of a model, as its version knows it."""

from refrain.models.native.step.shape import ModelShape


def test_the_spelling_that_versions_hash_does_not_follow_the_names_of_fields() -> None:
    shape = ModelShape(vocab_size=7, eos_id=1, hidden_size=64, state_bytes=256)
    expected = "ModelShape(vocab_size=7, boundary_id=1, hidden_size=64, state_bytes=256)"
    assert shape.spelled() == expected
