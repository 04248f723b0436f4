"""Migrates the demo's database and registers the sandbox as an endpoint.

Runs in its own process, because it imports the whole data layer and the demo's main process must stay small.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from lxc_dashboard.commands.demo.demo import SANDBOX_NAME
from lxc_dashboard.commands.terminal import explain
from lxc_dashboard.db import migrate
from lxc_dashboard.db.models import ProxmoxNode
from lxc_dashboard.db.repositories.nodes import NodeSecrets
from lxc_dashboard.errors import DashboardError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.settings import Settings


async def register_sandbox(settings: Settings, described: dict[str, Any]) -> None:
    """Register the sandbox, or update its registration. ``described``: from ``SandboxNode.describe``."""
    doors: dict[str, dict[str, Any]] = {}
    if described["ssh_port"]:
        doors["*"] = {"host": "127.0.0.1", "port": described["ssh_port"], "host_key": described["ssh_host_key"]}
    secrets = NodeSecrets(ssh_key=described["ssh_client_key"] or None)
    port, fingerprint = int(described["api_port"]), str(described["fingerprint"])
    async with Runtime.open(settings) as runtime, runtime.db.transaction() as tx:
        known = await tx.nodes.by_name(SANDBOX_NAME)
        if known is None:
            await tx.nodes.add(
                ProxmoxNode(
                    name=SANDBOX_NAME,
                    host="127.0.0.1",
                    port=port,
                    fingerprint=fingerprint,
                    doors=doors,
                    is_default=await tx.nodes.default() is None,
                ),
                secrets,
            )
        else:
            await tx.nodes.update(
                known.id, host="127.0.0.1", port=port, fingerprint=fingerprint, doors=doors, secrets=secrets
            )


def main() -> None:
    """Read the only argument: a file with the sandbox's description."""
    try:
        settings = Settings.load()
        migrate.upgrade(settings.DATABASE_URL.get_secret_value())
        asyncio.run(register_sandbox(settings, json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
    except DashboardError as error:
        explain(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
