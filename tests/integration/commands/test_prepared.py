"""A demo prepares its database again whenever it is not the same database as before."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from lxc_dashboard.commands.demo import prepare
from lxc_dashboard.commands.demo.demo import stamp
from lxc_dashboard.db import migrate
from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.settings import Settings

DESCRIBED: dict[str, Any] = {
    "api_port": 8006,
    "ssh_port": 2222,
    "fingerprint": ":".join(["AB"] * 32),
    "ssh_host_key": "ssh-ed25519 AAAA",
    "ssh_client_key": "",
}


def stamped(url: str, **changes: Any) -> str:
    return asyncio.run(stamp(url, DESCRIBED | changes))


def test_the_stamp_holds_for_one_database_as_it_is(settings: Settings, empty_database_url: str) -> None:
    url = settings.DATABASE_URL.get_secret_value()
    asyncio.run(prepare.register_sandbox(settings, DESCRIBED))
    prepared = stamped(url)
    assert stamped(url) == prepared
    assert stamped(url, ssh_port=2223) != prepared
    assert stamped(empty_database_url) != prepared
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM proxmox_node")
    assert stamped(url) != prepared
    migrate.downgrade(url, "base")
    assert stamped(url) == stamped(empty_database_url)


def test_a_database_that_does_not_answer_is_said_to(settings: Settings) -> None:
    with pytest.raises(ServiceUnavailableError):
        stamped("postgresql://nobody@127.0.0.1:1/nothing")
