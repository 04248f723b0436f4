"""How long a tab's state is kept, with Reflex's own state manager."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from reflex.istate.manager.memory import StateManagerMemory
from reflex.istate.manager.token import BaseStateToken
from reflex.state import State

from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.state.socket import tabs
from lxc_dashboard.state.socket.tabs import StateOwner, Tabs

MANAGER: Any = StateManagerMemory  # its overloads make it abstract for a type checker


class Process:
    """A web process with a clock that the test moves. ``open``: the connected tabs."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.manager = MANAGER()
        self.open: dict[str, str] = {}
        app = SimpleNamespace(state_manager=self.manager, event_namespace=SimpleNamespace(sid_to_token=self.open))
        self.tabs = Tabs(app, clock=lambda: self.now)  # type: ignore[arg-type]  # no other part of it is used

    async def connect(self, token: str, userid: str = "op@pve") -> None:
        self.open[f"sid of {token}"] = token
        async with self.manager.modify_state(BaseStateToken(ident=token, cls=State)) as state:
            session = Session(UUID(int=1), UUID(int=2), "pve", userid, datetime.now(UTC))
            (await state.get_state(StateOwner))._give_to(session)

    def close(self, token: str) -> None:
        del self.open[f"sid of {token}"]
        self.tabs.sweep()

    def pass_s(self, seconds: float) -> None:
        self.now += seconds
        self.tabs.sweep()

    @property
    def kept(self) -> set[str]:
        return set(self.manager.states)


async def test_the_state_of_a_closed_tab_ends_within_a_minute_and_an_open_one_stays() -> None:
    process = Process()
    await process.connect("open")
    await process.connect("closed")
    process.close("closed")
    process.pass_s(tabs.KEPT_S - 1)
    assert process.kept == {"open", "closed"}
    process.pass_s(1)
    assert process.kept == {"open"}
    assert process.manager._token_expires_at.keys() == process.manager._states_locks.keys() == {"open"}
    process.pass_s(7200)
    assert process.kept == {"open"}
    assert tabs.KEPT_S + tabs.LOOK_S < 60
    await process.manager.close()


async def test_a_tab_that_comes_back_in_time_keeps_its_state_and_its_time_restarts() -> None:
    process = Process()
    await process.connect("tab")
    before = process.manager.states["tab"]
    for _ in range(3):
        process.close("tab")
        process.pass_s(tabs.KEPT_S - 1)
        await process.connect("tab")
        process.pass_s(tabs.KEPT_S)
    assert process.manager.states["tab"] is before
    await process.manager.close()


async def test_only_the_last_closed_tabs_of_each_user_are_kept() -> None:
    process = Process()
    await process.connect("of another", "viewer@pve")
    process.close("of another")
    for number in range(tabs.KEPT_PER_USER + 5):
        await process.connect(str(number))
        process.close(str(number))
    assert process.kept == {"of another", *(str(number) for number in range(5, tabs.KEPT_PER_USER + 5))}
    await process.manager.close()


async def test_a_state_that_is_in_use_is_kept_until_it_is_free() -> None:
    process = Process()
    await process.connect("tab")
    process.close("tab")
    async with process.manager.modify_state(BaseStateToken(ident="tab", cls=State)):
        process.pass_s(tabs.KEPT_S)
        assert process.kept == {"tab"}
    process.pass_s(0)
    assert process.kept == set()
    await process.manager.close()
