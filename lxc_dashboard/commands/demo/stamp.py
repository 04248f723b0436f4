"""What a demo's database was prepared for, so that a warm start need not prepare it again: that would cost a second."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psycopg

from lxc_dashboard.errors import ServiceUnavailableError

SANDBOX_NAME: Final = "sandbox"
REGISTERED: Final = ("api_port", "ssh_port", "fingerprint", "ssh_host_key", "ssh_client_key")
_STATE: Final = """
SELECT (SELECT string_agg(version_num, ' ' ORDER BY version_num) FROM alembic_version),
       (SELECT string_agg(concat_ws(' ', id, updated_at), ',') FROM proxmox_node WHERE name = %s)
"""


async def stamp(database_url: str, described: Mapping[str, Any]) -> str:
    """Of the migrations, of what the sandbox says of itself, and of the database: another one was never prepared.

    Raises ``ServiceUnavailableError``.
    """
    parts = [f"{name}={described[name]}" for name in REGISTERED]
    parts += [_migrations(), await _state(database_url)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _migrations() -> str:
    package = Path(__file__).resolve().parents[2]
    versions = next(place for place in (package / "migrations", package.parent / "alembic") if place.is_dir())
    digest = hashlib.sha256()
    for file in sorted(versions.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


async def _state(database_url: str) -> str:
    """Its revision and the sandbox's registration; empty where it has no tables."""
    try:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            found = await connection.execute(_STATE, [SANDBOX_NAME])
            return repr(await found.fetchone())
    except psycopg.errors.UndefinedTable:
        return ""
    except psycopg.Error as error:
        raise ServiceUnavailableError("The demo's database does not answer", detail=str(error)) from error
