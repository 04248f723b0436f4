"""Memory that the web process freed goes back to the system. glibc's malloc keeps it otherwise; other libraries do not need this."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from typing import Final

# From glibc's malloc.h.
M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
LARGE_BYTES: Final = 128 * 1024
TRIM_EVERY_S: Final = 10.0


def return_large_buffers() -> None:
    """Give buffers from 128 KiB back when they are freed. glibc raises this size by itself unless it is set."""
    libc = _glibc("mallopt")
    if libc is not None:
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, LARGE_BYTES)


def trim() -> None:
    """Give the free pages between smaller buffers back. Takes some milliseconds."""
    libc = _glibc("malloc_trim")
    if libc is not None:
        libc.malloc_trim(0)


async def trim_always() -> None:
    """Trim every 10 s until cancelled. When many pages open at once, their first messages leave free pages between what stays."""
    while True:
        await asyncio.sleep(TRIM_EVERY_S)
        await asyncio.to_thread(trim)


def _glibc(function: str) -> ctypes.CDLL | None:
    """The C library, None where it does not have ``function``: musl has none of these."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if libc is not None and hasattr(libc, function) else None
