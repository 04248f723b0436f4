"""Run a module with a wrong clock: ``python -m tests.integration.shifted FILE MODULE``.

``FILE`` holds the shift in seconds. Rewriting it sets the clock of the running process. Monotonic time is not shifted.
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
    """Replace ``time.time`` and ``datetime.now`` in this process, also for modules that import them later."""

    def shifted_time() -> float:
        return _true_time() + float(file.read_text() or 0)

    def shifted_now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
        return cls.fromtimestamp(shifted_time(), tz)

    time.time = shifted_time
    _replace_in_type(datetime, "now", shifted_now)


def _replace_in_type(kind: type, name: str, function: Callable[..., object]) -> None:
    """Through the type's dictionary, as a type written in C allows no assignment."""
    [names] = gc.get_referents(kind.__dict__)
    names[name] = classmethod(function)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))


if __name__ == "__main__":
    clock, module = sys.argv[1:3]
    shift(Path(clock))
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
