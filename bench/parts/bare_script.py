"""The lower bound of a creation: only the product's calls to PVE and into the guest.

It has no database, queue, stream or supervisor. ``tests/integration/creation/test_bench_calls.py`` checks that the calls
are exactly those of the product.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shlex
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncssh
import httpx

from lxc_dashboard.guest.doors import conversation, request
from lxc_dashboard.proxmox.tasks import FIRST_POLL_S, POLL_GROWTH, SLOWEST_POLL_S
from lxc_dashboard.services.creation.access import RIGHTS_HOLD_FOR_S
from lxc_dashboard.services.creation.steps import discovery
from lxc_dashboard.services.creation.steps.start import _WAIT_FOR_INIT as WAIT_FOR_INIT
from lxc_dashboard.services.jobs.engine.execution import JUST_S

NODES = ("pve1", "pve2", "pve3")
OSTEMPLATE = "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst"
STORAGE = "local-lvm"


def placed(vmids: Sequence[int]) -> Iterator[tuple[int, str]]:
    return ((vmid, NODES[number % len(NODES)]) for number, vmid in enumerate(vmids))


@dataclass
class BareScript:
    """``shells``: SSH connections to the node, each shared by as many guests as the server allows sessions.

    A guest is entered once, as by the product: ``conversations`` are the shells in the guests, by vmid.
    """

    api: httpx.AsyncClient
    shells: list[asyncssh.SSHClientConnection] = field(default_factory=list)
    conversations: dict[int, asyncssh.SSHClientProcess[bytes]] = field(default_factory=dict)
    asked_at: dict[int, float] = field(default_factory=dict)
    seen_at: dict[int, float] = field(default_factory=dict)

    async def make(self, vmids: Sequence[int], script: str, scripts: int) -> None:
        await asyncio.gather(*(self._make(vmid, node, [script] * scripts) for vmid, node in placed(vmids)))

    async def clear(self, vmids: Sequence[int]) -> None:
        """Delete the guests, so that they do not slow down the next measurement."""
        await asyncio.gather(*(self._clear(vmid, node) for vmid, node in placed(vmids)))

    async def _make(self, vmid: int, node: str, scripts: Sequence[str]) -> None:
        await self._look(vmid, node)  # as the review step does
        await self._look(vmid, node)  # as the worker does
        await self._create(vmid, node)
        await self._start(vmid, node)
        await self._phase(vmid, node)
        guest = f"/nodes/{node}/lxc/{vmid}"
        await self._get(f"{guest}/config")
        helpers = "".join(scripts) * 2  # as many bytes as the supervisor and its helpers
        await self._enter(vmid, node, "cat > /root/prepared", stdin=helpers)
        await self._phase(vmid, node)
        for script in scripts:
            await self._enter(vmid, node, "exec bash -s", stdin=script)
        await self._phase(vmid, node)
        await self._enter(vmid, node, discovery.SCRIPT)
        await self._enter(vmid, node, "cat /etc/lxc-dashboard/credentials/* 2>/dev/null || :")
        await self._get(f"{guest}/config")
        (await self.api.put(f"{guest}/config", data={"description": "bench, ready"})).raise_for_status()
        await self._enter(vmid, node, "rm -f /root/prepared")
        self.conversations.pop(vmid).close()

    async def create_and_start(self, vmid: int, node: str) -> None:
        """Only PVE's two tasks."""
        await self._create(vmid, node)
        await self._task("POST", f"/nodes/{node}/lxc/{vmid}/status/start", vmid, "vzstart")

    async def _create(self, vmid: int, node: str) -> None:
        body = {
            "vmid": vmid, "ostemplate": OSTEMPLATE, "hostname": f"bench-{vmid}", "unprivileged": 1, "cores": 1,
            "memory": 256, "swap": 512, "rootfs": f"{STORAGE}:1", "net0": "name=eth0,bridge=vmbr0,ip=dhcp,type=veth",
            "description": "bench",
        }  # fmt: skip
        await self._task("POST", f"/nodes/{node}/lxc", vmid, "vzcreate", body)
        await self._get(f"/nodes/{node}/lxc/{vmid}/config")
        self.seen_at[vmid] = time.perf_counter()

    async def _start(self, vmid: int, node: str) -> None:
        guest = f"/nodes/{node}/lxc/{vmid}"
        await self._phase(vmid, node)
        await self._get(f"{guest}/config")
        await self._get(f"{guest}/status/current")
        await self._task("POST", f"{guest}/status/start", vmid, "vzstart")
        self.seen_at[vmid] = time.perf_counter()
        await self._enter(vmid, node, WAIT_FOR_INIT, "450")
        await self._get(f"{guest}/interfaces")

    async def _look(self, vmid: int, node: str) -> None:
        paths = (
            "/nodes", f"/cluster/nextid?vmid={vmid}", "/cluster/resources?type=vm",
            f"/nodes/{node}/storage", f"/nodes/{node}/network?type=any_bridge",
            f"/nodes/{node}/storage/local/content?content=vztmpl",
        )  # fmt: skip
        await asyncio.gather(*(self._get(path) for path in paths))

    async def _get(self, path: str) -> Any:
        answer = await self.api.get(path)
        answer.raise_for_status()
        return answer.json()["data"]

    async def _task(
        self, method: str, path: str, vmid: int, kind: str = "", data: dict[str, Any] | None = None
    ) -> None:
        """Run a task and wait for its end. ``kind``: the type of an earlier task to search for first, as the product does."""
        if kind:
            await self._get(f"/nodes/{path.split('/')[2]}/tasks?vmid={vmid}&typefilter={kind}&source=all&limit=100")
        answer = await self.api.request(method, path, data=data)
        answer.raise_for_status()
        upid = answer.json()["data"]
        task, wait_s, first = f"/nodes/{upid.split(':')[1]}/tasks/{upid}", FIRST_POLL_S, 0
        while True:
            status, log = await asyncio.gather(
                self._get(f"{task}/status"), self._get(f"{task}/log?start={first}&limit=500")
            )
            first += len(log)
            if status["status"] == "stopped":
                break
            await asyncio.sleep(wait_s)
            wait_s = min(SLOWEST_POLL_S, wait_s * POLL_GROWTH)
        if not status["exitstatus"].startswith(("OK", "WARNINGS")):
            raise SystemExit(f"{upid}: {status['exitstatus']}")

    async def _enter(self, vmid: int, node: str, script: str, *argv: str, stdin: str = "") -> None:
        """Run a script in the guest. Asks PVE for privileges and node as often as the product does."""
        if time.perf_counter() - self.asked_at.get(vmid, -RIGHTS_HOLD_FOR_S) >= RIGHTS_HOLD_FOR_S:
            await asyncio.gather(self._ask(vmid), self._find(vmid, node, RIGHTS_HOLD_FOR_S))
        if vmid not in self.conversations:
            command = shlex.join(["pct", "exec", str(vmid), "--", *conversation()])
            shell = self.shells[vmid % len(self.shells)]
            self.conversations[vmid] = await shell.create_process(command, encoding=None)
        process, nonce = self.conversations[vmid], secrets.token_hex(8)
        process.stdin.write(request(nonce, "", ["/bin/sh", "-c", script, "sh", *argv], stdin.encode()))
        end = f"{nonce} left ".encode()
        _, stderr = await asyncio.gather(process.stdout.readuntil(end), process.stderr.readuntil(end))
        status, _ = await asyncio.gather(process.stdout.readline(), process.stderr.readline())
        if status != b"0\n":
            raise SystemExit(f"{script[:40]} in {vmid}: {status!r} {stderr!r}")

    async def _ask(self, vmid: int) -> None:
        await self._get(f"/access/permissions?path=/vms/{vmid}")
        self.asked_at[vmid] = time.perf_counter()

    async def _phase(self, vmid: int, node: str) -> None:
        """The check at the beginning of a phase."""
        await self._find(vmid, node, JUST_S)

    async def _find(self, vmid: int, node: str, unless_within_s: float) -> None:
        if time.perf_counter() - self.seen_at[vmid] >= unless_within_s:
            await self._get(f"/nodes/{node}/lxc/{vmid}/status/current")
            self.seen_at[vmid] = time.perf_counter()

    async def _clear(self, vmid: int, node: str) -> None:
        await self._task("POST", f"/nodes/{node}/lxc/{vmid}/status/stop", vmid)
        await self._task("DELETE", f"/nodes/{node}/lxc/{vmid}", vmid)


@contextlib.asynccontextmanager
async def bare_script(
    sandbox: Mapping[str, Any], userid: str, password: str, connections: int
) -> AsyncIterator[BareScript]:
    """Sign in and connect, as the product's pools before a measurement. ``sandbox``: the line that it prints."""
    base = f"https://127.0.0.1:{sandbox['api_port']}/api2/json"
    key = asyncssh.import_private_key(sandbox["ssh_client_key"])
    known = asyncssh.import_known_hosts(f"[127.0.0.1]:{sandbox['ssh_port']} {sandbox['ssh_host_key']}")
    async with (
        httpx.AsyncClient(base_url=base, verify=False, timeout=60) as api,  # noqa: S501 - the sandbox on loopback
        contextlib.AsyncExitStack() as opened,
    ):
        response = await api.post("/access/ticket", data={"username": userid, "password": password})
        ticket = response.json()["data"]
        api.cookies.set("PVEAuthCookie", ticket["ticket"])
        api.headers["CSRFPreventionToken"] = ticket["CSRFPreventionToken"]
        script = BareScript(api)
        for _ in range(connections):
            connecting = asyncssh.connect(
                "127.0.0.1", sandbox["ssh_port"], username="root", client_keys=[key], known_hosts=known
            )
            script.shells.append(await opened.enter_async_context(connecting))
        yield script
