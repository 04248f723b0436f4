"""Resource usage of a guest, from /proc and its folders. Cgroups differ too much for that."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_BLOCK_BYTES = 512
_DISK_AGE_S = 15
_UTIME = 11  # fields of /proc/PID/stat after the command's name: utime, stime, cutime, cstime
_NETWORK_IN, _NETWORK_OUT = 0, 8


class ProcessMeter:
    """CPU seconds and bytes of a guest. Processes that live between two readings are missed."""

    def __init__(self, init_pid: int) -> None:
        self._proc = Path(f"/proc/{init_pid}/root/proc")
        self._network = Path(f"/proc/{init_pid}/net/dev")
        self._seen: dict[int, int] = {}
        self._ended_ticks = 0

    def processes(self) -> tuple[float, int]:
        """(CPU seconds since the start, bytes of memory)."""
        ticks: dict[int, int] = {}
        own_pages, shared_pages = 0, 0
        for name in self._pids():
            with contextlib.suppress(OSError, IndexError):
                folder = self._proc / name
                fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                ticks[int(name)] = sum(int(field) for field in fields[_UTIME : _UTIME + 4])
                _, resident, shared, *_ = (folder / "statm").read_text(encoding="ascii").split()
                own_pages += int(resident) - int(shared)
                shared_pages = max(shared_pages, int(shared))
        self._ended_ticks += sum(value for pid, value in self._seen.items() if value > ticks.get(pid, -1))
        self._seen = ticks
        return (self._ended_ticks + sum(ticks.values())) / _TICKS_PER_S, (own_pages + shared_pages) * _PAGE_BYTES

    def count(self) -> int:
        """The number of processes, including the init."""
        return len(self._pids())

    def _pids(self) -> list[str]:
        with contextlib.suppress(OSError):
            return [name for name in os.listdir(self._proc) if name.isdecimal()]  # noqa: PTH208 - names are enough
        return []

    def network(self) -> tuple[int, int]:
        """Bytes in and out over the guest's eth0."""
        with contextlib.suppress(OSError):
            for line in self._network.read_text(encoding="ascii").splitlines():
                name, _, figures = line.partition(":")
                if name.strip() == "eth0":
                    columns = figures.split()
                    return int(columns[_NETWORK_IN]), int(columns[_NETWORK_OUT])
        return 0, 0


class DiskMeter:
    """Bytes below some folders, measured at most every ``_DISK_AGE_S``."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._bytes = 0
        self._measured = float("-inf")

    def read(self) -> int:
        if time.monotonic() - self._measured > _DISK_AGE_S:
            self._bytes = sum(_size(folder) for folder in self._folders)
            self._measured = time.monotonic()
        return self._bytes


def _size(top: Path) -> int:
    total = 0
    for folder, _, files in os.walk(top):
        for name in files:
            with contextlib.suppress(OSError):
                total += Path(folder, name).lstat().st_blocks * _BLOCK_BYTES
    return total
