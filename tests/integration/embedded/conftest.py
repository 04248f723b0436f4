"""Embedded services in another process, which a test can kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[3]
LIBRARIES = [entry for entry in sys.path if entry.endswith("site-packages")]  # also usable by another interpreter
HOLDER = Path(__file__).with_name("holder.py")


@dataclass
class Holder:
    """A process that holds embedded services in ``folder``. ``said``: the line that it prints when they answer."""

    process: subprocess.Popen[str]
    said: dict[str, Any] = field(default_factory=dict)

    def ready(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=60)[1]
        self.said = json.loads(line)
        return self.said

    def finish(self) -> int:
        self.process.communicate("\n", timeout=60)
        return self.process.returncode


@pytest.fixture
def hold() -> Iterator[Callable[..., Holder]]:
    """Start a holder: ``hold(folder, python=..., **popen)``."""
    started: list[Holder] = []

    def start(folder: Path, *, python: str = sys.executable, **popen: Any) -> Holder:
        process = subprocess.Popen(
            [python, str(HOLDER), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), *LIBRARIES])},
            **popen,
        )
        started.append(Holder(process))
        return started[-1]

    yield start
    for holder in started:
        holder.process.kill()
        holder.process.communicate(timeout=60)
