"""Returns freed memory of the web process to the system, which glibc's malloc would keep."""

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
    """Return buffers of 128 KiB or more when they are freed. glibc raises this size unless it is set."""
    libc = _glibc("mallopt")
    if libc is not None:
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, LARGE_BYTES)


def trim() -> None:
    """Return free pages between smaller buffers. Takes some milliseconds."""
    libc = _glibc("malloc_trim")
    if libc is not None:
        libc.malloc_trim(0)


async def trim_always() -> None:
    """Trim every 10 s until cancelled. Many pages that open at once leave free memory between used buffers."""
    while True:
        await asyncio.sleep(TRIM_EVERY_S)
        await asyncio.to_thread(trim)


def _glibc(function: str) -> ctypes.CDLL | None:
    """Return the C library, None where it lacks ``function``, as musl does."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if libc is not None and hasattr(libc, function) else None
