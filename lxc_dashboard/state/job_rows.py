"""Rows of the list of jobs: what they say, and the address that shows the same of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.creation.listing import Wanted
from lxc_dashboard.services.creation.views import JobView
from lxc_dashboard.services.jobs.pulse import JobPulse

QUERY_CHARS: Final = 200
PAGE_ROWS: Final = 50
FILTERS: Final = ("state", "node", "template", "whose")
MINE: Final = "mine"
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
    """``word`` says the state; ``seconds`` how long it took until now, -1 where it has not begun."""

    id: str
    href: str
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
class View:
    """What of the list is shown, as it stands in the address."""

    q: str = ""
    state: str = ""
    node: str = ""
    template: str = ""
    whose: str = ""
    page: int = 1

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> View:
        """From the address; what it does not know is left out."""
        given = {name: str(parameters.get(name, ""))[:QUERY_CHARS] for name in ("q", *FILTERS)}
        if given["state"] not in STATES:
            given["state"] = ""
        if given["whose"] != MINE:
            given["whose"] = ""
        page = str(parameters.get("page", ""))
        is_number = page.isascii() and page.isdigit() and len(page) < _PAGE_CHARS
        return cls(**given, page=max(1, int(page)) if is_number else 1)

    def address(self, **changes: str | int) -> str:
        """The list with ``changes``; another filter begins at its first page."""
        view = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]  # by name, as each is typed
        given = {name: getattr(view, name) for name in ("q", *FILTERS) if getattr(view, name)}
        if view.page > 1:
            given["page"] = view.page
        return f"{routes.JOBS}?{urlencode(given)}" if given else routes.JOBS

    def typed_over(self, led: View | None, typed: str) -> View:
        """This view, with what was typed while a choice ``led`` to it: that came later than the choice."""
        return replace(self, q=typed, page=1) if self == led and typed != self.q else self

    @property
    def narrows(self) -> bool:
        return replace(self, page=1) != View()

    @property
    def wanted(self) -> Wanted:
        return Wanted(STATES.get(self.state, ()), self.node, self.template, self.whose == MINE, self.q)


def row_of(view: JobView, at: datetime) -> JobRow:
    state = view.state.value
    return JobRow(
        id=str(view.id),
        href=routes.job(view.id),
        name=view.hostname,
        vmid=view.vmid,
        node=view.node,
        template=view.template,
        userid=view.userid,
        state=state,
        dot=DOTS[state],
        word=word_of(
            state,
            view.phase.value,
            view.percent,
            line=line_of(view.ahead, view.slot_node),
        ),
        percent=view.percent,
        ticking=state in UNDER_WAY,
        seconds=_seconds(view.started_at, view.finished_at, at),
        created_at=view.created_at.isoformat(),
        batch_href=routes.batch(view.batch_id) if view.batch_id else "",
    )


def moved(row: JobRow, job: JobPulse, at: datetime) -> JobRow:
    """The row as the job stands now; the same one where nothing has changed, so that nothing is sent."""
    state = job.state.value
    line = line_of(job.place.ahead, job.place.node) if job.place else ""
    word = word_of(state, job.phase.value, job.percent, line=line)
    if (row.state, row.word) == (state, word):
        return row
    return replace(
        row,
        state=state,
        dot=DOTS[state],
        word=word,
        percent=job.percent,
        ticking=state in UNDER_WAY,
        seconds=_seconds(job.started_at, job.finished_at, at),
    )


def word_of(state: str, phase: str, percent: int, *, line: str = "") -> str:
    """``Ready``, ``syncing 72 %``, ``Failed in syncing``; of a queued one its place in the ``line``, where that is known."""
    if state == "running":
        return text.JOB_RUNNING.format(phase=phase, percent=percent)
    if state == "queued" and line:
        return line
    return text.JOB_FAILED_IN.format(phase=phase) if state == "failed" else text.JOB_STATES[state]


def line_of(ahead: int, node: str) -> str:
    """``3rd in line``, or ``Waits for 2 others on pve1``; empty where nobody counts (``ahead`` -1)."""
    if ahead < 0:
        return ""
    if node:
        return text.WAITS_FOR[ahead != 1].format(count=ahead, node=node) if ahead else text.NEXT_ON.format(node=node)
    number = ahead + 1
    ending = "th" if number % 100 in _TEENS else _ORDINALS.get(number % 10, "th")
    return text.IN_LINE_AT.format(number=f"{number:,}{ending}")


def _seconds(started_at: datetime | None, finished_at: datetime | None, at: datetime) -> float:
    return -1.0 if started_at is None else max(0.0, ((finished_at or at) - started_at).total_seconds())
