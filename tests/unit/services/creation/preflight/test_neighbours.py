"""One query of all guests' addresses serves all concurrent callers, and later ones for a short time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.errors import UnreachableError
from lxc_dashboard.proxmox.auth import TokenAuth
from lxc_dashboard.services.creation.preflight import neighbours
from lxc_dashboard.services.creation.preflight.neighbours import Held, Seen, seen_lately

ENDPOINT = uuid4()


class Pve:
    """The key under which the result is shared."""


class Looks:
    """Replaces ``addresses_seen``. Each result has its own address. Raises while ``fails``."""

    def __init__(self) -> None:
        self.made = 0
        self.fails = False

    async def __call__(self, _client: object) -> Seen:
        self.made += 1
        number = self.made
        await asyncio.sleep(0)
        if self.fails:
            raise UnreachableError
        return Seen((Held(f"10.0.0.{number}", "CT"),))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    made = Looks()
    monkeypatch.setattr(neighbours, "addresses_seen", made)
    return made


def client(auth: object = None) -> Any:
    return SimpleNamespace(auth=auth)


async def test_all_who_ask_at_once_and_a_moment_after_share_one(looks: Looks) -> None:
    pve = Pve()
    found = await asyncio.gather(*(seen_lately(pve, client(), ENDPOINT, "a@pam", 60) for _ in range(20)))
    assert {seen.addresses for seen in found} == {("10.0.0.1",)}
    assert (await seen_lately(pve, client(), ENDPOINT, "a@pam", 60)).addresses == ("10.0.0.1",)
    assert looks.made == 1


async def test_another_user_a_token_another_endpoint_and_another_age_look_for_themselves(looks: Looks) -> None:
    pve = Pve()
    for made, (auth, endpoint_id, userid, holds_s) in enumerate(
        [
            (None, ENDPOINT, "a@pam", 60),
            (None, ENDPOINT, "b@pam", 60),
            (TokenAuth("a@pam!x", "secret"), ENDPOINT, "a@pam", 60),
            (None, uuid4(), "a@pam", 60),
            (None, ENDPOINT, "a@pam", 10),
        ],
        1,
    ):
        await seen_lately(pve, client(auth), endpoint_id, userid, holds_s)
        assert looks.made == made


async def test_one_that_is_too_old_and_one_that_failed_are_made_again(looks: Looks) -> None:
    pve = Pve()
    await seen_lately(pve, client(), ENDPOINT, "a@pam", 0)
    await seen_lately(pve, client(), ENDPOINT, "a@pam", 0)
    assert looks.made == 2
    looks.fails = True
    with pytest.raises(UnreachableError):
        await seen_lately(pve, client(), ENDPOINT, "a@pam", 60)
    looks.fails = False
    assert (await seen_lately(pve, client(), ENDPOINT, "a@pam", 60)).addresses == ("10.0.0.4",)


async def test_where_there_is_nobody_to_ask_nothing_is_waited_for() -> None:
    await neighbours._all_of([])
