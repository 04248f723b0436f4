"""Run ``launch.py`` and receive its reports."""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pve_sandbox.errors import GuestError
from pve_sandbox.guests.namespaces.launch import MESSAGE_BYTES

_ROOT = Path(__file__).resolve().parents[3]
_PROGRAM = "import sys; sys.path.insert(0, {root!r}); from pve_sandbox.guests.namespaces.launch import main; main()"
_ANSWER_TIMEOUT_S = 20
_MAX_PASSED_SOCKETS = 4


def tool(name: str) -> str:
    """Return the path of a command. ``OSError`` if it is not installed."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
    if not path:
        raise FileNotFoundError(f"{name} is not installed")
    return path


class Launcher:
    """One run of ``launch.py``.

    Start it from the thread that lives longest: the kernel kills it when that thread ends.
    """

    def __init__(self, role: str) -> None:
        self._role = role
        self._control, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        self._process: asyncio.subprocess.Process | None = None
        self.passed: list[socket.socket] = []

    async def __aenter__(self) -> Self:
        descriptor = self._far.fileno()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            "-c",
            _PROGRAM.format(root=str(_ROOT)),
            self._role,
            str(descriptor),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(descriptor,),
            start_new_session=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        self._far.close()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._control.close()
        if kind:
            await self.end()

    @property
    def process(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise GuestError("The launcher was not started")
        return self._process

    async def end(self) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    def send(self, document: Mapping[str, Any]) -> None:
        self._control.send(json.dumps(document).encode())

    async def receive(self) -> dict[str, Any] | None:
        """Return the next report, ``None`` when the other end is closed. ``GuestError`` for an error."""
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                await _readable(self._control)
        except TimeoutError as error:
            raise GuestError("The guest's launcher does not answer") from error
        try:
            data, rights, _, _ = self._control.recvmsg(
                MESSAGE_BYTES, socket.CMSG_SPACE(_MAX_PASSED_SOCKETS * array.array("i").itemsize)
            )
        except ConnectionResetError:
            return None
        for _, _, packed in rights:
            numbers = array.array("i")
            numbers.frombytes(packed[: len(packed) - len(packed) % numbers.itemsize])
            self.passed.extend(socket.socket(fileno=number) for number in numbers)
        if not data:
            return None
        report: dict[str, Any] = json.loads(data)
        if "error" in report:
            raise GuestError("A guest cannot be started here", detail=report["error"])
        return report


def _set_ready(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _readable(endpoint: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(endpoint, _set_ready, ready)
    try:
        await ready
    finally:
        loop.remove_reader(endpoint)


class GuestProcess:
    """The init of a running guest, a child of ours by ``fork_as_sibling``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        self._loop.add_reader(self._descriptor, self._reap)

    def _reap(self) -> None:
        self._loop.remove_reader(self._descriptor)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self._descriptor)
        self.ended.set()

    async def kill(self) -> None:
        """Kill the guest with every process in it."""
        if not self.ended.is_set():
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            await self.ended.wait()
