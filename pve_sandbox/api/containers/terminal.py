"""One terminal of one guest on a real pty, shared by everybody who looks at it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import termios
from collections.abc import Awaitable, Callable, Sequence

# A shell wants the pty as its controlling terminal.
CONTROLLING = ("setsid", "--ctty", "--wait")
READ_BYTES = 64 * 1024
Listener = Callable[[bytes], Awaitable[None]]


class Terminal:
    """A command on a pty. It outlives those who watch; ``ended`` is set when the command is over."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.listeners: set[Listener] = set()
        self._master = -1
        self._typing = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._pump: asyncio.Task[None] | None = None

    async def open(self, argv: Sequence[str]) -> None:
        master, slave = pty.openpty()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *CONTROLLING, *argv, stdin=slave, stdout=slave, stderr=slave
            )
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        os.set_blocking(master, False)
        self._master = master
        self._pump = asyncio.create_task(self._read())

    def resize(self, columns: int, rows: int) -> None:
        if self._master >= 0:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def write(self, data: bytes) -> None:
        """Type ``data`` in one piece, whoever else types; waits while the other end does not read."""
        async with self._typing:
            while data and self._master >= 0:
                try:
                    data = data[os.write(self._master, data) :]
                except BlockingIOError:
                    await self._ready(writing=True)
                except OSError:
                    return

    async def _read(self) -> None:
        try:
            while True:
                await self._ready(writing=False)
                try:
                    data = os.read(self._master, READ_BYTES)
                except BlockingIOError:
                    continue
                except OSError:  # EIO: the last one closed the other end
                    break
                if not data:
                    break
                await self._tell(data)
        finally:
            self._shut()
            self.ended.set()

    async def _tell(self, data: bytes) -> None:
        """Who left just now is no reason to end what the others watch."""
        for listener in list(self.listeners):
            try:
                await listener(data)
            except OSError:
                self.listeners.discard(listener)

    async def _ready(self, *, writing: bool) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
        add(self._master, _settle, ready)
        try:
            await ready
        finally:
            if self._master >= 0:
                remove(self._master)

    def _shut(self) -> None:
        if self._master >= 0:
            asyncio.get_running_loop().remove_writer(self._master)  # of one who types: its number will be another's
            os.close(self._master)
            self._master = -1

    async def close(self) -> None:
        """End the command and whoever watches it."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        if self._process is not None:
            await self._process.wait()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
