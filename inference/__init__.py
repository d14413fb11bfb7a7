"""One engine, in process: operations and the drivers that run them; no HTTP, no settings."""

if __name__ == "inference":
    raise ImportError(
        "`inference` is imported as `refrain.inference`; docs/versions.md has the old names and the new"
    )
