"""Which jobs a user may see: their own, and those of guests that PVE shows them.

PVE reuses vmids. So a container of ours counts only while the guest with its vmid is still that container. An ended act
on another guest counts only while the guest with its vmid is the one that the job found (``identity``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.db.repositories.jobs import FINISHED
from lxc_dashboard.errors import (
    AuthError,
    NotFoundError,
    ProxmoxError,
    ServiceUnavailableError,
    UnreachableError,
)
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth import acting, privileges
from lxc_dashboard.services.auth.privileges import ANSWER_WITHIN_S, CONSOLE_PRIVILEGE
from lxc_dashboard.services.jobs import identity
from lxc_dashboard.services.jobs.codes import JobCode
from lxc_dashboard.services.jobs.identity import ITS_OWN, Standing

if TYPE_CHECKING:
    from lxc_dashboard.db.models import Container, Job
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.proxmox.schemas import Resource
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

SEE_PRIVILEGE: Final = "VM.Audit"
MANAGE_PRIVILEGE: Final = "VM.Allocate"  # PVE requires the same to delete a guest
# For jobs without a guest: held at the storage that they write to.
SEE_AT_STORAGE: Final = "Datastore.Audit"
MANAGE_AT_STORAGE: Final = "Datastore.AllocateTemplate"
AT_STORAGE: Final = {SEE_AT_STORAGE: SEE_PRIVILEGE, MANAGE_AT_STORAGE: MANAGE_PRIVILEGE}
GRANTED: Final = frozenset({SEE_PRIVILEGE, MANAGE_PRIVILEGE, CONSOLE_PRIVILEGE})
HOLDS_FOR_S: Final = 15.0
ALL_GUESTS: Final = "/vms"  # VM.Audit here also shows the jobs of deleted containers


async def held(rt: Runtime, session: Session, job: Job, container: Container | None) -> frozenset[str]:
    """What the user may do with another user's job: see it, manage it, open its guest's console, or nothing.

    For a job without a guest, the privileges at its storage count, translated by ``AT_STORAGE``.
    ``container``: the job's, if the product knows its guest. The result is cached for ``HOLDS_FOR_S``, because a log is
    read in many small pieces. Raises ``UnreachableError`` if PVE does not say whether the guest is still the job's.
    """
    subject = f"{container.id}:{container.deleted_at is not None}" if container else f"{job.id}:{job.state in FINISHED}"
    key = f"job:held:{session.id}:{subject}"
    try:
        known = await rt.bus.get(key)
        if known is None:
            known = ",".join(sorted(await _held(rt, session, job, container))).encode()
            await rt.bus.set(key, known, ttl_s=HOLDS_FOR_S)
    except ServiceUnavailableError as error:
        log.info("privileges not cached", why=str(error))
        return await _held(rt, session, job, container)
    return frozenset(known.decode().split(","))


async def _held(rt: Runtime, session: Session, job: Job, container: Container | None) -> frozenset[str]:
    if not job.vmid:
        at_storage = await privileges.held(rt, session, _storage(job))
        return frozenset(meaning for privilege, meaning in AT_STORAGE.items() if privilege in at_storage)
    gone = container is not None and container.deleted_at is not None
    vmid = container.vmid if container else job.vmid
    found = await privileges.held(rt, session, ALL_GUESTS if gone else f"/vms/{vmid}")
    if not gone and SEE_PRIVILEGE in found:
        client = await acting.client(rt, session)
        resources = await client.cluster.resources()
        if not _lists(resources, vmid):
            # PVE grants privileges also on a vmid without a guest. Only a container of ours may still be in creation.
            return found & GRANTED if container else frozenset()
        if container is None and not await _is_about(rt, session, client, [job], resources):
            return frozenset()
        if container is not None:
            standing = (await _standings(rt, session, client, [container], resources)).get(container.id)
            if standing is Standing.UNKNOWN:
                raise UnreachableError(Message.of(JobCode.GUEST_UNKNOWN, vmid=vmid))
            if standing not in ITS_OWN:
                return frozenset()
    return found & GRANTED


def managed_at(job: Job, container: Container | None) -> tuple[str, str]:
    """The path, and the privilege that a user needs there to cancel another user's job."""
    vmid = container.vmid if container else job.vmid
    return (f"/vms/{vmid}", MANAGE_PRIVILEGE) if vmid else (_storage(job), MANAGE_AT_STORAGE)


def _storage(job: Job) -> str:
    return f"/storage/{job.params['storage']}"


async def seen(rt: Runtime, session: Session, containers: Sequence[Container]) -> frozenset[UUID]:
    """The ids of those other users' ``containers`` whose jobs this user may see in a list."""
    if not containers:
        return frozenset()
    client = await acting.client(rt, session)
    resources = await client.cluster.resources()
    there = [each for each in containers if each.deleted_at is None and _lists(resources, each.vmid)]
    standings = await _standings(rt, session, client, there, resources)
    found = frozenset(container_id for container_id, standing in standings.items() if standing in ITS_OWN)
    gone = frozenset(each.id for each in containers if each.deleted_at is not None)
    if gone and SEE_PRIVILEGE in await privileges.held(rt, session, ALL_GUESTS):
        return found | gone
    return found


async def seen_acts(rt: Runtime, session: Session, jobs: Sequence[Job]) -> frozenset[UUID]:
    """The ids of those ``jobs`` that this user may see in a list.

    They are other users' acts on guests that the product does not know.
    """
    if not jobs:
        return frozenset()
    client = await acting.client(rt, session)
    return await _is_about(rt, session, client, jobs, await client.cluster.resources())


async def _is_about(
    rt: Runtime, session: Session, client: ProxmoxClient, jobs: Sequence[Job], resources: Sequence[Resource]
) -> frozenset[UUID]:
    """The ids of the jobs whose guest PVE lists. Until a job ends, any guest with its vmid counts."""
    nodes = {entry.vmid: entry.node for entry in resources if entry.is_guest}
    ended = [job for job in jobs if job.vmid in nodes and job.state in FINISHED]
    vmids = sorted({job.vmid for job in ended})
    turn = asyncio.Semaphore(identity.AT_ONCE)

    async def ask(vmid: int) -> list[str]:
        async with turn:
            return await _mark_of(rt, session, client, vmid, nodes[vmid])

    marks = dict(zip(vmids, await asyncio.gather(*map(ask, vmids)), strict=True))
    under_way = {job.id for job in jobs if job.vmid in nodes and job.state not in FINISHED}
    return frozenset(under_way | {job.id for job in ended if identity.is_same(job, marks[job.vmid])})


async def _mark_of(rt: Runtime, session: Session, client: ProxmoxClient, vmid: int, node: str) -> list[str]:
    """``identity.read``. A mark that is not empty is cached for ``HOLDS_FOR_S``."""
    key = f"guest:mark:{session.id}:{vmid}"
    try:
        known = await rt.bus.get(key)
        if known is not None:
            return known.decode().split()
        mark = await identity.read(client, vmid, node)
        if mark:
            await rt.bus.set(key, " ".join(mark).encode(), ttl_s=HOLDS_FOR_S)
    except ServiceUnavailableError as error:
        log.info("guest mark not cached", why=str(error))
        return await identity.read(client, vmid, node)
    return mark


async def is_lost(rt: Runtime, session: Session, container: Container) -> bool:
    """Whether PVE reports that the container of an ended job does not exist. Marks it deleted then.

    False if PVE does not answer.
    """
    async with rt.db.transaction() as tx:
        known = await tx.containers.known(session.endpoint_id, [container.id])
    try:
        client = (await acting.client(rt, session)).within(ANSWER_WITHIN_S)
        found = {guest.container_id: await identity.standing_at(client, guest, container.node) for guest in known}
    except (ProxmoxError, AuthError, NotFoundError) as error:
        log.info("container not looked for", vmid=container.vmid, why=str(error))
        return False
    await identity.forget_lost(rt.db, known, found)
    return found.get(container.id) in identity.LOST


def _lists(resources: Sequence[Resource], vmid: int) -> bool:
    return any(entry.is_guest and entry.vmid == vmid for entry in resources)


async def _standings(
    rt: Runtime,
    session: Session,
    client: ProxmoxClient,
    containers: Sequence[Container],
    resources: Sequence[Resource],
) -> dict[UUID, Standing]:
    """The standing of each known container, by its id. Caches ``Standing.OURS`` for ``HOLDS_FOR_S``, for all users."""
    ours = {each.id for each in containers if await _remembered(rt, each.id) is not None}
    asked = [each.id for each in containers if each.id not in ours]
    async with rt.db.transaction() as tx:
        known = await tx.containers.known(session.endpoint_id, asked) if asked else []
    found = await identity.standings(client, known, resources)
    for container_id, standing in found.items():
        if standing is Standing.OURS:
            await _remember(rt, container_id)
    return found | dict.fromkeys(ours, Standing.OURS)


async def _remembered(rt: Runtime, container_id: UUID) -> bytes | None:
    try:
        return await rt.bus.get(f"guest:ours:{container_id}")
    except ServiceUnavailableError:
        return None


async def _remember(rt: Runtime, container_id: UUID) -> None:
    try:
        await rt.bus.set(f"guest:ours:{container_id}", b"1", ttl_s=HOLDS_FOR_S)
    except ServiceUnavailableError as error:
        log.info("guest not remembered", why=str(error))
