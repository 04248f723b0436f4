"""A stamp of a prepared database. A demo with an unchanged stamp skips ``prepare`` and starts a second faster."""

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
    """Hash the migrations, the sandbox's description and the database's state.

    Raises ``ServiceUnavailableError``.
    """
    parts = [f"{name}={described[name]}" for name in REGISTERED]
    parts += [_migrations(), await _state_of(database_url)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _migrations() -> str:
    package = Path(__file__).resolve().parents[2]
    versions = next(place for place in (package / "migrations", package.parent / "alembic") if place.is_dir())
    digest = hashlib.sha256()
    for file in sorted(versions.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


async def _state_of(database_url: str) -> str:
    """The database's revision and the sandbox's registration; empty without tables."""
    try:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            cursor = await connection.execute(_STATE, [SANDBOX_NAME])
            return repr(await cursor.fetchone())
    except psycopg.errors.UndefinedTable:
        return ""
    except psycopg.Error as error:
        raise ServiceUnavailableError("The demo's database does not answer", detail=str(error)) from error
