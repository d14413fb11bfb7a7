"""The HTTP service: schema -> service -> engine -> model -> sampler -> stream. Never imported by `training`."""
