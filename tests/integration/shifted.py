"""A command of ours on a host whose clock is wrong: ``python -m tests.integration.shifted FILE MODULE``.

``FILE`` holds by how many seconds, and may be written anew meanwhile: that is a clock which is set. Monotonic time goes on.
"""

from __future__ import annotations

import ctypes
import gc
import runpy
import sys
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path

_true_time = time.time


def shift(file: Path) -> None:
    """``time.time`` and ``datetime.now`` of this process from now on; whoever imports them later has these."""

    def shifted_time() -> float:
        return _true_time() + float(file.read_text() or 0)

    def shifted_now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
        return cls.fromtimestamp(shifted_time(), tz)

    time.time = shifted_time
    _replace_in_type(datetime, "now", shifted_now)


def _replace_in_type(kind: type, name: str, function: Callable[..., object]) -> None:
    """A type written in C takes no assignment: its own dictionary does."""
    [names] = gc.get_referents(kind.__dict__)
    names[name] = classmethod(function)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))


if __name__ == "__main__":
    clock, module = sys.argv[1:3]
    shift(Path(clock))
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
