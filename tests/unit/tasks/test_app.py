"""The connection of the worker to its queue."""

from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError
from pydantic import SecretStr

from lxc_dashboard.settings import Settings
from tasks.app import create_app

LONGEST_PAUSE_S = 3.0
TRIES = 12


def test_redis_is_looked_for_at_the_same_pace_however_long_it_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _: None)
    settings = Settings(
        DATABASE_URL=SecretStr("postgresql://nobody@127.0.0.1:1/none"),
        REDIS_URL=SecretStr("redis://127.0.0.1:1/0"),
        ENCRYPTION_KEY=SecretStr("0" * 64),
    )
    pauses: list[float] = []
    connection = create_app(settings).connection_for_read()
    with pytest.raises(OperationalError):
        connection.ensure_connection(lambda _, pause_s: pauses.append(pause_s), TRIES)
    assert len(pauses) == TRIES
    assert max(pauses) <= LONGEST_PAUSE_S
