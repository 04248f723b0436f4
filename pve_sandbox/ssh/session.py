"""One command of an SSH client: its process, and the pumps between process and channel.

As in OpenSSH, the exit status is sent when the process ends. The channel closes when its output ends, too. A process
without a client continues with closed streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import asyncssh
import structlog
from asyncssh.packet import UInt32

from pve_sandbox.ssh.pct import Reply, Run

log = structlog.get_logger(__name__)

_CHUNK_BYTES = 256 * 1024
_Process = asyncssh.SSHServerProcess[bytes]
_GONE = (asyncssh.Error, OSError)  # raised when the client is gone


class Shell(Protocol):
    """Where commands run. ``environment`` is that of the process from ``plan``, and has ``HOME``."""

    def environment(self, requested: Mapping[str, str]) -> dict[str, str]: ...
    async def plan(self, command: str | None, environment: Mapping[str, str], *, tty: bool) -> Run | Reply: ...


@dataclass(slots=True)
class _Child:
    """``master`` is our end of the pseudo-terminal, -1 without one."""

    process: asyncio.subprocess.Process
    outputs: list[tuple[asyncio.StreamReader, asyncio.ReadTransport]]
    master: int = -1
    stdin: asyncio.StreamWriter | None = None


async def serve(client: _Process, shell: Shell, latency_s: Callable[[], float]) -> None:
    """Run the client's command until it ends, even if the client is gone."""
    requested = {_text(name): _text(value) for name, value in client.channel.get_environment().items()}
    environment = shell.environment(requested)
    tty = client.term_type is not None
    if tty:
        environment["TERM"] = client.term_type or "dumb"
    try:
        await asyncio.sleep(latency_s())
        plan = await shell.plan(client.command, environment, tty=tty)
        if isinstance(plan, Reply):
            await _reply(client, plan)
            return
        if tty:
            child = await _start_on_terminal(plan.argv, environment, client.term_size)
        else:
            child = await _start_on_pipes(plan.argv, environment)
    except _GONE as error:
        log.info("command not started", error=str(error))
        client.close()
        return
    await _run_to_end(client, child, latency_s)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


async def _reply(client: _Process, reply: Reply) -> None:
    client.stdout.write(reply.output.encode())
    client.stderr.write(reply.error.encode())
    client.exit(reply.status)


async def _start_on_pipes(argv: Sequence[str], environment: dict[str, str]) -> _Child:
    outputs, ends = [], []
    for _ in range(2):
        read_end, write_end = os.pipe()
        outputs.append(await _reader(os.fdopen(read_end, "rb", 0)))
        ends.append(write_end)
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=ends[0],
            stderr=ends[1],
            env=environment,
            cwd=environment["HOME"],
            start_new_session=True,
        )
    except OSError:
        for _, transport in outputs:
            transport.close()
        raise
    finally:
        for end in ends:
            os.close(end)
    return _Child(process, outputs, stdin=process.stdin)


async def _start_on_terminal(
    argv: Sequence[str], environment: dict[str, str], size: tuple[int, int, int, int]
) -> _Child:
    master, slave = os.openpty()
    _resize(master, size)
    try:
        process = await asyncio.create_subprocess_exec(
            "env",
            "--default-signal=HUP",  # nohup ignores it, and a shell cannot undo that
            "setsid",
            "--ctty",
            "--wait",
            *argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            cwd=environment["HOME"],
        )
    except OSError:
        os.close(master)
        raise
    finally:
        os.close(slave)
    output = await _reader(os.fdopen(os.dup(master), "rb", 0))
    return _Child(process, [output], master=master)


async def _reader(file: BinaryIO) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(_CHUNK_BYTES)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    return reader, transport


def _resize(master: int, size: tuple[int, int, int, int]) -> None:
    columns, rows, *_ = size
    if master >= 0 and columns and rows:
        termios.tcsetwinsize(master, (rows, columns))


async def _run_to_end(client: _Process, child: _Child, latency_s: Callable[[], float]) -> None:
    writers = (client.stdout, client.stderr)
    pumps = [
        asyncio.create_task(_pump_out(reader, writer, latency_s))
        for (reader, _), writer in zip(child.outputs, writers, strict=False)
    ]
    feeding = asyncio.create_task(_pump_in(client, child))
    leaving = asyncio.create_task(client.channel.wait_closed())
    leaving.add_done_callback(lambda _: _hang_up(child, [*pumps, feeding]))
    try:
        status = await child.process.wait()
        if status >= 0:
            _report_status(client, status)
        await asyncio.gather(*pumps, return_exceptions=True)
        _close(client, status)
    finally:
        for task in (*pumps, feeding, leaving):
            task.cancel()
        await asyncio.gather(*pumps, feeding, leaving, return_exceptions=True)
        _hang_up(child, ())
        if child.process.returncode is None:  # the server closes
            _signal(child, signal.SIGKILL)
            await child.process.wait()


def _hang_up(child: _Child, pumps: Sequence[asyncio.Task[None]]) -> None:
    """Close our ends: the process reads EOF and fails on writes, or its terminal hangs up."""
    for pump in pumps:
        pump.cancel()
    for _, transport in child.outputs:
        transport.close()
    if child.stdin:
        child.stdin.close()
    if child.master >= 0:
        asyncio.get_running_loop().remove_writer(child.master)
        os.close(child.master)
        child.master = -1


async def _pump_out(
    reader: asyncio.StreamReader, writer: asyncssh.SSHWriter[bytes], latency_s: Callable[[], float]
) -> None:
    with contextlib.suppress(*_GONE):  # a terminal ends with an error
        while chunk := await reader.read(_CHUNK_BYTES):
            if delay_s := latency_s():
                await asyncio.sleep(delay_s)
            writer.write(chunk)
            await writer.drain()


async def _pump_in(client: _Process, child: _Child) -> None:
    while True:
        try:
            data = await client.stdin.read(_CHUNK_BYTES)
        except asyncssh.TerminalSizeChanged as change:
            _resize(child.master, (change.width, change.height, 0, 0))
            continue
        except asyncssh.SignalReceived as received:
            _signal(child, _number(received.signal))
            continue
        except asyncssh.BreakReceived:
            continue
        except _GONE:
            data = b""
        if not data:
            break
        await _feed(child, data)
    if child.stdin:
        child.stdin.close()


async def _feed(child: _Child, data: bytes) -> None:
    """Write to stdin. A process that closed it loses the input only."""
    with contextlib.suppress(OSError):
        if child.stdin:
            child.stdin.write(data)
            await child.stdin.drain()
        else:
            await _type(child, data)


async def _type(child: _Child, data: bytes) -> None:
    """Write to a terminal as fast as its command reads."""
    loop = asyncio.get_running_loop()
    while data and child.master >= 0:
        writable: asyncio.Future[None] = loop.create_future()
        loop.add_writer(child.master, _set_ready, writable)
        try:
            await writable
        finally:
            if child.master >= 0:
                loop.remove_writer(child.master)
        if child.master >= 0:
            data = data[os.write(child.master, data) :]


def _set_ready(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _number(name: str) -> int:
    return getattr(signal, f"SIG{name}", signal.SIGTERM)


def _signal(child: _Child, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.process.pid, number)


def _report_status(client: _Process, status: int) -> None:
    """Send the exit status at once. More output may follow.

    ``exit`` of asyncssh closes the channel instead.
    """
    if not client.channel.is_closing():
        with contextlib.suppress(*_GONE):
            client.channel._send_request(b"exit-status", UInt32(status))  # noqa: SLF001


def _close(client: _Process, status: int) -> None:
    with contextlib.suppress(*_GONE):
        if status < 0:
            client.channel.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
        else:
            client.close()
