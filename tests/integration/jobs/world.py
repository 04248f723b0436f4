"""A model of PVE and of a guest, fast enough for thousands of jobs.

The model keeps its state when a worker dies: containers, tasks, the marker, files, steps and script starts.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from lxc_dashboard.guest.base import STATE_FOLDER

NODE = "pve1"
NODE_HOST = "127.0.0.1"
HOST_KEY = "ssh-ed25519 AAAA"
ADDRESS = "10.0.0.99"
VOLUME = "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst"
STORAGES = [
    {"storage": "local", "type": "dir", "content": "vztmpl", "active": 1, "enabled": 1, "avail": 1 << 40},
    {"storage": "local-lvm", "type": "lvmthin", "content": "rootdir", "active": 1, "enabled": 1, "avail": 1 << 40},
]
LINES = 4


@dataclass
class Step:
    """A step in the guest. Each read adds one line to its output."""

    output: bytes
    printed: int = 0

    @property
    def ended(self) -> bool:
        return self.printed >= len(self.output)

    def grow(self) -> None:
        end = self.output.find(b"\n", self.printed)
        self.printed = len(self.output) if end < 0 else end + 1


@dataclass
class Guest:
    """``keys``: the public keys that root accepts, in base64."""

    config: dict[str, str]
    running: bool = False
    marker: str = ""
    keys: set[str] = field(default_factory=set)
    helpers: bool = False
    folders: set[str] = field(default_factory=lambda: {"/etc", "/root"})
    files: dict[str, bytes] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    begun: Counter[str] = field(default_factory=Counter)


@dataclass
class World:
    """``posts``: how many tasks of each type a POST began. ``made``: how many containers were ever created."""

    guests: dict[int, Guest] = field(default_factory=dict)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    posts: Counter[str] = field(default_factory=Counter)
    made: int = 0

    # ---------------------------------------------------------------------- PVE

    def answer(self, method: str, path: str, form: dict[str, str]) -> tuple[int, Any]:
        """Return the status and data of an answer of ``/api2/json``."""
        parts = path.strip("/").split("/")
        if parts[0] != "nodes" or len(parts) == 1:
            return 200, self._of_cluster(path, form)
        rest = parts[2:]
        if rest[0] == "tasks":
            return 200, self._of_task(rest, form)
        if rest[0] == "lxc":
            return self._of_guest(method, rest[1:], form)
        listed = {"storage": STORAGES, "network": [{"iface": "vmbr0", "type": "bridge"}], "aplinfo": []}
        if rest[-1] == "content":
            return 200, [{"volid": VOLUME, "content": "vztmpl", "size": 1, "format": "tzst"}]
        return 200, listed[rest[0]]

    def _of_cluster(self, path: str, form: dict[str, str]) -> Any:
        if path == "/nodes":
            return [{"node": NODE, "status": "online", "maxmem": 1 << 40, "mem": 0}]
        if path == "/cluster/nextid":
            return form.get("vmid") or "100"
        if path == "/cluster/resources":
            return [
                {"id": f"lxc/{vmid}", "type": "lxc", "vmid": vmid, "node": NODE, "name": guest.config["hostname"]}
                for vmid, guest in self.guests.items()
            ]
        if path == "/access/permissions":
            return {form["path"]: {"VM.Console": 1, "VM.Config.Options": 1}}
        return {"version": "9.0.3", "release": "9.0", "repoid": "0"}

    def _of_task(self, rest: list[str], form: dict[str, str]) -> Any:
        if len(rest) == 1:
            return [task for task in self.tasks if task["type"] == form.get("typefilter", task["type"])]
        task = next(task for task in self.tasks if task["upid"] == rest[1])
        if rest[2] == "log":
            return [{"n": 1, "t": f"{task['type']} begins"}, {"n": 2, "t": "TASK OK"}][int(form.get("start", 0)) :]
        return {**task, "status": "stopped", "exitstatus": "OK"}

    def _of_guest(self, method: str, rest: list[str], form: dict[str, str]) -> tuple[int, Any]:
        if method == "POST" and not rest:
            return self._create(int(form["vmid"]), form)
        vmid = int(rest[0])
        guest = self.guests.get(vmid)
        if guest is None:
            return 500, f"Configuration file 'nodes/{NODE}/lxc/{vmid}.conf' does not exist"
        what = "/".join(rest[1:])
        if what == "status/start":
            return self._start(vmid, guest)
        if method == "PUT":
            guest.config |= form
            return 200, None
        told = {
            "status/current": {"vmid": vmid, "status": "running" if guest.running else "stopped"},
            "interfaces": [{"name": "eth0", "inet": f"{ADDRESS}/24", "hwaddr": "bc:24:11:00:00:01"}],
            "config": {**guest.config, "digest": "0"},
        }
        return 200, told[what]

    def _create(self, vmid: int, form: dict[str, str]) -> tuple[int, Any]:
        if vmid in self.guests:
            return 500, f"unable to create CT {vmid} - CT {vmid} already exists on node '{NODE}'"
        kept = {name: value for name, value in form.items() if name not in {"vmid", "ostemplate", "password"}}
        keys = {line.split()[1] for line in kept.pop("ssh-public-keys", "").splitlines()}
        self.guests[vmid] = Guest(kept, keys=keys)
        self.made += 1
        return 200, self._task("vzcreate", vmid)

    def _start(self, vmid: int, guest: Guest) -> tuple[int, Any]:
        if guest.running:
            return 500, f"CT {vmid} already running"
        guest.running = True
        return 200, self._task("vzstart", vmid)

    def _task(self, kind: str, vmid: int) -> str:
        number = len(self.tasks) + 1
        upid = f"UPID:{NODE}:{number:08X}:{number:08X}:{0x69000000 + number:08X}:{kind}:{vmid}:root@pam:"
        self.tasks.append(
            {"upid": upid, "type": kind, "id": str(vmid), "user": "root@pam", "node": NODE, "pid": number,
             "pstart": number, "starttime": 0x69000000 + number}
        )  # fmt: skip
        self.posts[kind] += 1
        return upid

    # -------------------------------------------------------------------- guest

    def entered(self, words: list[str]) -> Guest | None:
        """The guest that a command on the node enters with ``pct``."""
        return self.guests[int(words[words.index("pct") + 2])] if "pct" in words else None

    def answer_request(self, guest: Guest, sent: bytes) -> Entered:
        """Answer one request of a conversation, after checking the marker as the shell does."""
        head, _, rest = sent.partition(b"\n")
        nonce, marker, argv_bytes, _ = head.decode().split()
        argv = shlex.split(rest[: int(argv_bytes)].decode())[:-1]
        if marker not in {"-", guest.marker}:
            return Entered(b"", f"{nonce} other {guest.marker}\n".encode(), None)
        return self._run(guest, argv, rest[int(argv_bytes) :]).between(nonce)

    def at(self, host: str) -> Guest | None:
        """The guest whose SSH server answers at this address."""
        return next((guest for guest in self.guests.values() if guest.running and host == ADDRESS), None)

    def _run(self, guest: Guest, argv: list[str], stdin: bytes) -> Entered:
        if argv == ["/bin/sh"]:
            return self._install(guest, stdin.decode())
        if argv[:2] == ["rm", "-rf"] and argv[2] == STATE_FOLDER:
            guest.steps.clear()
            guest.helpers = False
            return Entered(b"", b"", None)
        if len(argv) > 1 and argv[1].endswith("/supervisor.sh"):
            return self._supervise(guest, argv[2:], stdin)
        return Entered(self._script(guest, argv, stdin), b"", None)

    def _script(self, guest: Guest, argv: list[str], stdin: bytes) -> bytes:
        """The output of one of the product's own scripts, recognized by its text."""
        text = argv[2] if argv[:2] == ["/bin/sh", "-c"] else ""
        if "authorized_keys" in text:
            guest.keys.discard(argv[4])
        if "sha256sum" in text:
            return self._place(guest, argv[4:], stdin).encode()
        return b"running\n" if "systemctl is-system-running" in text else b""

    def _install(self, guest: Guest, script: str) -> Entered:
        found = re.search(r"printf '%s\\n' (\S+) >", script)
        marker = found[1] if found else ""
        guest.marker = guest.marker or marker
        guest.helpers = True
        return Entered(b"", b"", None, 0 if guest.marker == marker else 96)

    def _place(self, guest: Guest, words: list[str], content: bytes) -> str:
        folder, name, _, _, _, checksum, _ = words
        path = f"{folder}/{name}"
        if folder not in guest.folders:
            return "held\n"
        if hashlib.sha256(guest.files.get(path, b"")).hexdigest() == checksum:
            return "same\n"
        guest.files[path] = content
        return "written\n"

    def _supervise(self, guest: Guest, words: list[str], script: bytes) -> Entered:
        """Do what ``run`` of supervisor.sh promises: start a step once and keep its output until it is removed."""
        if not guest.helpers:
            return Entered(b"", b"", None, 127)
        _, nonce, step_id, name, _, offset, _ = words
        if step_id not in guest.steps:
            guest.begun[name] += 1
            guest.steps[step_id] = Step(script)
            guest.folders.add("/opt/late")
        end = f"{nonce} end exit 0 {len(guest.steps[step_id].output)}\n".encode()
        return Entered(b"", b"", guest.steps[step_id], offset=int(offset), end=end)


@dataclass
class Entered:
    """The output of a command in the guest: both streams at once, or a step line by line and then ``end``."""

    out: bytes
    err: bytes
    step: Step | None
    status: int = 0
    offset: int = 0
    end: bytes = b""
    left: bytes = b""
    has_left: bool = False

    def between(self, nonce: str) -> Entered:
        """Add the lines that the shell prints on both streams before and after a command."""
        hello = f"{nonce} entered\n".encode()
        self.out, self.err = hello + self.out, hello + self.err
        self.left = f"{nonce} left {self.status}\n".encode()
        return self

    def read(self) -> tuple[bytes, bytes]:
        out, err, self.out, self.err = self.out, self.err, b"", b""
        if not (out or err) and self.step is not None:
            out, err = self._grown(self.step)
        if self.step is None and self.left:
            self.has_left = True
            out, err = out + self.left, err + self.left
        return out, err

    def _grown(self, step: Step) -> tuple[bytes, bytes]:
        if self.offset >= step.printed:
            step.grow()
        part, self.offset = step.output[self.offset : step.printed], step.printed
        if not step.ended:
            return part, b""
        self.step = None
        return part, self.end
