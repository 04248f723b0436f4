"""Jobs as a list shows them: those that a user may see, filtered, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, and_, case, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import Container, Job, JobState, Template, TemplateRevision
from lxc_dashboard.db.models.base import storable_text
from lxc_dashboard.db.repositories.leases import UNDER_WAY, UNFINISHED
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.messages import Message

# A job, its guest where the product knows it, and the template of a creation ("nginx-web r7").
Named = tuple[Job, Container | None, str]


@dataclass(frozen=True, slots=True)
class Viewer:
    """A user at an endpoint, and the jobs that they may see besides their own.

    ``session_id``: if set, only jobs of this session are their own. ``seen``: vmids that PVE shows the user.
    ``hidden``: ids that the user may not see, because the vmid in ``seen`` now belongs to another guest. Ids of
    containers, and ids of jobs where the product does not know the guest.
    ``gone``: also jobs of deleted containers. ``runs``: all jobs on the containers that these creations made.
    ``foreign``: vmids of guests that the product does not know. Only for unfinished jobs: only PVE knows which guest an
    ended job was about.
    """

    endpoint_id: UUID
    userid: str
    session_id: UUID | None = None
    seen: frozenset[int] = frozenset()
    gone: bool = False
    hidden: frozenset[UUID] = frozenset()
    runs: frozenset[UUID] = frozenset()
    foreign: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter for jobs. Empty fields match all jobs.

    ``template`` is a name. ``text``: words in name, vmid, template or user. ``name``: words in the guest's name.
    ``before``: only jobs that follow this one in the list, which is newest first.
    """

    states: tuple[JobState, ...] = ()
    kind: str = ""
    node: str = ""
    template: str = ""
    userid: str = ""
    vmid: int | None = None
    name: str = ""
    text: str = ""
    before: UUID | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """The filter values that occur in the jobs that a user may see, each sorted."""

    kinds: tuple[str, ...]
    nodes: tuple[str, ...]
    templates: tuple[str, ...]
    users: tuple[str, ...]


class JobListRepository:
    """Jobs with their guests and templates, as lists show them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, job_id: UUID) -> Named:
        """Return the job. Raises ``NotFoundError``."""
        row = (await self._session.execute(_joined(*_NAMED).where(col(Job.id) == job_id))).one_or_none()
        if row is None:
            raise NotFoundError(Message.of(DatabaseCode.JOB_GONE))
        return _named(row)

    async def list(self, viewer: Viewer, wanted: Wanted, *, limit: int, offset: int = 0) -> Sequence[Named]:
        """Return matching jobs that the user may see, newest first."""
        found = _joined(*_NAMED).where(*_visible(viewer), *_matching(wanted))
        newest = found.order_by(col(Job.created_at).desc(), col(Job.id).desc())
        rows = await self._session.execute(newest.limit(limit).offset(offset))
        return [_named(row) for row in rows]

    async def count(self, viewer: Viewer, wanted: Wanted) -> int:
        found = _joined(func.count()).where(*_visible(viewer), *_matching(wanted))
        return await self._session.scalar(found) or 0

    async def choices(self, viewer: Viewer) -> Choices:
        found = []
        for column in (col(Job.kind), _NODE, col(Template.name), col(Job.userid)):
            values = await self._session.scalars(_joined(column).where(*_visible(viewer)).distinct())
            found.append(tuple(sorted(value for value in values if value)))
        return Choices(*found)

    async def vmids(self, endpoint_id: UUID, wanted: Wanted) -> frozenset[int]:
        """The vmids of all matching jobs, including those that the user may not see."""
        matching = _joined(_VMID).where(col(Job.endpoint_id) == endpoint_id, *_matching(wanted))
        return frozenset(await self._session.scalars(matching.distinct()))

    async def pulse(self, endpoint_id: UUID, limit: int) -> Sequence[tuple[Any, ...]]:
        """Return ``(id, kind, state, step, percent, started_at, finished_at)`` of up to ``limit`` jobs.

        Running jobs come first, then other unfinished jobs, then ended ones. Each group is newest first.
        """
        state = col(Job.state)
        running = case((state.in_(UNDER_WAY), 0), (state.in_(UNFINISHED), 1), else_=2)
        first = _pulses().where(col(Job.endpoint_id) == endpoint_id)
        rows = await self._session.execute(first.order_by(running, col(Job.created_at).desc()).limit(limit))
        return [tuple(row) for row in rows]

    async def pulse_of(self, endpoint_id: UUID, ids: Collection[UUID]) -> Sequence[tuple[Any, ...]]:
        """Return as ``pulse``, for the jobs ``ids``."""
        these = (col(Job.endpoint_id) == endpoint_id, col(Job.id).in_(ids))
        return [tuple(row) for row in await self._session.execute(_pulses().where(*these))]


# The container's vmid or node may have changed since the job began.
_VMID: Final = func.coalesce(col(Container.vmid), col(Job.vmid))
_NODE: Final = func.coalesce(col(Container.node), col(Job.node))
_NAMED: Final = (Job, Container, col(Template.name), col(TemplateRevision.number))
_PULSE: Final = (
    Job.id,
    Job.kind,
    Job.state,
    Job.step,
    Job.percent,
    Job.started_at,
    Job.finished_at,
)


def _pulses() -> Select[Any]:
    columns: list[Any] = [col(column) for column in _PULSE]
    return select(*columns)


def _named(row: Any) -> Named:
    return row[0], row[1], f"{row[2]} r{row[3]}" if row[2] else ""


def _joined(*columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(Job)
        .outerjoin(Container, col(Container.id) == col(Job.container_id))
        .outerjoin(TemplateRevision, col(TemplateRevision.id) == col(Job.revision_id))
        .outerjoin(Template, col(Template.id) == col(TemplateRevision.template_id))
    )


def _own(viewer: Viewer) -> ColumnElement[bool]:
    own = col(Job.userid) == viewer.userid
    return own if viewer.session_id is None else and_(own, col(Job.session_id) == viewer.session_id)


def _visible(viewer: Viewer) -> list[ColumnElement[bool]]:
    exists = col(Container.deleted_at).is_(None)  # also true where the product does not know the guest
    hidden = func.coalesce(col(Container.id), col(Job.id)).in_(viewer.hidden)
    unknown = col(Container.id).is_(None)
    shown = [
        _own(viewer),
        and_(exists, _VMID.in_(viewer.seen), ~hidden),
        and_(unknown, col(Job.vmid).in_(viewer.foreign), col(Job.state).in_(UNFINISHED)),
    ]
    if viewer.runs:
        made = aliased(Job)
        shown.append(col(Job.container_id).in_(select(col(made.container_id)).where(col(made.id).in_(viewer.runs))))
    if viewer.gone:
        shown.append(~exists)
    return [col(Job.endpoint_id) == viewer.endpoint_id, or_(*shown)]


def _matching(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.states:
        conditions.append(col(Job.state).in_([state.value for state in wanted.states]))
    if wanted.vmid is not None:
        conditions.append(_VMID.in_([wanted.vmid]))
    same = (
        (col(Job.kind), wanted.kind),
        (_NODE, wanted.node),
        (col(Template.name), wanted.template),
        (col(Job.userid), wanted.userid),
    )
    conditions += [column == storable_text(value) for column, value in same if value]
    if wanted.before:
        conditions.append(_behind(wanted.before))
    for word in storable_text(wanted.text).split():
        texts = (col(Job.name), cast(_VMID, String), col(Template.name), col(Job.userid))
        conditions.append(or_(*(text.icontains(word, autoescape=True) for text in texts)))
    named = storable_text(wanted.name).split()
    conditions.extend(col(Job.name).icontains(word, autoescape=True) for word in named)
    return conditions


def _behind(job_id: UUID) -> ColumnElement[bool]:
    """Whether a job follows ``job_id`` in the order of ``list``."""
    at = select(col(Job.created_at)).where(col(Job.id) == job_id).scalar_subquery()
    same_moment = and_(col(Job.created_at) == at, col(Job.id) < job_id)
    return or_(col(Job.created_at) < at, same_moment)
