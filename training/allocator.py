"""The C library's memory: keep what was freed, since each step asks for the same again."""

from __future__ import annotations

import ctypes
import platform
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 2**31 - 1
LARGEST_KEPT_BLOCK = 2**30


def keep_freed_memory() -> None:
    """Tell glibc to reuse large blocks; nothing is done under another C library.

    By default each tensor of more than 32 MB is mapped anew, and the kernel clears its pages one by one: a fifth of a
    step's time on one core of an AMD EPYC (Zen 5).
    """
    if not _has_glibc():
        return
    library = ctypes.CDLL(None)
    library.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BLOCK)
    library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def give_freed_memory_back() -> None:
    """Give the system what training has freed, so that measuring does not come on top of it."""
    if _has_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _has_glibc() -> bool:
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
