"""Which guests in PVE are the containers and guests of our jobs. A vmid is not enough, because PVE reuses it.

A container that a creation made has a line in its notes (``line_of``). Another guest of a job is recognized by its MAC
addresses. PVE stores no time of creation in a container's config, but generates a MAC address for each network device.
A container keeps it when it is moved, restored or rolled back. A clone, or a new container, gets others.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lxc_dashboard.errors import ApiError, NotFoundError, PrivilegeError, ProxmoxError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.jobs.codes import JobCode
from lxc_dashboard.services.jobs.engine.run import Checkpoint

if TYPE_CHECKING:
    from lxc_dashboard.db.database import DatabaseService
    from lxc_dashboard.db.models import Job
    from lxc_dashboard.db.repositories.containers import KnownGuest
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.proxmox.schemas import Resource


_LINE: Final = "<!-- lxc-dashboard creation {job_id} -->"
_ANY: Final = re.compile(r"\n*<!-- lxc-dashboard creation ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) -->")


def line_of(job_id: UUID) -> str:
    return _LINE.format(job_id=job_id)


def creations_of(notes: str) -> frozenset[UUID]:
    """The ids of the creations that the notes name; empty for a container that others made."""
    return frozenset(UUID(found) for found in _ANY.findall(notes))


def without_lines(notes: str) -> str:
    """The notes as people read them."""
    return _ANY.sub("", notes).strip()


log = structlog.get_logger(__name__)

# A key of ``Checkpoint.facts``: the MAC addresses of the guest that the job found.
MARK: Final = "hwaddrs"


async def read(client: ProxmoxClient, vmid: int, node: str) -> list[str]:
    """The guest's MAC addresses; empty without a network device, or if PVE refuses. ``GET .../config``."""
    try:
        config = await client.lxc.config(node, vmid)
    except (ApiError, PrivilegeError, NotFoundError) as error:
        log.info("guest mark not read", vmid=vmid, why=str(error))
        return []
    return sorted(net["hwaddr"].lower() for net in config.nets.values() if "hwaddr" in net)


def is_same(job: Job, present: Iterable[str]) -> bool | None:
    """Whether the guest with the job's vmid and the mark ``present`` is the one that the job found. None if unknown."""
    found, now = set(Checkpoint.from_json(job.checkpoint).facts.get(MARK, ())), set(present)
    return bool(found & now) if found and now else None


AT_ONCE: Final = 8
ASKED_AT_A_LOOK: Final = 200


class Standing(StrEnum):
    """What PVE says about a container of ours.

    ``coming``: in creation, or not created yet. ``gone``: its job has ended, and PVE has no guest with its vmid.
    ``replaced``: another guest certainly has its vmid. ``strange``: the guest's notes name no creation.
    ``unseen``: PVE shows the user no guest. ``unknown``: PVE did not answer.
    """

    OURS = "ours"
    COMING = "coming"
    GONE = "gone"
    REPLACED = "replaced"
    STRANGE = "strange"
    UNSEEN = "unseen"
    UNKNOWN = "unknown"


ITS_OWN: Final = frozenset({Standing.OURS, Standing.COMING})
LOST: Final = {
    Standing.GONE: JobCode.DELETED_IN_PVE,
    Standing.REPLACED: JobCode.REPLACED_IN_PVE,
}


async def standings(
    client: ProxmoxClient, known: Iterable[KnownGuest], resources: Iterable[Resource]
) -> dict[UUID, Standing]:
    """The standing of each ``known`` container, by its id. ``resources``: what PVE lists for the client's user now.

    ``GET /nodes/{node}/lxc/{vmid}/config`` for listed guests, ``/cluster/nextid?vmid=`` for the others.
    """
    entries = list(resources)
    listed = {entry.vmid: entry for entry in entries if entry.is_guest}
    away = {entry.node for entry in entries if entry.type == "node" and entry.status not in {"online", ""}}
    turn = asyncio.Semaphore(AT_ONCE)

    async def ask(guest: KnownGuest) -> Standing:
        if guest.vmid in listed and listed[guest.vmid].node in away:
            return Standing.UNKNOWN
        try:
            return await _standing(client, guest, listed.get(guest.vmid), turn)
        except (ProxmoxError, PrivilegeError) as error:
            log.info("guest not identified", vmid=guest.vmid, why=str(error))
            return Standing.UNKNOWN

    asked = list(known)
    found = await asyncio.gather(*(ask(guest) for guest in asked))
    return {guest.container_id: standing for guest, standing in zip(asked, found, strict=True)}


async def _standing(
    client: ProxmoxClient, guest: KnownGuest, listed: Resource | None, turn: asyncio.Semaphore
) -> Standing:
    if listed is None:
        if not guest.has_ended:
            return Standing.COMING
        return Standing.GONE if await client.cluster.has_no_guest(guest.vmid, turn) else Standing.UNSEEN
    if listed.type != "lxc":
        return Standing.REPLACED if guest.was_made else Standing.STRANGE
    async with turn:
        return await _standing_of(client, guest, listed.node)


async def standing_at(client: ProxmoxClient, guest: KnownGuest, node: str) -> Standing:
    """``standings`` of one container, without a list. Asks ``node``, where it was last. Raises the errors of PVE.

    ``GET /nodes/{node}/lxc/{vmid}/config``, and ``/cluster/nextid?vmid=`` if that is refused.
    """
    try:
        return await _standing_of(client, guest, node)
    except (ApiError, PrivilegeError):
        if guest.has_ended and await client.cluster.has_no_guest(guest.vmid):
            return Standing.GONE
        return Standing.UNKNOWN


async def _standing_of(client: ProxmoxClient, guest: KnownGuest, node: str) -> Standing:
    """The standing for a vmid that a container on ``node`` has."""
    config = await client.lxc.config(node, guest.vmid)
    if config.is_bare:  # it is being created or restored
        return Standing.UNKNOWN if guest.was_made else Standing.COMING
    named = creations_of(config.description)
    if named & guest.creations:
        return Standing.OURS
    return Standing.REPLACED if named and guest.was_made else Standing.STRANGE


async def forget_lost(db: DatabaseService, known: Iterable[KnownGuest], found: Mapping[UUID, Standing]) -> None:
    """Mark as deleted the containers that PVE does not have, unless a job has worked on them since they were read.

    A container that was never made keeps its secrets for a retry.
    """
    in_order = sorted(known, key=lambda guest: guest.container_id)  # two callers lock in the same order: no deadlock
    lost = [(each, at) for each in in_order if found.get(each.container_id) in LOST and (at := each.ended_at)]
    if not lost:
        return
    async with db.transaction() as tx:
        for guest, ended_at in lost:
            standing = found[guest.container_id]
            why = Message.of(LOST[standing] if guest.was_made else JobCode.NEVER_MADE)
            if await tx.containers.mark_lost(guest.container_id, ended_at, for_good=guest.was_made):
                await tx.containers.add_event(guest.container_id, "gone", "", detail=why.to_json())
                log.info("container is gone from pve", vmid=guest.vmid, why=why.code)


@dataclass(slots=True)
class Sight:
    """The standing of one container, valid while ``listed`` does not change."""

    container_id: UUID
    standing: Standing
    listed: bool


class Identities:
    """Which of our containers are the guests that PVE lists. Keeps a settled answer until something contradicts it."""

    def __init__(self, client: ProxmoxClient, db: DatabaseService, endpoint_id: UUID) -> None:
        self._client = client
        self._db = db
        self._endpoint_id = endpoint_id
        self._seen: dict[int, Sight] = {}

    def doubt(self, vmid: int) -> None:
        """Check this vmid again, because a task has created or deleted its guest."""
        self._seen.pop(vmid, None)

    async def known(self, resources: list[Resource]) -> dict[int, KnownGuest]:
        """Our containers, by vmid. Marks those deleted that PVE no longer has."""
        async with self._db.transaction() as tx:
            known = await tx.containers.known(self._endpoint_id)
        listed = {entry.vmid for entry in resources if entry.is_guest}
        asked = [guest for guest in known if not self._is_settled(guest, listed=guest.vmid in listed)]
        del asked[ASKED_AT_A_LOOK:]
        found = await standings(self._client, asked, resources)
        for guest in asked:
            self._seen[guest.vmid] = Sight(guest.container_id, found[guest.container_id], guest.vmid in listed)
        await forget_lost(self._db, asked, found)
        return {guest.vmid: guest for guest in known if self._is_ours(guest)}

    def _is_ours(self, guest: KnownGuest) -> bool:
        sight = self._seen.get(guest.vmid)
        return sight is not None and sight.container_id == guest.container_id and sight.standing in ITS_OWN

    def _is_settled(self, guest: KnownGuest, *, listed: bool) -> bool:
        sight = self._seen.get(guest.vmid)
        if sight is None or sight.container_id != guest.container_id or sight.listed != listed:
            return False
        return sight.standing in {Standing.OURS, Standing.STRANGE, Standing.UNSEEN, Standing.REPLACED}
