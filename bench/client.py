"""The CPU time to list and validate 5,000 guests, compared with proxmoxer and with httpx and json.

An HTTPS server in another process answers ``/cluster/resources`` with the same bytes to all three clients. They take turns,
round by round. The medians of this process's CPU time are compared.

    python -m bench.client
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from proxmoxer import ProxmoxAPI

from lxc_dashboard.proxmox import Endpoint, ProxmoxPool, TokenAuth
from tests.unit.proxmox.replay import Answer, Identity, RawServer, strict_identity

GUESTS = 5_000
NODES = 16
ROUNDS = 25
WARM_UP_ROUNDS = 3
MUST_REACH = 0.5
TOKENID = "root@pam!bench"
SECRET = "00000000-0000-0000-0000-000000000000"  # noqa: S105 - the server checks none
GIB = 1 << 30

Listing = Callable[[], Awaitable[int]]


def guests(count: int) -> list[dict[str, Any]]:
    """Entries of ``/cluster/resources`` as of PVE 9, with random figures."""
    chance = random.Random(5_000)  # noqa: S311 - figures, not secrets
    return [_guest(vmid, chance) for vmid in range(100, 100 + count)]


def _guest(vmid: int, chance: random.Random) -> dict[str, Any]:
    return {
        "id": f"lxc/{vmid}",
        "type": "lxc",
        "vmid": vmid,
        "name": f"web-{vmid:05d}",
        "node": f"pve{vmid % NODES + 1}",
        "status": chance.choice(("running", "running", "stopped")),
        "template": 0,
        "tags": "dashboard;web",
        "pool": "lab",
        "cpu": chance.random(),
        "maxcpu": chance.choice((1, 2, 4)),
        "mem": chance.randrange(GIB),
        "maxmem": GIB,
        "memhost": chance.randrange(GIB),
        "disk": chance.randrange(8 * GIB),
        "maxdisk": 8 * GIB,
        "diskread": chance.randrange(1 << 40),
        "diskwrite": chance.randrange(1 << 40),
        "netin": chance.randrange(1 << 40),
        "netout": chance.randrange(1 << 40),
        "uptime": chance.randrange(10_000_000),
    }


def serve(folder: str, port: Any) -> None:
    """Serve until the process is terminated. Sends the server's port through ``port``."""
    body = json.dumps({"data": guests(GUESTS)}, separators=(",", ":")).encode()

    async def answer_for_ever() -> None:
        async with RawServer(strict_identity(Path(folder)), lambda _: Answer(body=body)) as server:
            port.send(server.port)
            await asyncio.Event().wait()

    asyncio.run(answer_for_ever())


async def measure(port: int, identity: Identity) -> dict[str, list[float]]:
    """The CPU time of each round in ms, by client."""
    context = ssl.create_default_context(cafile=identity.ca_file)
    pve = ProxmoxAPI(
        "127.0.0.1",
        port=port,
        user="root@pam",
        token_name=TOKENID.partition("!")[2],
        token_value=SECRET,
        verify_ssl=str(identity.ca_file),
    )
    async with (
        ProxmoxPool() as pool,
        httpx.AsyncClient(verify=context, trust_env=False, headers={"Authorization": "PVEAPIToken=x"}) as plain,
    ):
        endpoint = Endpoint("127.0.0.1", port, ca_pem=identity.ca_pem)
        client = pool.client(endpoint, TokenAuth(TOKENID, SECRET))

        async def ours() -> int:
            return len(await client.cluster.resources())

        async def proxmoxer() -> int:
            return len(pve.cluster.resources.get())

        async def httpx_json() -> int:
            response = await plain.get(f"https://127.0.0.1:{port}/api2/json/cluster/resources")
            return len(response.json()["data"])

        clients: dict[str, Listing] = {"ours": ours, "proxmoxer": proxmoxer, "httpx_json": httpx_json}
        spent: dict[str, list[float]] = {name: [] for name in clients}
        for round_number in range(WARM_UP_ROUNDS + ROUNDS):
            for name, listing in clients.items():
                cpu_ms = await _cpu_ms(listing)
                if round_number >= WARM_UP_ROUNDS:
                    spent[name].append(cpu_ms)
        return spent


async def _cpu_ms(listing: Listing) -> float:
    before = time.process_time()
    found = await listing()
    spent_ms = (time.process_time() - before) * 1000
    if found != GUESTS:
        raise SystemExit(f"expected {GUESTS} guests, got {found}")
    return spent_ms


def report(spent: dict[str, list[float]]) -> bool:
    """Print the table and the last line. Returns whether the bound was reached."""
    median = {name: statistics.median(times) for name, times in spent.items()}
    print(f"{GUESTS} guests listed over TLS, {ROUNDS} rounds, CPU of the client in ms")
    print(f"{'client':<14}{'median':>9}{'best':>9}{'worst':>9}{'per guest, us':>16}")
    for name, times in spent.items():
        per_guest_us = median[name] * 1000 / GUESTS
        print(f"{name:<14}{median[name]:>9.1f}{min(times):>9.1f}{max(times):>9.1f}{per_guest_us:>16.2f}")
    versus = {name: median["ours"] / median[name] for name in ("proxmoxer", "httpx_json")}
    reached = all(ratio <= MUST_REACH for ratio in versus.values())
    print(
        f"bench=client cpu_vs_proxmoxer={versus['proxmoxer']:.3f} cpu_vs_httpx_json={versus['httpx_json']:.3f}"
        f" verdict={'ok' if reached else 'short'}"
    )
    return reached


def main() -> int:
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        identity = strict_identity(Path(folder))
        here, there = processes.Pipe()
        server = processes.Process(target=serve, args=(folder, there), daemon=True)
        server.start()
        try:
            spent = asyncio.run(measure(here.recv(), identity))
        finally:
            server.terminate()
            server.join()
    return 0 if report(spent) else 1


if __name__ == "__main__":
    sys.exit(main())
