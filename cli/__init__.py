"""The `refrain` command, above `app` and `training`; each command imports what it needs only when asked."""

if __name__ == "cli":
    raise ImportError(
        "`cli` is imported as `refrain.cli`; docs/versions.md has the old names and the new"
    )
