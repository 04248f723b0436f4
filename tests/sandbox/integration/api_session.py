"""A signed-in client of the sandbox's API, and waiting for tasks and conditions."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from pve_sandbox.demo_cluster import DEMO_PASSWORD, OS_TEMPLATES
from pve_sandbox.node import SandboxNode

DEADLINE_S = 60
TEMPLATE = f"local:vztmpl/{OS_TEMPLATES[1]}"


@dataclass
class Session:
    """Paths are below ``/api2/json``."""

    node: SandboxNode
    http: httpx.AsyncClient

    async def data(self, path: str, /, **query: Any) -> Any:
        answer = await self.http.get(path, params=query)
        assert answer.status_code == httpx.codes.OK, answer.reason_phrase
        return answer.json()["data"]

    async def write(self, method: str, path: str, /, **form: Any) -> Any:
        answer = await self.http.request(method, path, data=form)
        assert answer.status_code == httpx.codes.OK, f"{answer.reason_phrase} {answer.text}"
        return answer.json()["data"]

    async def post(self, path: str, /, **form: Any) -> Any:
        return await self.write("POST", path, **form)

    async def refusal(self, method: str, path: str, /, **form: Any) -> tuple[int, str]:
        """Return status and reason of a request that must fail."""
        answer = await self.http.request(method, path, data=form) if form else await self.http.request(method, path)
        return answer.status_code, answer.reason_phrase

    async def end_of(self, upid: str) -> str:
        """Wait for a task and return its exit status."""
        path = f"/nodes/{upid.split(':')[1]}/tasks/{quote(upid, safe='')}/status"
        status: dict[str, Any] = {}

        async def ended() -> bool:
            status.update(await self.data(path))
            return bool(status["status"] == "stopped")

        await until(ended)
        return str(status["exitstatus"])

    async def run(self, path: str, /, method: str = "POST", **form: Any) -> str:
        """Start a task and wait for its end. Returns its UPID."""
        return await self.end_of(await self.write(method, path, **form))

    async def log_of(self, upid: str) -> list[str]:
        lines = await self.data(f"/nodes/{upid.split(':')[1]}/tasks/{quote(upid, safe='')}/log", limit=0)
        return [line["t"] for line in lines]

    async def create(self, vmid: int, node: str = "pve1", **form: Any) -> str:
        """Create a container from a template without warnings. Returns the task's UPID."""
        asked = {"vmid": vmid, "ostemplate": TEMPLATE, "rootfs": "local-lvm:4", "hostname": f"ct{vmid}", **form}
        return str(await self.post(f"/nodes/{node}/lxc", **asked))


@asynccontextmanager
async def signed_in(
    node: SandboxNode, userid: str = "root@pam", password: str = DEMO_PASSWORD
) -> AsyncIterator[Session]:
    async with anonymous(node) as it:
        answer = await it.http.post("/access/ticket", data={"username": userid, "password": password})
        ticket = answer.json()["data"]
        it.http.headers["Cookie"] = "PVEAuthCookie=" + quote(ticket["ticket"], safe="")
        it.http.headers["CSRFPreventionToken"] = ticket["CSRFPreventionToken"]
        yield it


@asynccontextmanager
async def anonymous(node: SandboxNode) -> AsyncIterator[Session]:
    trust = ssl.create_default_context(cafile=str(node.ca_file))
    async with httpx.AsyncClient(base_url=f"{node.url}/api2/json", verify=trust, trust_env=False, timeout=60) as http:
        yield Session(node, http)


async def until(holds: Callable[[], Any], deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition, which may be a coroutine function."""
    end = time.monotonic() + deadline_s
    while True:
        held = holds()
        if await held if asyncio.iscoroutine(held) else held:
            return
        assert time.monotonic() < end, "the condition did not come to hold"
        await asyncio.sleep(0.02)
