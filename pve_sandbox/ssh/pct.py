"""``pct`` of the sandbox node, with PVE's messages and exit statuses.

A command line becomes a command of this machine (``Run``) or an answer (``Reply``). ``pct_shim.py`` sends command
lines from a shell, ``door.py`` those that need no shell.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pve_sandbox.errors import SandboxError
from pve_sandbox.guests.host import GuestHost, run_in

_FAILED = 255  # exit status of a Perl program that dies
_NO_CONFIG = 2  # the same, when a file is missing
_NOT_PASSED_ON = {"PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "_", "TERM", "container"}
_USAGE = {
    "enter": "<vmid> [OPTIONS]",
    "exec": "<vmid> [<extra-args>] [OPTIONS]",
    "list": "",
    "pull": "<vmid> <path> <destination> [OPTIONS]",
    "push": "<vmid> <file> <destination> [OPTIONS]",
    "shutdown": "<vmid> [OPTIONS]",
    "start": "<vmid> [OPTIONS]",
    "status": "<vmid> [OPTIONS]",
    "stop": "<vmid> [OPTIONS]",
    "unlock": "<vmid>",
}


@dataclass(frozen=True, slots=True)
class Run:
    """Replace the caller by this command. Its streams stay the same."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """Write these texts and exit."""

    output: str = ""
    error: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """Where ``pct`` was called."""

    environment: Mapping[str, str]
    folder: Path
    tty: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    """A parsed command line: ``words`` before ``--``, ``rest`` after it."""

    caller: Caller
    command: str
    vmid: int
    words: tuple[str, ...]
    rest: tuple[str, ...]
    options: Mapping[str, str]


class _Refusal(Exception):  # noqa: N818 - carries an answer for the caller
    def __init__(self, error: str, status: int = _FAILED) -> None:
        self.reply = Reply(error=error + "\n", status=status)
        super().__init__(error)


def _usage(command: str) -> str:
    return f"pct {command} {_USAGE[command]}".rstrip()


def _parse(arguments: Sequence[str], caller: Caller) -> _Line:
    """Parse a command line. ``_Refusal`` has the message of PVE's option parser."""
    if not arguments or arguments[0] not in _USAGE:
        wrong = f"ERROR: unknown command 'pct {arguments[0]}'" if arguments else "ERROR: no command specified"
        raise _Refusal("\n".join((wrong, "USAGE: pct <COMMAND> [ARGS] [OPTIONS]", *map(_usage, _USAGE))))
    command, rest = arguments[0], list(arguments[1:])
    head, tail = (rest[: rest.index("--")], rest[rest.index("--") + 1 :]) if "--" in rest else (rest, [])
    words, options = _split_options(command, head)
    if command == "list":
        return _Line(caller, command, 0, (), (), options)
    if not words:
        raise _Refusal(f"400 not enough arguments\n{_usage(command)}")
    if not words[0].isdecimal():
        cause = f"vmid: type check ('integer') failed - got '{words[0]}'"
        raise _Refusal(f"400 Parameter verification failed.\n{cause}\n{_usage(command)}")
    return _Line(caller, command, int(words[0]), tuple(words[1:]), tuple(tail), options)


def _split_options(command: str, head: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Split the arguments before ``--`` into words and options."""
    words: list[str] = []
    options: dict[str, str] = {}
    waiting = iter(head)
    for word in waiting:
        if not word.startswith("-") or len(word) == 1:
            words.append(word)
            continue
        name, has_value, value = word.lstrip("-").replace("-", "_").partition("=")
        name = name.replace("_", "-")
        if name not in {"keep-env", "perms", "user", "group", "skiplock", "debug", "verbose", "timeout", "forceStop"}:
            raise _Refusal(f"Unknown option: {name}\n400 unable to parse option\n{_usage(command)}")
        options[name] = value if has_value else next(waiting, "1")
    return words, options


class Pct:
    """``node_of`` returns the node of a guest, ``name_of`` its hostname.

    ``unlock`` removes a container's lock in the API, and returns False where there is no container. ``start_s`` is
    the time each call takes: 0.7 to 1.3 s on a real node. ``calls`` are the arguments of all calls.
    """

    def __init__(
        self,
        guests: GuestHost,
        node_of: Callable[[int], str],
        name_of: Callable[[int], str] | None = None,
        unlock: Callable[[int], bool] | None = None,
        start_s: float = 0.0,
    ) -> None:
        self.calls: list[tuple[str, ...]] = []
        self._start_s = start_s
        self._guests = guests
        self._node_of = node_of
        self._name_of = name_of or (lambda vmid: f"CT{vmid}")
        self._lift_lock = unlock or guests.exists
        self._commands: dict[str, Callable[[_Line], Awaitable[Run | Reply]]] = {
            "enter": self._enter,
            "exec": self._exec,
            "list": self._list,
            "pull": self._pull,
            "push": self._push,
            "shutdown": self._shutdown,
            "start": self._start,
            "status": self._status,
            "stop": self._stop,
            "unlock": self._unlock,
        }

    async def answer(self, arguments: Sequence[str], caller: Caller) -> Run | Reply:
        """Answer ``pct`` with these arguments. Mistakes of the caller become a ``Reply``."""
        self.calls.append(tuple(arguments))
        await asyncio.sleep(self._start_s)
        try:
            line = _parse(arguments, caller)
            if line.command not in {"list", "unlock"} and not self._guests.exists(line.vmid):
                return self._no_config(line.vmid)
            return await self._commands[line.command](line)
        except _Refusal as refusal:
            return refusal.reply
        except (SandboxError, OSError) as error:
            return Reply(error=f"{error}\n", status=_FAILED)

    def _no_config(self, vmid: int) -> Reply:
        path = f"nodes/{self._node_of(vmid)}/lxc/{vmid}.conf"
        return Reply(error=f"Configuration file '{path}' does not exist\n", status=_NO_CONFIG)

    def _require_running(self, vmid: int, otherwise: str = "") -> None:
        if not self._guests.is_running(vmid):
            raise _Refusal(otherwise or f"container '{vmid}' not running!")

    async def _exec(self, line: _Line) -> Run | Reply:
        command = [*line.words, *line.rest]
        if not command:
            raise _Refusal("missing command")
        self._require_running(line.vmid)
        if line.options.get("keep-env", "1") != "0":
            kept = [f"{name}={value}" for name, value in line.caller.environment.items() if name not in _NOT_PASSED_ON]
            command = ["/usr/bin/env", "--", *kept, *command] if kept else command
        return Run(tuple(self._guests.argv(line.vmid, command, tty=line.caller.tty)))

    async def _enter(self, line: _Line) -> Run | Reply:
        self._require_running(line.vmid)
        shell = ["/bin/sh", "-c", "[ -x /bin/bash ] && exec /bin/bash; exec /bin/sh"]
        return Run(tuple(self._guests.argv(line.vmid, shell, tty=line.caller.tty)))

    async def _list(self, _: _Line) -> Run | Reply:
        rows = [("VMID", "Status", "Lock", "Name")]
        vmids = sorted(await self._guests.recover())
        rows.extend((str(vmid), self._state(vmid), "", self._name_of(vmid)) for vmid in vmids)
        return Reply("".join(f"{vmid:<10} {state:<10} {lock:<12} {name:<20}\n" for vmid, state, lock, name in rows))

    def _state(self, vmid: int) -> str:
        return "running" if self._guests.is_running(vmid) else "stopped"

    async def _status(self, line: _Line) -> Run | Reply:
        return Reply(f"status: {self._state(line.vmid)}\n")

    async def _start(self, line: _Line) -> Run | Reply:
        if self._guests.is_running(line.vmid):
            raise _Refusal(f"CT {line.vmid} already running")
        await self._guests.start(line.vmid)
        return Reply()

    async def _stop(self, line: _Line) -> Run | Reply:
        self._require_running(line.vmid, f"CT {line.vmid} not running")
        await self._guests.stop(line.vmid)
        return Reply()

    async def _shutdown(self, line: _Line) -> Run | Reply:
        self._require_running(line.vmid, f"CT {line.vmid} not running")
        await self._guests.shutdown(line.vmid)
        return Reply()

    async def _unlock(self, line: _Line) -> Run | Reply:
        return Reply() if self._lift_lock(line.vmid) else self._no_config(line.vmid)

    async def _push(self, line: _Line) -> Run | Reply:
        source, target = _two_paths(line)
        self._require_running(line.vmid, "can only push files to a running CT")
        uid = await self._number(line.vmid, "-u", line.options.get("user", "0"))
        gid = await self._number(line.vmid, "-g", line.options.get("group", "0"))
        mode = int(line.options.get("perms", "0644"), 8)
        await self._guests.push(line.vmid, line.caller.folder / source, target, mode=mode, uid=uid, gid=gid)
        return Reply()

    async def _pull(self, line: _Line) -> Run | Reply:
        source, target = _two_paths(line)
        self._require_running(line.vmid, "can only pull files from a running CT")
        await self._guests.pull(line.vmid, source, line.caller.folder / target)
        return Reply()

    async def _number(self, vmid: int, which: str, name: str) -> int:
        """Look up the uid of a user in the guest, or with ``-g`` the gid of a group."""
        if name.isdecimal():
            return int(name)
        database = "passwd" if which == "-u" else "group"
        status, output = await run_in(self._guests, vmid, ["getent", database, name])
        fields = output.decode(errors="replace").split(":")
        if status or len(fields) < 3 or not fields[2].isdecimal():  # noqa: PLR2004 - name:password:number
            raise _Refusal(f"unable to find {'user' if which == '-u' else 'group'} '{name}'")
        return int(fields[2])


def _two_paths(line: _Line) -> tuple[str, str]:
    paths = (*line.words, *line.rest)
    if len(paths) != 2:  # noqa: PLR2004
        problem = "not enough arguments" if len(paths) < 2 else "too many arguments"  # noqa: PLR2004
        raise _Refusal(f"400 {problem}\n{_usage(line.command)}")
    return os.fspath(paths[0]), os.fspath(paths[1])
