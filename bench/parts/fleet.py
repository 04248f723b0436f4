"""The sandbox node of a bench: guests without processes, and a socket by which the bench changes one and counts requests.

The stack runs it as ``python -m bench.parts.fleet`` with the options of ``pve_sandbox``. ``Fleet`` is the bench's side.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxc_dashboard.parent import die_with_parent
from pve_sandbox.__main__ import arguments
from pve_sandbox.demo_cluster import DemoCluster
from pve_sandbox.node import SandboxNode

MODULE = "bench.parts.fleet"
SOCKET = "fleet.sock"
KEPT_REQUESTS = 1_000_000
LOOK_EVERY_S = 0.002
CHANGES_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """``folder`` is the data folder of the fleet's process."""

    folder: Path

    async def power_off(self, vmid: int) -> float:
        """Have a guest power itself off, without a task. Returns when it did, in epoch seconds."""
        return float(await self._ask("power_off", vmid))

    async def changed(self, vmid: int, status: str) -> float:
        """Wait until a guest's status is ``status``. Returns when it became so, in epoch seconds."""
        return float(await self._ask("changed", vmid, status))

    async def received(self, method: str, path: str) -> float:
        """When the API last received such a request, whose path ends in ``path``, in epoch seconds. 0 for none."""
        return float(await self._ask("received", method, path))

    async def requests(self) -> int:
        """The number of requests that the API has answered."""
        return int(await self._ask("requests"))

    async def _ask(self, verb: str, *about: Any) -> Any:
        reader, writer = await asyncio.open_unix_connection(self.folder / SOCKET)
        with contextlib.closing(writer):
            writer.write(json.dumps([verb, *about]).encode() + b"\n")
            return json.loads(await reader.readline())


class Requests(list[tuple[str, str, Any]]):
    """The API's list of requests, each with the time at which it came."""

    def __init__(self) -> None:
        super().__init__()
        self._at: list[float] = []

    def append(self, request: tuple[str, str, Any]) -> None:
        self._at.append(time.time())
        super().append(request)

    def received(self, method: str, path: str) -> float:
        for at, (seen, whole, _) in zip(reversed(self._at), reversed(self), strict=False):
            if seen == method and whole.endswith(path):
                return at
        return 0


async def answer(node: SandboxNode, requests: Requests, verb: str, *about: Any) -> float:
    if verb == "requests":
        return len(requests)
    if verb == "received":
        return requests.received(*about)
    return await act(node, verb, *about)


async def act(node: SandboxNode, verb: str, vmid: int, status: str = "") -> float:
    if verb == "power_off":
        node.power_off(vmid)
        return time.time()
    async with asyncio.timeout(CHANGES_WITHIN_S):
        while (guest := node.api.cts.get(vmid)) is None or guest.status != status:  # noqa: ASYNC110 - fakepve says nothing of a change
            await asyncio.sleep(LOOK_EVERY_S)
    return time.time()


async def serve() -> None:
    """Serve until SIGTERM."""
    options = arguments()
    asked_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_end.set)
    die_with_parent(signal.SIGTERM)
    node = SandboxNode(
        options.data,
        demo=DemoCluster(options.nodes, options.containers),
        time_scale=options.time_scale,
        stats_interval_s=options.stats_interval,
        auth_delay_s=0,
    )
    node.api.max_requests, node.api.requests = KEPT_REQUESTS, (requests := Requests())

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            result = await answer(node, requests, *json.loads(await reader.readline()))
            writer.write(json.dumps(result).encode() + b"\n")
            await writer.drain()

    async with node, await asyncio.start_unix_server(serve_one, options.data / SOCKET):
        print(json.dumps(node.describe()), flush=True)
        await asked_to_end.wait()


if __name__ == "__main__":
    asyncio.run(serve())
