"""Child processes that never outlive the command that started them."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from lxc_dashboard.errors import ServiceUnavailableError

_LAUNCH = Path(__file__).with_name("launch.py")
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group of a child."""

    uid: int
    gid: int

    @classmethod
    def for_servers(cls, folder: Path) -> Self | None:
        """Return the account for servers with data in ``folder``; None means our own account.

        The servers refuse root. For root, return the folder's owner, or ``nobody``. Raises ``ServiceUnavailableError``.
        """
        if os.geteuid() != 0:
            return None
        if folder.exists() and folder.stat().st_uid != 0:
            return cls(folder.stat().st_uid, folder.stat().st_gid)
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError as error:
            raise ServiceUnavailableError(
                "PostgreSQL does not run as root, and there is no account 'nobody'"
            ) from error
        return cls(nobody.pw_uid, nobody.pw_gid)


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    output: int | IO[bytes] | None = None,
    errors: int | IO[bytes] | None = None,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own, which Ctrl-C does not reach.

    The kernel sends it ``death_signal`` when the *thread* that started it ends, so only the main thread may call this.
    Both outputs go to ``output`` unless ``errors`` is given.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("only the main thread can start a child that dies with its parent")
    owner = account or Account(-1, -1)
    words = (os.getpid(), int(death_signal), owner.uid, owner.gid, *command)
    return subprocess.Popen(  # noqa: S603 - the callers' commands are constant
        [sys.executable, "-I", "-S", str(_LAUNCH), *map(str, words)],
        env=dict(env),
        cwd=cwd,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT if errors is None and output is not None else errors,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
    )


async def ended(process: subprocess.Popen[bytes], timeout_s: float | None = None) -> bool:
    """Return whether ``process`` ends within ``timeout_s``."""
    try:
        async with asyncio.timeout(timeout_s):
            await _until_ended(process)
    except TimeoutError:
        return process.poll() is not None
    return True


async def _until_ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:  # an old kernel, or a sandbox that forbids the call
        while process.poll() is None:  # noqa: ASYNC110 - nothing reports the end
            await asyncio.sleep(_POLL_S)
        return
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    process.wait()


async def end(process: subprocess.Popen[bytes], *signals: signal.Signals, each_s: float = 10) -> None:
    """Send the signals one by one, wait up to ``each_s`` seconds after each, then send KILL to the whole session."""
    for sent in signals or (signal.SIGTERM,):
        if process.poll() is not None:
            break
        process.send_signal(sent)
        if await ended(process, each_s):
            break
    kill_session(process)
    await ended(process, each_s)


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Send KILL to the process group that ``process`` leads, including children that outlive it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
