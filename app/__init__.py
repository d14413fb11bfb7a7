"""The HTTP service: a request becomes an operation, an answer becomes a response."""

if __name__ == "app":
    raise ImportError(
        "`app` is imported as `refrain.app`; docs/versions.md has the old names and the new"
    )
