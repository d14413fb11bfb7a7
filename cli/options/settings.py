"""The settings of the service, which commands beside `serve` go by too."""

from __future__ import annotations

import argparse

from refrain.app.settings import Settings


def read_settings(options: argparse.Namespace) -> Settings:
    """Read the settings: what the options give, the environment, and defaults.

    Raises
    ------
    ConfigError
        Naming the flag, for a value that cannot be.
    """
    from pydantic import ValidationError

    from refrain.models.errors import ConfigError

    given = {name: value for name, value in vars(options).items() if name in Settings.model_fields}
    try:
        return Settings(**given)
    except ValidationError as error:
        fault = error.errors()[0]
        flag = "--" + str(fault["loc"][0]).replace("_", "-")
        raise ConfigError(f"{flag}: {fault['msg']}, not {fault['input']!r}") from error
