"""Offline training: from corpus to checkpoint."""

if __name__ == "training":
    raise ImportError(
        "`training` is imported as `refrain.training`; docs/versions.md has the old names and the new"
    )
