"""The embedded Valkey."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Awaitable
from pathlib import Path
from typing import cast

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lxc_dashboard.embedded.folder import Access
from lxc_dashboard.embedded.server import Server

_CONNECT_TIMEOUT_S = 5

_SETTINGS = """\
bind 127.0.0.1
daemonize no
dir {place}
port {port}
requirepass {password}
databases 64
save ""
appendonly {appendonly}
appendfsync everysec
maxmemory-policy noeviction
loglevel notice
"""


class ValkeyServer(Server):
    """Valkey in the foreground on a loopback port. Its settings come over stdin: a password on the command line is anybody's."""

    name = "valkey"
    stop_signals = (signal.SIGTERM,)
    death_signal = signal.SIGTERM

    def url(self, access: Access, database: int = 0) -> str:
        return f"redis://:{access.valkey_password}@127.0.0.1:{access.valkey_port}/{database}"

    async def launch(self, place: Path, access: Access, descriptor: int) -> subprocess.Popen[bytes]:
        settings = _SETTINGS.format(
            place=place,
            port=access.valkey_port,
            password=access.valkey_password,
            appendonly="yes" if self.durable else "no",
        )
        process = self.run([self.binaries.valkey, "-"], descriptor, stdin=subprocess.PIPE)
        if process.stdin is not None:
            with process.stdin as stdin:
                stdin.write(settings.encode())
        return process

    async def answers(self, access: Access) -> bool:
        once = Retry(NoBackoff(), 0)
        client = Redis.from_url(self.url(access), socket_connect_timeout=_CONNECT_TIMEOUT_S, retry=once)
        try:
            await cast("Awaitable[bool]", client.ping())  # typed as if it might not be one
        except (exceptions.ConnectionError, exceptions.BusyLoadingError, exceptions.TimeoutError):
            return False
        finally:
            await client.aclose()
        return True
