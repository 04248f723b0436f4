"""PostgreSQL and Valkey that a test can kill. The kernel ties them to the thread that starts them.

So ``MortalServers`` runs this file as a process, ``servers.py FOLDER``. It prints the servers' URLs, then obeys
``kill NAME`` and ``revive``.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Self

from lxc_dashboard.embedded import EmbeddedServices

POSTGRES = "postgres"
VALKEY = "valkey"


class MortalServers:
    """Committed data survives a kill, as on an operator's server. ``urls``: of PostgreSQL and Valkey."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        found = json.loads(self._answer())
        self.urls: tuple[str, str] = (found["database_url"], found["redis_url"])

    def kill(self, name: str) -> None:
        assert self._ask(f"kill {name}") == "killed"

    def revive(self) -> None:
        assert self._ask("revive") == "revived"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._process:
            self._process.communicate()

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


async def hold(folder: Path) -> None:
    async with EmbeddedServices(folder, durable=True) as servers:
        tell(json.dumps({"database_url": servers.database_url, "redis_url": servers.redis_url}))
        while line := (await asyncio.to_thread(sys.stdin.readline)).split():
            if line == ["revive"]:
                await servers.revive()
                tell("revived")
            else:
                kill(servers, line[-1])
                tell("killed")


def kill(servers: EmbeddedServices, name: str) -> None:
    server = next(server for server in servers._servers() if server.name == name)
    assert server.process is not None
    server.process.kill()
    server.process.wait()


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(hold(Path(sys.argv[1])))
