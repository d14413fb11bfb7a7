"""The `refrain` command."""

if __name__ == "cli":
    raise ImportError(
        "`cli` is imported as `refrain.cli`; docs/versions.md has the old names and the new"
    )
