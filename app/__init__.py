"""The HTTP service: schema -> service -> engine -> model -> sampler -> stream. Never imported by `training`."""

if __name__ == "app":
    raise ImportError(
        "`app` is imported as `refrain.app`; docs/versions.md has the old names and the new"
    )
