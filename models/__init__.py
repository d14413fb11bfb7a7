"""What a checkpoint holds: configurations, networks, tokenizers, native code."""

if __name__ == "models":
    raise ImportError(
        "`models` is imported as `refrain.models`; docs/versions.md has the old names and the new"
    )
