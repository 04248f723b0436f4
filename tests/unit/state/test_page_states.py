"""Any error while a page is filled ends its loading state and is shown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import reflex as rx
from reflex.istate.data import RouterData
from structlog.testing import capture_logs

from lxc_dashboard import routes, text
from lxc_dashboard.app import app
from lxc_dashboard.db.models import new_id
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.state import base, guard
from lxc_dashboard.state.containers.console import ConsoleState
from lxc_dashboard.state.creation.batch import BatchState
from lxc_dashboard.state.creation.configure import AddressesState, AppliancesState, Fetching
from lxc_dashboard.state.creation.review import ReviewState
from lxc_dashboard.state.jobs.job import JobState
from lxc_dashboard.state.jobs.job_list import JobsState
from lxc_dashboard.state.templates.editor.files import FileForm, FilesState
from lxc_dashboard.state.templates.editor.save import SaveState
from lxc_dashboard.state.templates.editor.work import FileItem, Work
from lxc_dashboard.state.templates.sources import SourcesState

WORDS = "a fault of ours, with a secret in its words"
ID = str(new_id())
# An address with the ids of every page. Each page ignores those of the others.
ADDRESS = f"{routes.template(ID)}?job_id={ID}&batch_id={ID}&vmid=101"
TABS = {"TemplateRevisionsState": "revisions", "TemplateContainersState": "containers"}
RUNNING = Fetching("running", "pve1", "local", "debian.tar.zst", job=str(ID))
PATHS = {"EditorState": routes.TEMPLATE_NEW}


class BrokenRuntime:
    """Raises for every service."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(WORDS)


def page_states() -> list[type[Any]]:
    """Every state of the app that fills a page."""
    assert app.sio is not None

    def below(state: type[Any]) -> list[type[Any]]:
        return [found for child in state.get_substates() for found in [child, *below(child)]]

    return sorted(
        (s for s in below(rx.State) if "fill_again" in s.event_handlers and s.__module__.startswith("lxc_dashboard.")),
        key=lambda state: state.__name__,
    )


def test_the_page_states_are_found() -> None:
    assert {"JobState", "CreateState", "EditorState", "TemplateContainersState"} <= {s.__name__ for s in page_states()}


@pytest.fixture(name="_broken")
def broken() -> Iterator[None]:
    """A signed-in caller in a process with a broken runtime."""
    process: Any = SimpleNamespace(runtime=BrokenRuntime())
    token = guard._CALLER.set(guard.Caller(process, someone()))
    yield
    guard._CALLER.reset(token)


@pytest.mark.usefixtures("_broken")
@pytest.mark.parametrize("state_class", page_states(), ids=lambda state: state.__name__)
async def test_a_page_whose_service_raises_shows_an_error(state_class: type[Any]) -> None:
    state = state_of(state_class)
    with capture_logs() as logged:
        await finished(state_class.event_handlers["load"].fn(state))
    assert (state.phase, state.problem.cause) == (base.FAILED, text.UNEXPECTED)
    assert state.problem.remedy == text.REMEDY_RETRY
    assert [(line["log_level"], line["reference"]) for line in logged] == [("error", state.problem.reference)]


@pytest.mark.usefixtures("_broken")
@pytest.mark.parametrize(
    ("state_class", "handler", "arguments", "before", "flag"),
    [
        (JobState, "destroy", [], {"id": ID}, "busy"),
        (BatchState, "cancel_all", [], {"id": ID}, "acting"),
        (BatchState, "retry_failed", [], {"id": ID}, "acting"),
        (ConsoleState, "start", [], {"vmid": 101}, "starting"),
        (SourcesState, "sync", [ID], {}, "busy"),
        (
            SourcesState,
            "save",
            [{"name": "x", "location": "https://x/y.git", "every_s": "60"}],
            {"chosen": ID},
            "trying",
        ),
        (SaveState, "save", [{}], {"draft_id": ID, "_stored": Work().content()}, "saving"),
        (AddressesState, "take_free_address", ["ipv4"], {"form": {"ipv4_range": "10.0.0.5-9/24"}}, "asking_for"),
        (ReviewState, "check_now", [], {}, "checking"),
        (AppliancesState, "resume_download", [], {"fetching": RUNNING}, "fetching.state"),
        (AppliancesState, "stop_download", [], {"fetching": RUNNING}, "fetching.stopping"),
    ],
)
async def test_nothing_stays_busy_whose_work_has_failed(
    state_class: type[Any], handler: str, arguments: list[Any], before: dict[str, Any], flag: str
) -> None:
    state = state_of(state_class)
    for name, value in before.items():
        setattr(state, name, value)
    with pytest.raises(RuntimeError, match=WORDS):
        await finished(state_class.event_handlers[handler].fn(state, *arguments))
    assert not attrgetter(flag)(state)


@pytest.mark.usefixtures("_broken")
async def test_a_list_that_loads_for_the_first_time_does_not_follow() -> None:
    state = state_of(JobsState)
    await finished(JobsState.event_handlers["follow"].fn(state))
    assert state.phase == base.LOADING


@pytest.mark.usefixtures("_broken")
@pytest.mark.parametrize(
    ("state_class", "handler", "arguments"),
    [
        (FilesState, "add_text_file", []),
        (FilesState, "uploaded", ["motd", "0" * 64, 3]),
        (FilesState, "replaced", ["motd", "0" * 64, 3]),
        (FilesState, "choose_file", ["b"]),
        (SaveState, "save", [{}]),
        (SaveState, "save_over", []),
        (SaveState, "compare", []),
        (SaveState, "take_over", []),
        (SaveState, "discard", []),
    ],
)
async def test_an_act_of_the_editor_without_an_open_draft_says_that_it_is_gone(
    state_class: type[Any], handler: str, arguments: list[Any]
) -> None:
    state = state_of(state_class)
    state._work = Work(files=(FileItem("a", "motd"), FileItem("b", "issue")))
    if state_class is FilesState:
        state.file = FileForm(key="a", name="motd")
    with pytest.raises(NotFoundError, match=re.escape(text.DRAFT_NONE)):
        await finished(state_class.event_handlers[handler].fn(state, *arguments))
    assert state_class is FilesState or not state.saving


def state_of(state_class: type[Any], address: str = ADDRESS) -> Any:
    """The state of a tab at ``address``."""
    root = rx.State(_reflex_internal_init=True)  # type: ignore[call-arg] # as Reflex makes them
    state = root.get_substate(state_class.get_full_name().split("."))
    path, _, query = address.partition("?")
    tab = TABS.get(state_class.__name__, "")
    path = PATHS.get(state_class.__name__, path)
    go(state, f"{path}?{query}&tab={tab}")
    return state


def go(state: Any, address: str) -> None:
    """Set the address that the browser shows."""
    place = {"asPath": address, "pathname": address.partition("?")[0], "headers": {"origin": "http://x"}}
    state._get_root_state().router = RouterData.from_router_data(place)


def someone() -> Session:
    return Session(
        id=new_id(),
        endpoint_id=new_id(),
        endpoint_name="pve",
        userid="root@pam",
        signed_in_at=datetime.now(UTC),
        address="192.0.2.1",
        user_agent="",
        ticket="",
        csrf_token="",
        ticket_issued_at=0.0,
        key="",
    )


async def finished(begun: Any) -> list[Any]:
    """Run a handler of any kind to its end and return its events."""
    given = [event async for event in begun] if inspect.isasyncgen(begun) else [await begun]
    return [event for event in given if event is not None]
