"""The feed: one poller for each user and endpoint across all processes, with any number of viewers.

In each web process a ``FeedHub`` has a replica of every feed that is viewed through it. The replica follows a Redis
stream of patches, which the process with the feed's lease writes. A snapshot in Redis lets a new process start without
older patches. Without viewers no process polls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

import msgspec
import structlog

from lxc_dashboard.bus import Bus
from lxc_dashboard.db.database import DatabaseService
from lxc_dashboard.errors import AuthError, DashboardError
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.client import ProxmoxClient
from lxc_dashboard.proxmox.codes import ProxmoxCode
from lxc_dashboard.proxmox.schemas import Resource
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting, sessions, sign_in
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.jobs.identity import Identities
from lxc_dashboard.services.monitor.poller import Poller
from lxc_dashboard.services.monitor.replica import (
    BLOCK_MS,
    RETRY_S,
    OnPatch,
    Patch,
    Replica,
    Stored,
    Words,
    catch_up,
    follow,
    patch_of,
)
from lxc_dashboard.services.monitor.rows import Fields, Known, Row, Rows, known_of

log = structlog.get_logger(__name__)

LEASE_S = 6.0
LEASE_RENEWED_EVERY_S = 2.0
GRACE_S = 10.0
FIRST_ANSWER_WITHIN_S = 5.0
# A longer poll counts as failed, so that the page soon shows the cause.
ANSWER_WITHIN_S = 4.0
PATCHES_KEPT = 300
PATCHES_KEPT_S = 120
# The web server keeps a buffer of the largest frame for each socket.
ROWS_A_PATCH = 1_000
SNAPSHOT_KEPT_S = 600
# The stream holds patches of a much longer time.
SNAPSHOT_EVERY_S = 30.0


def feed_key(endpoint_id: UUID, userid: str) -> str:
    """The feed of a user at an endpoint; also the name of the room that receives its patches."""
    return f"feed:{endpoint_id}:{userid}"


def touch_stream(endpoint_id: UUID) -> str:
    return f"feed-touch:{endpoint_id}"


async def touch(bus: Bus, endpoint_id: UUID, vmid: int, node: str) -> None:
    """Make every feed of the endpoint request this guest's live state, after an act."""
    await bus.publish(
        touch_stream(endpoint_id), [msgspec.json.encode({"vmid": vmid, "node": node})], maxlen=100, ttl_s=60
    )


class FeedHub:
    """All feeds that are viewed through one process.

    ``on_patch(key, patch)`` is awaited for each patch; ``is_there(viewer)``: whether the viewer's socket is open.
    ``words`` puts the error of a feed into words for all its viewers.
    """

    def __init__(self, rt: Runtime, on_patch: OnPatch, is_there: Callable[[str], bool], words: Words) -> None:
        self._rt = rt
        self._bus = rt.bus
        self._on_patch = on_patch
        self._is_there = is_there
        self._words = words
        self._replicas: dict[str, Replica] = {}
        self._owner = uuid4().hex
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def watch(self, session: Session, viewer: str) -> str:
        """Add ``viewer`` (a socket) to the feed of the session's user. Returns the feed's key."""
        self.unwatch(viewer)
        replica = self._replica(session)
        replica.viewers[viewer] = session
        return replica.key

    def unwatch(self, viewer: str) -> list[str]:
        """Remove a viewer. Returns the keys of its feeds."""
        seen = [replica for replica in self._replicas.values() if replica.viewers.pop(viewer, None)]
        for replica in seen:
            if not replica.viewers:
                replica.empty_since = time.monotonic()
        return [replica.key for replica in seen]

    @property
    def watched(self) -> list[str]:
        """The keys of the open feeds."""
        return list(self._replicas)

    def known(self, session: Session) -> tuple[Rows, dict[str, Any]]:
        """Rows and ``meta`` of the user's feed as they are now; empty if it has no viewer in this process."""
        replica = self._replicas.get(feed_key(session.endpoint_id, session.userid))
        return (replica.rows, replica.meta) if replica else ({}, {})

    def meta(self, key: str) -> Mapping[str, Any]:
        """``meta`` of a watched feed; empty if it has no viewer in this process."""
        replica = self._replicas.get(key)
        return replica.meta if replica else {}

    def since(self, key: str, v: int) -> list[Patch]:
        """The patches of a watched feed that follow version ``v``, for a page that enters the room after it read the snapshot."""
        replica = self._replicas.get(key)
        return replica.since(v) if replica else []

    async def rows(self, session: Session) -> Rows:
        """All rows of the user. Waits up to 5 s for PVE's first answer."""
        return (await self._ready_replica(session)).rows

    async def snapshot(self, session: Session) -> bytes:
        """The whole list as gzipped JSON ``{columns: {field: [value]}, v, meta}``, its rows encoded once for all viewers.

        Waits up to 5 s for PVE's first answer, else sets ``meta.error``.
        """
        return (await self._ready_replica(session)).snapshot()

    async def nodes(self, session: Session) -> bytes:
        """JSON ``{v, meta}`` without rows, not compressed. Waits as ``snapshot``."""
        replica = await self._ready_replica(session)
        return msgspec.json.encode({"v": replica.v, "meta": replica.meta})

    async def _ready_replica(self, session: Session) -> Replica:
        """The user's replica after its first data, or after 5 s."""
        replica = self._replica(session)
        if not replica.viewers:
            replica.empty_since = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_ANSWER_WITHIN_S):
                await replica.ready.wait()
        if not replica.ready.is_set():
            replica.meta.setdefault("error", self._words(Message.of(ProxmoxCode.NOT_YET)))
        return replica

    async def run(self) -> None:
        """Close feeds without viewers until cancelled, then all feeds."""
        try:
            while True:
                await asyncio.sleep(RETRY_S)
                for replica in list(self._replicas.values()):
                    for viewer in [viewer for viewer in replica.viewers if not self._is_there(viewer)]:
                        self.unwatch(viewer)
                    since = replica.empty_since
                    if not replica.viewers and since is not None and time.monotonic() - since > GRACE_S:
                        await self._close(replica)
        finally:
            for replica in list(self._replicas.values()):
                await self._close(replica)

    def _replica(self, session: Session) -> Replica:
        key = feed_key(session.endpoint_id, session.userid)
        replica = self._replicas.get(key)
        if replica is None:
            replica = self._replicas[key] = Replica(key, session.endpoint_id, words=self._words)
            replica.tasks = [
                asyncio.create_task(follow(self._bus, replica, self._on_patch), name=f"follow {key}"),
                asyncio.create_task(self._lead(replica, session), name=f"lead {key}"),
            ]
        replica.empty_since = None
        return replica

    async def _close(self, replica: Replica) -> None:
        self._replicas.pop(replica.key, None)
        for task in replica.tasks:
            task.cancel()
        await asyncio.gather(*replica.tasks, return_exceptions=True)

    async def _lead(self, replica: Replica, first: Session) -> None:
        """Poll while this process holds the feed's lease; else try again every second.

        A replica that was just closed releases the lease first, because both use the same owner.
        """
        turn = self._turns.setdefault(replica.key, asyncio.Lock())
        async with turn:
            while True:
                await self._lead_once(replica, f"{replica.key}:lease", first)
                await asyncio.sleep(RETRY_S)

    async def _lead_once(self, replica: Replica, lease: str, first: Session) -> None:
        try:
            if await self._bus.acquire_lease(lease, self._owner, LEASE_S):
                try:
                    await self._poll_while_leased(replica, lease, first)
                finally:
                    await asyncio.shield(self._bus.release_lease(lease, self._owner))
        except DashboardError as error:
            log.warning("feed polling failed", cause=str(error))
        except Exception:
            log.exception("poller failed")

    async def _poll_while_leased(self, replica: Replica, lease: str, first: Session) -> None:
        await catch_up(self._bus, replica)
        session = await self._lender(replica, first)
        if session is None:
            return
        poller = Publisher(self._bus, replica).poller(
            (await acting.client(self._rt, session)).within(ANSWER_WITHIN_S), self._rt.db
        )
        tasks = {
            asyncio.create_task(self._poll_until_refused(poller, session)),
            asyncio.create_task(self._pass_touches(replica, poller)),
            asyncio.create_task(self._keep(replica, lease, session)),
        }
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _lender(self, replica: Replica, first: Session) -> Session | None:
        """The first open session of a viewer, loaded again to get its current ticket."""
        for viewer in [*replica.viewers.values(), first]:
            session = await sessions.load(self._rt, viewer.key)
            if session is not None:
                return session
        return None

    async def _poll_until_refused(self, poller: Poller, session: Session) -> None:
        """Poll until PVE refuses the ticket. Ends the session if PVE refuses its stored ticket too."""
        try:
            await poller.run()
        except AuthError as error:
            log.info("feed ticket refused", session=str(session.id), cause=str(error))
            current = await sessions.load(self._rt, session.key)
            if current is not None:
                await sign_in.verify(self._rt, current)

    async def _keep(self, replica: Replica, lease: str, lender: Session) -> None:
        """Renew the lease until it is lost, or the lending session has no viewer while others have."""
        held = lent = True
        while held and lent:
            await asyncio.sleep(LEASE_RENEWED_EVERY_S)
            held = await self._bus.renew_lease(lease, self._owner, LEASE_S)
            lent = not replica.viewers or any(session.id == lender.id for session in replica.viewers.values())

    async def _pass_touches(self, replica: Replica, poller: Poller) -> None:
        stream = touch_stream(replica.endpoint_id)
        last_id = await self._bus.last_id(stream)
        while True:
            for entry_id, raw in await self._bus.read_after(stream, last_id, block_ms=BLOCK_MS):
                last_id = entry_id
                touched = msgspec.json.decode(raw)
                poller.touch(int(touched["vmid"]), str(touched["node"]))


class Publisher:
    """Numbers and publishes patches, and stores the snapshot for new processes."""

    def __init__(self, bus: Bus, replica: Replica) -> None:
        self._bus = bus
        self._replica = replica
        # Numbers start at the present time, so that they grow even after Redis lost its data.
        self._prev, self._v = replica.v, max(replica.v, int(time.time()))
        self._next_snapshot = 0.0

    def poller(self, client: ProxmoxClient, db: DatabaseService) -> Poller:
        identities = Identities(client, db, self._replica.endpoint_id)

        async def known(resources: list[Resource]) -> Mapping[int, Known]:
            return {vmid: known_of(guest) for vmid, guest in (await identities.known(resources)).items()}

        nodes = list(self._replica.meta.get("nodes", []))
        self._poller = Poller(client, known, self._publish_shared, dict(self._replica.rows), nodes, identities.doubt)
        return self._poller

    async def _publish_shared(
        self, changed: Mapping[int, Row | Fields], gone: list[int], meta: dict[str, Any] | None
    ) -> None:
        """Publish, then give the poller the replica's rows, so that the process stores them once."""
        await self.publish(changed, gone, meta)
        await catch_up(self._bus, self._replica)
        if self._replica.v == self._v:
            self._poller.rows = dict(self._replica.rows)

    async def publish(self, changed: Mapping[int, Row | Fields], gone: list[int], meta: dict[str, Any] | None) -> None:
        """Publish a change as patches of at most ``ROWS_A_PATCH`` rows; the last one has ``gone`` and ``meta``."""
        rows = list(changed.items())
        while len(rows) > ROWS_A_PATCH:
            await self._send(dict(rows[:ROWS_A_PATCH]), [], {})
            del rows[:ROWS_A_PATCH]
        entry_id = await self._send(dict(rows), gone, meta or {})
        if meta is not None and "version" in meta and time.monotonic() >= self._next_snapshot:
            self._next_snapshot = time.monotonic() + SNAPSHOT_EVERY_S
            whole = Stored(self._v, self._poller.rows, meta, entry_id)
            await self._bus.set(f"{self._replica.key}:snapshot", msgspec.json.encode(whole), ttl_s=SNAPSHOT_KEPT_S)

    async def _send(self, changed: Mapping[int, Row | Fields], gone: list[int], meta: dict[str, Any]) -> str:
        """Publish one patch. Returns its id in the stream."""
        self._v += 1
        patch = patch_of(self._v, self._prev, changed, gone, meta)
        self._prev = self._v
        return await self._bus.publish(
            self._replica.key, [msgspec.json.encode(patch)], maxlen=PATCHES_KEPT, ttl_s=PATCHES_KEPT_S
        )
