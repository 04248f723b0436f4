"""Errors that the wizard finds without a service, and navigation between its steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.db.models import DOWNLOAD_KIND, Job
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation import downloads
from lxc_dashboard.services.creation.form.choices import ApplianceChoice, Choices, defaults
from lxc_dashboard.state.creation import configure
from lxc_dashboard.state.creation.configure import UNSEEN_POOLS_MAX, AppliancesState, OfferState
from lxc_dashboard.state.creation.page import CreateState
from lxc_dashboard.state.creation.wizard import Address
from tests.unit.services.creation.doubles import always, database
from tests.unit.state.test_page_states import go, state_of


def state_with(part: type[Any], **typed: str) -> Any:
    """A part of the wizard, in the review step of a container named web."""
    state = state_of(part)
    offered = Choices("pve1", ())
    state.form = {**defaults(None, offered), "hostname": "web", **typed}
    state.step = "review"
    return state


async def test_a_password_mode_that_there_is_not_is_a_fault_of_its_field() -> None:
    """A link or a draft may contain any value."""
    with pytest.raises(InvalidInputError) as refused:
        await state_with(CreateState, password_mode="whatever")._checked_spec("")
    assert "password_mode" in refused.value.fields


async def test_a_password_is_asked_for_where_one_is_to_be_given() -> None:
    with pytest.raises(InvalidInputError) as refused:
        await state_with(CreateState, password_mode="given")._checked_spec("")
    assert "password" in refused.value.fields
    with pytest.raises(InvalidInputError) as refused:
        await state_with(CreateState, password_mode="generated")._checked_spec("")
    assert "password" not in refused.value.fields


def test_a_pool_that_is_not_seen_stays_and_where_none_is_seen_it_is_typed() -> None:
    state = state_with(OfferState, pool="hidden")
    state._choices = Choices("pve1", (), pools=("lab", "staging"))
    state._draw()
    assert [option.value for option in state.pools] == ["hidden", "lab", "staging"]
    state.form["pool"] = "lab"
    state._draw()
    assert [option.value for option in state.pools] == ["hidden", "lab", "staging"], "it can be gone back to"
    state.form["pool"] = "hidden"
    state._choices = Choices("pve1", ())
    state._draw()
    assert state.pools == []


def test_of_pools_that_are_not_seen_only_the_last_few_are_kept() -> None:
    state = state_with(OfferState)
    state._choices = Choices("pve1", (), pools=("lab",))
    for number in range(UNSEEN_POOLS_MAX + 3):
        state.form["pool"] = f"hidden-{number:02}"
        state._draw()
    shown = [option.value for option in state.pools]
    assert shown == [*(f"hidden-{number:02}" for number in range(3, UNSEEN_POOLS_MAX + 3)), "lab"]


async def test_a_download_that_a_reload_could_not_know_of_yet_is_shown_once_pve_has_begun_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, begun = asyncio.Event(), asyncio.Event()

    async def request(*_: Any) -> UUID:
        asked.set()
        await begun.wait()
        return job.id

    async def nothing(*_: Any) -> None:
        return None

    async def silent(*_: Any) -> AsyncIterator[list[Any]]:
        nothing_told: list[list[Any]] = []
        for batch in nothing_told:
            yield batch

    job = Job(
        kind=DOWNLOAD_KIND, vmid=0, node="pve1", name="v", endpoint_id=uuid4(), userid="root@pam", state="running"
    )
    monkeypatch.setattr(downloads, "request", request)
    monkeypatch.setattr(downloads, "newest_of", nothing)
    monkeypatch.setattr(configure, "follow", silent)
    rt = SimpleNamespace(db=database(jobs=SimpleNamespace(get=always(job))))
    monkeypatch.setattr(configure, "runtime", lambda: rt)
    monkeypatch.setattr(configure, "session", lambda: None)
    state = state_with(AppliancesState)
    state._choices = Choices("pve1", (), appliances=(ApplianceChoice("debian.tar.zst", "debian", "", "", ""),))
    handlers = AppliancesState.event_handlers
    downloading = asyncio.create_task(handlers["download_now"].fn(state, "debian.tar.zst"))
    await asked.wait()
    await handlers["resume_download"].fn(state)
    begun.set()
    await downloading
    shown = state.fetching
    assert (shown.state, shown.template, shown.job) == ("running", "debian.tar.zst", str(job.id))


def test_back_is_followed_where_the_loads_of_the_steps_before_were_cut_off() -> None:
    """A browser that navigates again before a page has loaded cancels its load."""
    state = state_of(CreateState, "/containers/new")
    state.template_id = "one"
    for step in ("configure", "packages", "scripts"):
        state.step = step
        state._go_there()
        go(state, f"/containers/new?step={step}&template=one")
    assert not state._is_own(Address("packages", "one"))


def test_two_quick_steps_are_not_taken_back_by_the_load_of_the_first() -> None:
    state = state_of(CreateState, "/containers/new")
    state.template_id = "one"
    for step in ("configure", "packages"):
        state.step = step
        state._go_there()
    assert state._is_own(Address("configure", "one"))
    assert state._is_own(Address("packages", "one"))
