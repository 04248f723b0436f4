"""What the wizard refuses before it asks anybody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation import downloads
from lxc_dashboard.services.creation.downloads import Fetch, FetchState
from lxc_dashboard.services.creation.form.choices import ApplianceChoice, Choices
from lxc_dashboard.services.creation.form.defaults import defaults
from lxc_dashboard.state import appliances
from lxc_dashboard.state.create import CreateState
from lxc_dashboard.state.offer import UNSEEN_POOLS


def state_with(**typed: str) -> CreateState:
    state = CreateState(_reflex_internal_init=True)  # type: ignore[call-arg] # as Reflex makes them
    offered = Choices("pve1", ())
    state.form = {**defaults(None, offered), "hostname": "web", **typed}
    state.step = "review"
    return state


async def test_a_password_mode_that_there_is_not_is_a_fault_of_its_field() -> None:
    """A link or a draft may hold anything."""
    with pytest.raises(InvalidInputError) as refused:
        await state_with(password_mode="whatever")._checked_spec("")
    assert "password_mode" in refused.value.fields


async def test_a_password_is_asked_for_where_one_is_to_be_given() -> None:
    with pytest.raises(InvalidInputError) as refused:
        await state_with(password_mode="given")._checked_spec("")
    assert "password" in refused.value.fields
    with pytest.raises(InvalidInputError) as refused:
        await state_with(password_mode="generated")._checked_spec("")
    assert "password" not in refused.value.fields


def test_a_pool_that_is_not_seen_stays_and_where_none_is_seen_it_is_typed() -> None:
    state = state_with(pool="hidden")
    state._take_offer(Choices("pve1", (), pools=("lab", "staging")))
    assert [option.value for option in state.pools] == ["hidden", "lab", "staging"]
    state.form["pool"] = "lab"
    state._sum_up()
    assert [option.value for option in state.pools] == ["hidden", "lab", "staging"], "it can be gone back to"
    state.form["pool"] = "hidden"
    state._take_offer(Choices("pve1", ()))
    assert state.pools == []


def test_of_pools_that_are_not_seen_only_the_last_few_are_kept() -> None:
    state = state_with()
    state._take_offer(Choices("pve1", (), pools=("lab",)))
    for number in range(UNSEEN_POOLS + 3):
        state.form["pool"] = f"hidden-{number:02}"
        state._sum_up()
    shown = [option.value for option in state.pools]
    assert shown == [*(f"hidden-{number:02}" for number in range(3, UNSEEN_POOLS + 3)), "lab"]


async def test_a_download_that_a_reload_could_not_know_of_yet_is_shown_once_pve_has_begun_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, begun = asyncio.Event(), asyncio.Event()

    async def begin(*_: Any) -> str:
        asked.set()
        await begun.wait()
        return "UPID:pve1:"

    async def nothing(*_: Any) -> None:
        return None

    async def goes_on(*_: Any) -> Fetch:
        return Fetch(FetchState.RUNNING)

    for name in ("remember", "remembered", "forget"):
        monkeypatch.setattr(downloads, name, nothing)
    monkeypatch.setattr(downloads, "begin", begin)
    monkeypatch.setattr(downloads, "follow", goes_on)
    for name in ("runtime", "session"):
        monkeypatch.setattr(appliances, name, lambda: None)
    state = state_with()
    state._choices = Choices("pve1", (), appliances=(ApplianceChoice("debian.tar.zst", "debian", "", "", ""),))
    handlers = CreateState.event_handlers
    downloading = asyncio.create_task(handlers["download_now"].fn(state, "debian.tar.zst"))
    await asked.wait()
    await handlers["resume_download"].fn(state)
    begun.set()
    await downloading
    shown = state.fetching
    assert (shown.state, shown.template, shown.upid) == (FetchState.RUNNING, "debian.tar.zst", "UPID:pve1:")
