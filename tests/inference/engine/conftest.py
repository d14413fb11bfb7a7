"""Torch on one thread for every test of this folder."""

from tests.support.engines import one_thread

__all__ = ["one_thread"]
