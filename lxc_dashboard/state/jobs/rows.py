"""Rows of a list of jobs, and the filters and page in its address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import CREATE_KIND, JobState
from lxc_dashboard.db.repositories.leases import Place
from lxc_dashboard.services.jobs.listing import JobPulse, Wanted
from lxc_dashboard.services.jobs.views import JobView

QUERY_CHARS: Final = 200
PAGE_ROWS: Final = 50
FILTERS: Final = ("kind", "state", "guest", "node", "template", "user")
VMID_DIGITS: Final = 9
_PAGE_CHARS: Final = 7
_ORDINALS: Final = {1: "st", 2: "nd", 3: "rd"}
_TEENS: Final = frozenset({11, 12, 13})
UNDER_WAY: Final = frozenset({"running", "cancelling"})
OPEN_STATES: Final = UNDER_WAY | {"queued", "waiting", "paused"}
DOTS: Final = {
    "queued": "stopped",
    "running": "changing",
    "waiting": "unknown",
    "paused": "stopped",
    "cancelling": "changing",
    "done": "running",
    "failed": "error",
    "cancelled": "stopped",
}


STATES: Final[Mapping[str, tuple[JobState, ...]]] = {
    "open": tuple(JobState(state) for state in sorted(OPEN_STATES)),
    **{state: (JobState(state),) for state in ("paused", "done", "failed", "cancelled")},
}


@dataclass(frozen=True)
class JobRow:
    """``title`` names the kind, ``word`` the state. ``seconds``: how long the job took until now; -1 before it began."""

    id: str
    href: str
    title: str
    name: str
    vmid: int
    node: str
    template: str
    userid: str
    state: str
    dot: str
    word: str
    percent: int
    ticking: bool
    seconds: float
    created_at: str
    batch_href: str = ""


@dataclass(frozen=True)
class Choice:
    """An option of a filter."""

    value: str
    title: str


@dataclass(frozen=True)
class View:
    """The filters and the page of the list, as the address has them."""

    q: str = ""
    kind: str = ""
    state: str = ""
    guest: str = ""
    node: str = ""
    template: str = ""
    user: str = ""
    page: int = 1

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> View:
        """Parse the query of an address. Drops unknown values."""
        given = {name: str(parameters.get(name, ""))[:QUERY_CHARS] for name in ("q", *FILTERS)}
        if given["state"] not in STATES:
            given["state"] = ""
        page = str(parameters.get("page", ""))
        is_number = page.isascii() and page.isdigit() and len(page) < _PAGE_CHARS
        return cls(**given, page=max(1, int(page)) if is_number else 1)

    def address(self, **changes: str | int) -> str:
        """The address of the list with ``changes``. A new filter starts at the first page."""
        view = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]  # the names have different types
        given = {name: getattr(view, name) for name in ("q", *FILTERS) if getattr(view, name)}
        if view.page > 1:
            given["page"] = view.page
        return f"{routes.JOBS}?{urlencode(given)}" if given else routes.JOBS

    def typed_over(self, led: View | None, typed: str) -> View:
        """This view with the text that the user typed after choosing the view ``led``."""
        return replace(self, q=typed, page=1) if self == led and typed != self.q else self

    @property
    def narrows(self) -> bool:
        return replace(self, page=1) != View()

    @property
    def wanted(self) -> Wanted:
        """The query for the service. ``guest`` is a vmid, or words of a name."""
        guest = self.guest.strip()
        is_vmid = guest.isascii() and guest.isdigit() and len(guest) <= VMID_DIGITS
        return Wanted(
            states=STATES.get(self.state, ()),
            kind=self.kind,
            node=self.node,
            template=self.template,
            userid=self.user,
            vmid=int(guest) if is_vmid else None,
            name="" if is_vmid else guest,
            text=self.q,
        )


def row_of(view: JobView, at: datetime) -> JobRow:
    state = view.state.value
    return JobRow(
        id=str(view.id),
        href=routes.job(view.id),
        title=kind_title(view.kind),
        name=view.name or f"{text.CT} {view.vmid}",
        vmid=view.vmid,
        node=view.node,
        template=view.template,
        userid=view.userid,
        state=state,
        dot=DOTS[state],
        word=word_of(view),
        percent=view.percent,
        ticking=state in UNDER_WAY,
        seconds=seconds_of(view, at),
        created_at=view.created_at.isoformat(),
        batch_href=routes.batch(view.batch_id) if view.batch_id else "",
    )


def moved(row: JobRow, job: JobPulse, at: datetime) -> JobRow:
    """The row with the job's current state. Returns the same object if nothing changed, so that nothing is sent."""
    state, word = job.state.value, word_of(job)
    if (row.state, row.word) == (state, word):
        return row
    return replace(
        row,
        state=state,
        dot=DOTS[state],
        word=word,
        percent=job.percent,
        ticking=state in UNDER_WAY,
        seconds=seconds_of(job, at),
    )


def kind_title(kind: str) -> str:
    """The verb of a kind, or the name of a kind that only a newer version knows."""
    return text.JOB_KINDS.get(kind, kind)


def kinds_of(kinds: Iterable[str]) -> list[Choice]:
    """The options of the filter by kind, sorted by title."""
    return sorted((Choice(kind, kind_title(kind)) for kind in kinds), key=lambda choice: choice.title)


def title_of(job: JobView) -> str:
    """The guest's name for a creation; act and guest for any other job."""
    name = job.name or f"{text.CT} {job.vmid}"
    return name if job.kind == CREATE_KIND else f"{kind_title(job.kind)} {name}"


def word_of(job: JobView | JobPulse) -> str:
    """The state in words: ``Ready``, ``syncing 72 %``, ``Failed in syncing``. For a queued job, its place in line if known."""
    state, creates = job.state.value, job.kind == CREATE_KIND
    if state == "queued" and job.place is not None:
        return line_of(job.place)
    if not creates:
        return text.ACT_STATES[state]
    if state == "running":
        return text.JOB_RUNNING.format(phase=job.step, percent=job.percent)
    return text.JOB_FAILED_IN.format(phase=job.step) if state == "failed" else text.JOB_STATES[state]


def line_of(place: Place) -> str:
    """The place in words: ``3rd in line``, or ``Waits for 2 others on pve1``."""
    if place.node:
        return (
            text.WAITS_FOR[place.ahead != 1].format(count=place.ahead, node=place.node)
            if place.ahead
            else text.NEXT_ON.format(node=place.node)
        )
    number = place.ahead + 1
    ending = "th" if number % 100 in _TEENS else _ORDINALS.get(number % 10, "th")
    return text.IN_LINE_AT.format(number=f"{number:,}{ending}")


def seconds_of(job: JobView | JobPulse, at: datetime) -> float:
    """How long the job took until now; -1 before it began."""
    return -1.0 if job.started_at is None else max(0.0, ((job.finished_at or at) - job.started_at).total_seconds())
