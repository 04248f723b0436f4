"""CPU time and memory of a process, from ``/proc``."""

from __future__ import annotations

import os
import re
from pathlib import Path

MIB = 1024 * 1024


def cpu_s(pid: int) -> float:
    """The CPU time of a process in seconds."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """The proportional set size of a process in MiB."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8"), re.MULTILINE)
    return int(found[1]) * 1024 / MIB if found else 0.0


def worker_of(pid: int) -> int:
    """The serving process of a web server, whose first process only supervises it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return int(children[0]) if children else pid


def load() -> str:
    """The load average of this machine over the last minute."""
    return f"{os.getloadavg()[0]:.2f}"
