"""What a checkpoint holds: configurations, cells, models, tokenizers and their files. Knows nobody here."""

if __name__ == "models":
    raise ImportError(
        "`models` is imported as `refrain.models`; docs/versions.md has the old names and the new"
    )
