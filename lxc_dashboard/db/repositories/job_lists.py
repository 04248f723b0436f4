"""Runs as a list shows them: those that one may see, filtered, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, and_, case, cast, func, or_, select
from sqlmodel import col

from lxc_dashboard.db.models import Container, Job, JobState, Template, TemplateRevision
from lxc_dashboard.db.repositories.leases import UNDER_WAY, UNFINISHED, is_creation
from lxc_dashboard.db.repositories.slots import SlotRepository
from lxc_dashboard.db.storable import storable_text

Named = tuple[Job, Container, str]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at an endpoint's runs: at his own (of ``session_id`` only, where that is given), at those of containers
    with a vmid of ``seen`` but for those containers that are ``hidden``, at ``runs`` themselves, and with ``gone`` at those of
    containers that are no more.
    """

    endpoint_id: UUID
    userid: str
    session_id: UUID | None = None
    seen: frozenset[int] = frozenset()
    gone: bool = False
    hidden: frozenset[UUID] = frozenset()
    runs: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs; empty: any. ``template`` is a name, ``text`` part of host name, vmid, template or user, ``hostname`` of the first alone.

    ``before``: those that stand behind this one in the list.
    """

    states: tuple[JobState, ...] = ()
    node: str = ""
    template: str = ""
    mine: bool = False
    text: str = ""
    hostname: str = ""
    before: UUID | None = None


class JobListRepository(SlotRepository):
    """The part of ``JobRepository`` that lists."""

    async def list_named(self, viewer: Viewer, wanted: Wanted, *, limit: int, offset: int = 0) -> Sequence[Named]:
        """Newest first, each with its container and its template's name and revision (``nginx-web r7``)."""
        columns = (Job, Container, col(Template.name), col(TemplateRevision.number))
        found = _joined(*columns).where(*_visible(viewer), *_matching(viewer, wanted))
        newest = found.order_by(col(Job.created_at).desc(), col(Job.id).desc())
        rows = await self._session.execute(newest.limit(limit).offset(offset))
        return [(row[0], row[1], f"{row[2]} r{row[3]}" if row[2] else "") for row in rows]

    async def count_named(self, viewer: Viewer, wanted: Wanted) -> int:
        found = _joined(func.count()).where(*_visible(viewer), *_matching(viewer, wanted))
        return await self._session.scalar(found) or 0

    async def values_of_named(self, viewer: Viewer) -> tuple[list[str], list[str]]:
        """The nodes and the templates of all that the viewer may see, sorted."""
        found = []
        for column in (col(Container.node), col(Template.name)):
            values = await self._session.scalars(_joined(column).where(*_visible(viewer)).distinct())
            found.append(sorted(value for value in values if value))
        return found[0], found[1]

    async def pulse(self, endpoint_id: UUID, limit: int) -> Sequence[tuple[Any, ...]]:
        """``(id, state, phase, percent, started_at, finished_at)``: what runs first, then the newest."""
        state = col(Job.state)
        running = case((state.in_(UNDER_WAY), 0), (state.in_(UNFINISHED), 1), else_=2)
        first = _pulses().where(is_creation(), col(Job.endpoint_id) == endpoint_id)
        rows = await self._session.execute(first.order_by(running, col(Job.created_at).desc()).limit(limit))
        return [tuple(row) for row in rows]

    async def pulse_of(self, endpoint_id: UUID, ids: Collection[UUID]) -> Sequence[tuple[Any, ...]]:
        """As ``pulse``, of these runs."""
        these = (col(Job.endpoint_id) == endpoint_id, col(Job.id).in_(ids))
        return [tuple(row) for row in await self._session.execute(_pulses().where(*these))]


_PULSE: Final = (
    Job.id,
    Job.state,
    Job.step,
    Job.percent,
    Job.started_at,
    Job.finished_at,
)


def _pulses() -> Select[Any]:
    columns: list[Any] = [col(column) for column in _PULSE]
    return select(*columns)


def _joined(*columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(Job)
        .join(Container, col(Container.id) == col(Job.container_id))
        .outerjoin(TemplateRevision, col(TemplateRevision.id) == col(Job.revision_id))
        .outerjoin(Template, col(Template.id) == col(TemplateRevision.template_id))
    )


def _own(viewer: Viewer) -> ColumnElement[bool]:
    own = col(Job.userid) == viewer.userid
    return own if viewer.session_id is None else and_(own, col(Job.session_id) == viewer.session_id)


def _visible(viewer: Viewer) -> list[ColumnElement[bool]]:
    exists = col(Container.deleted_at).is_(None)
    hidden = col(Container.id).in_(viewer.hidden)
    seen = [
        _own(viewer),
        and_(exists, col(Container.vmid).in_(viewer.seen), ~hidden),
        col(Job.id).in_(viewer.runs),
    ]
    return [is_creation(), col(Job.endpoint_id) == viewer.endpoint_id, or_(*seen, *([~exists] if viewer.gone else []))]


def _matching(viewer: Viewer, wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.states:
        conditions.append(col(Job.state).in_([state.value for state in wanted.states]))
    if wanted.node:
        conditions.append(col(Container.node) == storable_text(wanted.node))
    if wanted.template:
        conditions.append(col(Template.name) == storable_text(wanted.template))
    if wanted.mine:
        conditions.append(_own(viewer))
    if wanted.before:
        conditions.append(_behind(wanted.before))
    for word in storable_text(wanted.text).split():
        texts = (col(Container.hostname), cast(col(Container.vmid), String), col(Template.name), col(Job.userid))
        conditions.append(or_(*(text.icontains(word, autoescape=True) for text in texts)))
    named = storable_text(wanted.hostname).split()
    conditions.extend(col(Container.hostname).icontains(word, autoescape=True) for word in named)
    return conditions


def _behind(job_id: UUID) -> ColumnElement[bool]:
    """As ``list_named`` orders them."""
    at = select(col(Job.created_at)).where(col(Job.id) == job_id).scalar_subquery()
    same_moment = and_(col(Job.created_at) == at, col(Job.id) < job_id)
    return or_(col(Job.created_at) < at, same_moment)
