"""Which model a request means: the one of its path, the one of its body, or the first.

Some programs ask for tokens without a word on the model. For them every route exists once more below
`/models/{name}`: a base address of `http://host/models/english/v1` means that model throughout.
"""

from __future__ import annotations

from fastapi import Request

from refrain.app.services.registry import Registry
from refrain.inference.errors import UnknownModelError

NAMED = "/models/{name}"


def model_of(request: Request, given: str | None, registry: Registry) -> str:
    """Return a model's name, which may be none that is loaded.

    Raises
    ------
    UnknownModelError
        If none is named and there is no language model.
    """
    name = request.path_params.get("name") or given or registry.default_name
    if name is None:
        raise UnknownModelError("no language model is loaded")
    return str(name)
