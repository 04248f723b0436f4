"""A guest's terminal on a real pty, shared by its viewers."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import termios
from collections.abc import Awaitable, Callable, Sequence

# A shell needs the pty as its controlling terminal.
CONTROLLING = ("setsid", "--ctty", "--wait")
READ_BYTES = 64 * 1024
Listener = Callable[[bytes], Awaitable[None]]


class Terminal:
    """A command on a pty. It outlives its viewers. ``ended`` is set when the command ends."""

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
        """Write ``data`` without mixing it with other input. Waits while the command does not read."""
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
                except OSError:  # EIO: the last process closed the pty
                    break
                if not data:
                    break
                await self._broadcast(data)
        finally:
            self._close_pty()
            self.ended.set()

    async def _broadcast(self, data: bytes) -> None:
        """Send output to every viewer. A viewer that left is removed."""
        for listener in list(self.listeners):
            try:
                await listener(data)
            except OSError:
                self.listeners.discard(listener)

    async def _ready(self, *, writing: bool) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
        add(self._master, _set_ready, ready)
        try:
            await ready
        finally:
            if self._master >= 0:
                remove(self._master)

    def _close_pty(self) -> None:
        if self._master >= 0:
            asyncio.get_running_loop().remove_writer(self._master)  # the number of the descriptor may be used again
            os.close(self._master)
            self._master = -1

    async def close(self) -> None:
        """End the command and disconnect its viewers."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        if self._process is not None:
            await self._process.wait()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)


def _set_ready(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
