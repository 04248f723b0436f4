"""The guard allows only marked handlers. The app itself lists every handler that a browser could name."""

from __future__ import annotations

import pytest
import reflex as rx
from hypothesis import given
from hypothesis import strategies as st
from reflex_base.registry import RegistrationContext

from lxc_dashboard.app import app
from lxc_dashboard.errors import SessionExpiredError
from lxc_dashboard.state.guard import Access, access_of, caller, cookie_of, framework_events, public, requires

OURS = "lxc_dashboard___"


def all_events() -> list[str]:
    """Full names of all handlers of the app and of Reflex, as a websocket message can name them."""
    return sorted(RegistrationContext.get().event_handlers)


def test_the_app_is_guarded() -> None:
    assert [type(middleware).__name__ for middleware in app._middlewares][-1] == "Guard"
    assert len(all_events()) > len(framework_events())


def test_no_handler_of_ours_may_be_called_by_anybody() -> None:
    open_to_all = [name for name in all_events() if OURS in name and (access := access_of(name)) and access.anybody]
    assert open_to_all == []


def test_only_events_that_pages_send_by_themselves_do_not_keep_the_session_open() -> None:
    unattended = {
        name.rpartition("____")[2]
        for name in all_events()
        if OURS in name and (access := access_of(name)) and access.unattended
    }
    filled = {name for name in unattended if name.endswith(".fill_again")}
    assert len(filled) > 10
    assert unattended - filled == {
        "feed_state.watch",
        "feed_state.leave",
        "jobs_state.watch",
        "jobs_state.leave",
        "jobs_state.follow",
        "batch_state.watch",
        "batch_state.leave",
        "batch_state.follow",
        "dashboard_jobs_state.watch",
        "dashboard_jobs_state.leave",
        "dashboard_jobs_state.follow",
        "job_state.refresh",
        "session_state.verify",
        "running_state.watch",
        "running_state.leave",
        "notice_state.show",
    }


def test_connecting_does_not_keep_the_session_open_and_going_to_another_page_does() -> None:
    unattended = {name.rpartition(".")[2] for name, access in framework_events().items() if access.unattended}
    assert unattended == {"hydrate", "hydrate_and_load"}
    assert {name.rpartition(".")[2] for name in framework_events()} - unattended == {
        "on_load_internal",
        "set_is_hydrated",
    }


def test_only_the_frontends_own_events_of_reflex_are_let_through() -> None:
    theirs = {name for name in all_events() if OURS not in name and "tests___" not in name}
    assert {name for name in theirs if access_of(name)} == set(framework_events())


def test_setting_a_var_by_name_is_refused() -> None:
    setters = [name for name in all_events() if name.endswith(".setvar")]
    assert setters
    assert [name for name in setters if access_of(name)] == []


@given(st.text())
def test_a_name_that_is_no_handler_is_refused(name: str) -> None:
    assert access_of(name) is None


class GuardedState(rx.State):
    """Handlers of each kind."""

    @requires(("Sys.Audit", "/"))
    def with_privilege(self) -> None:
        """Marked."""

    @public
    def for_all(self) -> None:
        """Marked."""

    @rx.event
    def forgotten(self) -> None:
        """A handler without the mark."""

    def undecorated(self) -> None:
        """A plain method, which Reflex would also call."""


class MixedIn(rx.State, mixin=True):
    """A mixin of two states."""

    @requires()
    def shared(self) -> None:
        """Marked in the mixin."""


class MixingState(MixedIn, rx.State):
    """Inherits the handler."""


def name_of(handler: str) -> str:
    return f"{GuardedState.get_full_name()}.{handler}"


def test_a_handler_is_callable_as_it_is_marked() -> None:
    assert access_of(name_of("with_privilege")) == Access(privileges=(("Sys.Audit", "/"),))
    assert access_of(name_of("for_all")) == Access(anybody=True)


@pytest.mark.parametrize("handler", ["forgotten", "undecorated", "setvar", "_private", "nothing"])
def test_a_handler_without_the_mark_is_refused(handler: str) -> None:
    assert access_of(name_of(handler)) is None


def test_a_handler_of_a_mixin_keeps_its_mark() -> None:
    assert access_of(f"{MixingState.get_full_name()}.shared") == Access()


def test_outside_a_handler_there_is_no_caller() -> None:
    with pytest.raises(SessionExpiredError):
        caller()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("session=abc", "abc"),
        ("a=1; session=abc; b=2", "abc"),
        ('session="a"', '"a"'),
        ("session=a=b", "a=b"),
        ("xsession=1; session=2", "2"),
        ("", ""),
        ("a=1", ""),
        ("session=abc; =;;;", "abc"),
    ],
)
def test_a_cookie_is_found_in_its_header(header: str, value: str) -> None:
    assert cookie_of(header, "session") == value


@given(st.text())
def test_no_cookie_header_breaks_the_reader(header: str) -> None:
    assert isinstance(cookie_of(header, "session"), str)
