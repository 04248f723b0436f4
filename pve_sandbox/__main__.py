"""Run a sandbox node as a process.

Prints one line of JSON (``SandboxNode.describe``) when the node is ready.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import structlog

from pve_sandbox.demo_cluster import DEMO_PASSWORD, DemoCluster
from pve_sandbox.errors import SandboxError
from pve_sandbox.guests.namespaces import kernel
from pve_sandbox.node import DEFAULT_STATS_INTERVAL_S, DEFAULT_TIME_SCALE, SandboxNode

KINDS = ("auto", "root", "systemd", "rootless", "simulated", "none")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pve_sandbox",
        description="A test double of Proxmox VE on loopback. Prints one line of JSON when it is ready.",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder for all state")
    parser.add_argument("--api-port", type=int, default=0, help="default: a free one")
    parser.add_argument("--ssh-port", type=int, default=0, help="default: a free one")
    parser.add_argument("--guests", choices=KINDS, default="auto")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--containers", type=int, default=12)
    parser.add_argument("--password", default=DEMO_PASSWORD, help="the password of every user")
    parser.add_argument("--time-scale", type=float, default=DEFAULT_TIME_SCALE)
    parser.add_argument("--stats-interval", type=float, default=DEFAULT_STATS_INTERVAL_S, metavar="SECONDS")
    start_s = os.environ.get("SANDBOX_PCT_S", "0")
    parser.add_argument(
        "--pct-s", type=float, default=start_s, metavar="SECONDS", help="real time that each call of pct takes"
    )
    return parser.parse_args(argv)


def _end_with_parent() -> None:
    """Send this process SIGTERM when its parent ends. Linux only."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    kernel.die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:  # the parent ended before the request
        os.kill(os.getpid(), signal.SIGTERM)


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _end_with_parent()
    guests = None
    if options.guests != "none":
        from pve_sandbox.guests import pick_host

        guests = await pick_host(options.data / "guests-host", options.guests)
    password = options.password
    demo = DemoCluster(options.nodes, options.containers, password, password, password, password)
    node = SandboxNode(
        options.data,
        api_port=options.api_port,
        ssh_port=options.ssh_port,
        guests=guests,
        demo=demo,
        time_scale=options.time_scale,
        stats_interval_s=options.stats_interval,
        pct_s=options.pct_s,
    )
    try:
        await node.start()
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(node.describe()), flush=True)  # noqa: T201 - this line is the interface
        await stop.wait()
    finally:
        await node.close()


def main(argv: list[str] | None = None) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        asyncio.run(serve(arguments(argv)))
    except (SandboxError, OSError) as error:
        sys.exit(f"The sandbox cannot start: {error}")


if __name__ == "__main__":
    main()
