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

from pve_sandbox.errors import SandboxError
from pve_sandbox.guests.namespaces import kernel
from pve_sandbox.node import DEFAULT_STATS_INTERVAL_S, DEFAULT_TIME_SCALE, SandboxNode
from pve_sandbox.seed import DEMO_PASSWORD, Seed

KINDS = ("auto", "root", "systemd", "rootless", "simulated", "none")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pve_sandbox", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder for everything that is kept")
    parser.add_argument("--api-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ssh-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--guests", choices=KINDS, default="auto")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--containers", type=int, default=12)
    parser.add_argument("--password", default=DEMO_PASSWORD, help="of every user")
    parser.add_argument("--time-scale", type=float, default=DEFAULT_TIME_SCALE)
    parser.add_argument("--stats-interval", type=float, default=DEFAULT_STATS_INTERVAL_S, metavar="SECONDS")
    start_s = os.environ.get("SANDBOX_PCT_S", "0")
    parser.add_argument("--pct-s", type=float, default=start_s, metavar="SECONDS", help="what each call of pct costs")
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
    asked_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_end.set)
    _end_with_parent()
    guests = None
    if options.guests != "none":
        from pve_sandbox.guests import pick_host

        guests = await pick_host(options.data / "guests-host", options.guests)
    word = options.password
    seed = Seed(options.nodes, options.containers, word, word, word, word)
    node = SandboxNode(
        options.data,
        api_port=options.api_port,
        ssh_port=options.ssh_port,
        guests=guests,
        seed=seed,
        time_scale=options.time_scale,
        stats_interval_s=options.stats_interval,
        pct_s=options.pct_s,
    )
    try:
        await node.start()
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(node.describe()), flush=True)  # noqa: T201 - this line is the interface
        await asked_to_end.wait()
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
