"""The state that survives a restart: a file a guest, one for the cluster, one line a task."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import structlog

from pve_sandbox.api.access.directory import DirectoryState

OWNER_ONLY = 0o600


def write_atomically(path: Path, data: bytes, mode: int = OWNER_ONLY) -> None:
    """Write a temporary file, then rename it, so that a crash leaves the old or the new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as out:
        os.fchmod(out.fileno(), mode)
        out.write(data)
    temporary.replace(path)


log = structlog.get_logger(__name__)

KEPT_TASKS = 500
UNFINISHED = "unexpected status"


class GuestState(msgspec.Struct, omit_defaults=True):
    """``gone`` marks a demo guest that was destroyed."""

    gone: bool = False
    node: str = ""
    config: dict[str, Any] = {}
    pending: dict[str, Any] = {}
    snapshots: dict[str, dict[str, Any]] = {}
    pool: str | None = None
    status: str = "stopped"
    started_at: float | None = None
    hosted: bool = False
    ostemplate: str = ""


class ClusterState(msgspec.Struct):
    directory: DirectoryState
    pools: dict[str, str | None] = {}
    volumes: dict[str, dict[str, dict[str, Any]]] = {}


class Store:
    """Files under ``folder``. Writes are atomic, or append one line."""

    def __init__(self, folder: Path) -> None:
        self.guests_folder = folder / "guests"
        self.cluster_file = folder / "cluster.json"
        self.tasks_file = folder / "tasks.jsonl"
        self.guests_folder.mkdir(parents=True, exist_ok=True)
        self._written = b""

    def guests(self) -> dict[int, GuestState]:
        states = {}
        for path in self.guests_folder.glob("*.json"):
            try:
                states[int(path.stem)] = msgspec.json.decode(path.read_bytes(), type=GuestState)
            except (ValueError, msgspec.MsgspecError) as error:
                log.warning("guest file unreadable", path=str(path), error=str(error))
        return states

    def save_guest(self, vmid: int, state: GuestState | None) -> None:
        """Write the state of a guest. ``None`` removes the file."""
        path = self.guests_folder / f"{vmid}.json"
        if state is None:
            path.unlink(missing_ok=True)
        else:
            write_atomically(path, msgspec.json.encode(state))

    def cluster(self) -> ClusterState | None:
        if not self.cluster_file.exists():
            return None
        return msgspec.json.decode(self.cluster_file.read_bytes(), type=ClusterState)

    def save_cluster(self, state: ClusterState) -> None:
        data = msgspec.json.encode(state)
        if data != self._written:
            write_atomically(self.cluster_file, data)
            self._written = data

    def tasks(self) -> list[dict[str, Any]]:
        """Return the newest tasks, oldest first.

        A task that ran when the node died gets the exit status ``unexpected status``.
        """
        if not self.tasks_file.exists():
            return []
        records: dict[str, dict[str, Any]] = {}
        for line in self.tasks_file.read_bytes().splitlines():
            try:
                record = msgspec.json.decode(line)
                records[record["upid"]] = record
            except (msgspec.MsgspecError, KeyError, TypeError):
                continue  # a crash cut the line
        kept = list(records.values())[-KEPT_TASKS:]
        for record in kept:
            if record["status"] == "running":
                record.update(status="stopped", exitstatus=UNFINISHED, endtime=record["starttime"])
        write_atomically(self.tasks_file, b"".join(msgspec.json.encode(record) + b"\n" for record in kept))
        return kept

    def save_task(self, record: dict[str, Any]) -> None:
        if not self.tasks_file.exists():
            write_atomically(self.tasks_file, b"", OWNER_ONLY)
        with self.tasks_file.open("ab") as out:
            out.write(msgspec.json.encode(record) + b"\n")
