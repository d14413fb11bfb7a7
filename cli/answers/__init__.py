"""Who answers a command: a model in this process, or a running server; the JSON is the same."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refrain.cli.answers.protocol import Answers


def answers_of(options: argparse.Namespace) -> Answers:
    """Make who answers: a running server where one is named, else a model in this process."""
    if options.url:
        from refrain.cli.answers.remote import RemoteAnswers

        return RemoteAnswers(options.url, options.model)
    from refrain.cli.answers.local import LocalAnswers

    return LocalAnswers(options)
