"""Run embedded services until told to stop. Tests run it as a command: ``holder.py FOLDER``."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from lxc_dashboard.embedded import EmbeddedServices
from lxc_dashboard.errors import DashboardError


async def main(folder: Path) -> None:
    async with EmbeddedServices(folder) as services:
        pids = [server.process.pid for server in services._servers() if server.process is not None]
        sys.stdout.write(
            json.dumps({"database_url": services.database_url, "redis_url": services.redis_url, "pids": pids}) + "\n"
        )
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1])))
    except DashboardError as error:
        sys.exit(error.user_message)
