"""The jobs of an endpoint that one may see, filtered, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.repositories.job_lists import Named, Viewer, Wanted
from lxc_dashboard.errors import ServiceUnavailableError, UnreachableError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import sight
from lxc_dashboard.services.creation.views import JobView, job_view
from lxc_dashboard.services.jobs.ticket import owns

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

SEEN_FOR_S: Final = 15.0
ANSWER_WITHIN_S: Final = 4.0  # one's own jobs need no answer of PVE

__all__ = ["JobPage", "Wanted", "page_of"]


@dataclass(frozen=True, slots=True)
class JobPage:
    """``total`` counts all that match; ``nodes`` and ``templates`` are those of all that one may see.

    ``own_only``: PVE did not answer, so that what others have asked for is left out.
    """

    jobs: tuple[JobView, ...]
    total: int
    nodes: tuple[str, ...]
    templates: tuple[str, ...]
    own_only: bool = False


async def page_of(rt: Runtime, session: Session, wanted: Wanted, *, limit: int, offset: int = 0) -> JobPage:
    """Newest first: one's own, and those of containers that PVE lets the user see. Raises what PVE says.

    ``limit`` and ``offset`` count what is seen: a page is read again without what is not, because a vmid that the user sees
    is another container's by now.
    """
    shown, own_only = await _viewer(rt, session)
    viewer, rows = await _seen(rt, session, shown, wanted, limit=limit, offset=offset)
    async with rt.db.transaction() as tx:
        total = await tx.jobs.count_named(viewer, wanted)
        nodes, templates = await tx.jobs.values_of_named(viewer)
        places = await tx.jobs.places(session.endpoint_id)
    views = (
        job_view(creation, container, template, own=owns(session, creation)) for creation, container, template in rows
    )
    return JobPage(tuple(view.placed(places) for view in views), total, tuple(nodes), tuple(templates), own_only)


async def _seen(
    rt: Runtime, session: Session, shown: Viewer, wanted: Wanted, *, limit: int, offset: int
) -> tuple[Viewer, Sequence[Named]]:
    """The page's rows, all of which may be seen, and the viewer with what was found hidden."""
    known, seen = await _hidden(rt, session), frozenset[UUID]()
    viewer = replace(shown, hidden=known)
    while True:
        async with rt.db.transaction() as tx:
            rows = await tx.jobs.list_named(viewer, wanted, limit=limit, offset=offset)
        others = {container.id: container for creation, container, _ in rows if not owns(session, creation)}
        seen |= await sight.seen(rt, session, [each for each in others.values() if each.id not in seen])
        hidden = others.keys() - seen
        if not hidden:
            break
        viewer = replace(viewer, hidden=viewer.hidden | hidden)
    if viewer.hidden != known:
        await _hide(rt, session, viewer.hidden)
    return viewer, rows


async def _hidden(rt: Runtime, session: Session) -> frozenset[UUID]:
    """What an earlier page has found hidden holds for ``SEEN_FOR_S``, so that the next one goes on where that ended."""
    try:
        known = await rt.bus.get(f"creation:hidden:{session.id}")
    except ServiceUnavailableError as error:
        log.info("what is hidden is not remembered", why=str(error))
        return frozenset()
    return frozenset(UUID(text) for text in (known or b"").decode().split())


async def _hide(rt: Runtime, session: Session, hidden: frozenset[UUID]) -> None:
    try:
        await rt.bus.set(f"creation:hidden:{session.id}", " ".join(map(str, hidden)).encode(), ttl_s=SEEN_FOR_S)
    except ServiceUnavailableError as error:
        log.info("what is hidden is not remembered", why=str(error))


async def _viewer(rt: Runtime, session: Session) -> tuple[Viewer, bool]:
    """Whose view it is, and whether PVE did not answer. What it shows holds for ``SEEN_FOR_S``: an open list is read often."""
    known, silent = b"", False
    try:
        known = await _known(rt, session)
    except UnreachableError as error:
        log.info("only one's own jobs are listed: PVE does not answer", why=str(error))
        silent = True
    gone, _, vmids = known.decode().partition(":")
    seen = frozenset(int(vmid) for vmid in vmids.split(",") if vmid)
    tab = session.id if session.tokenid else None
    return Viewer(session.endpoint_id, session.userid, tab, seen, gone == "1"), silent


async def _known(rt: Runtime, session: Session) -> bytes:
    key = f"creation:seen:{session.id}"
    try:
        known = await rt.bus.get(key)
        if known is None:
            known = await _ask(rt, session)
            await rt.bus.set(key, known, ttl_s=SEEN_FOR_S)
    except ServiceUnavailableError as error:
        log.info("what is seen is not remembered", why=str(error))
        return await _ask(rt, session)
    return known


async def _ask(rt: Runtime, session: Session) -> bytes:
    client = (await acting.client(rt, session)).within(ANSWER_WITHIN_S)
    vmids = sorted(guest.vmid for guest in await client.cluster.resources("vm"))
    gone = sight.SEE_PRIVILEGE in await client.access.permissions(sight.ALL_GUESTS)
    return f"{int(gone)}:{','.join(map(str, vmids))}".encode()
