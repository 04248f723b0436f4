"""A process's copy of a feed. It follows the Redis stream of patches; each patch names its predecessor.

A patch holds the changes since the previous one, for Redis and the browsers: ``{v, prev, gone, meta}`` and the changed rows.
A few rows are plain JSON (``rows``: fields by vmid). Many rows are ``packed``: their columns as gzipped JSON in base64, with
the names of the changed ``fields``. The poller packs a patch once; all others pass it on.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import zlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
import structlog
from msgspec.structs import asdict

from lxc_dashboard.bus import BEGINNING, Bus
from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.monitor.rows import Fields, Row, Rows, columns, columns_of_changes, laid_over, rows_of

if TYPE_CHECKING:
    from lxc_dashboard.services.auth.model import Session


Patch = dict[str, Any]

# Fewer rows are smaller as plain JSON.
PACKED_FROM_ROWS: Final = 60
# A higher level takes three times as long and saves a tenth.
PACKED_GZIP_LEVEL: Final = 1


def patch_of(v: int, prev: int, changed: Mapping[int, Row | Fields], gone: list[int], meta: Mapping[str, Any]) -> Patch:
    """``prev``: the number of the previous patch."""
    head: Patch = {"v": v, "prev": prev, "gone": gone, "meta": meta}
    fields = {vmid: asdict(change) if isinstance(change, Row) else change for vmid, change in changed.items()}
    if len(fields) < PACKED_FROM_ROWS:
        return head | {"rows": fields}
    by_field = columns_of_changes(fields)
    packed = base64.b64encode(gzip.compress(msgspec.json.encode(by_field), PACKED_GZIP_LEVEL, mtime=0)).decode()
    return head | {"fields": list(by_field), "packed": packed}


def changed_rows(patch: Patch) -> dict[int, Fields]:
    """The changed fields by vmid."""
    if "packed" in patch:
        return rows_of(msgspec.json.decode(gzip.decompress(base64.b64decode(patch["packed"]))))
    return {int(vmid): fields for vmid, fields in patch.get("rows", {}).items()}


def changed_fields(patch: Patch) -> set[str]:
    """The names of the fields that changed in any row."""
    return {name for fields in patch.get("rows", {}).values() for name in fields} | set(patch.get("fields", ()))


log = structlog.get_logger(__name__)

BLOCK_MS = 1000
RETRY_S = 1.0
CAUGHT_UP_WITHIN_S = 2.0
BEGIN_AGAIN_AFTER_S = 0.2
# The kept patches cover the time between reading the snapshot and entering the room: 20 s with 5,000 containers.
PATCHES_REPEATED = 40

# The header and the trailer of gzip.
GZIP_WBITS = 31
GZIP_LEVEL = 6

OnPatch = Callable[[str, Patch], Awaitable[None]]
# Returns the text of ``meta.error``, a stored message.
Words = Callable[[Any], str]


class Stored(msgspec.Struct):
    """The snapshot in Redis for new processes: the feed as of entry ``after`` of its stream."""

    v: int
    rows: Rows
    meta: dict[str, Any]
    after: str


@dataclass(slots=True)
class Replica:
    """``last_id``: the last applied entry of the stream. ``recent``: the last patches, oldest first.

    ``listed_head``: the compressed rows of a snapshot. ``listed``: the compressor after them; None once a row changes.
    """

    key: str
    endpoint_id: UUID
    viewers: dict[str, Session] = field(default_factory=dict)
    rows: Rows = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    v: int = 0
    last_id: str = ""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    empty_since: float | None = None
    listed: zlib._Compress | None = None
    listed_head: bytes = b""
    words: Words = str
    recent: deque[Patch] = field(default_factory=lambda: deque(maxlen=PATCHES_REPEATED))

    def follows(self, patch: Patch) -> bool:
        """Whether the patch is the next one."""
        return bool(patch["prev"] == self.v)

    def merge(self, patch: Patch) -> None:
        changed, gone = changed_rows(patch), patch.get("gone", ())
        for vmid, fields in changed.items():
            self.rows[vmid] = laid_over(self.rows.get(vmid), vmid, fields)
        for vmid in gone:
            self.rows.pop(int(vmid), None)
        self.meta = {**self.meta, **(patch.get("meta") or {})}
        self.v = patch["v"]
        if changed or gone:
            self.listed = None
        self.recent.append(patch)

    def since(self, v: int) -> list[Patch]:
        """The patches that follow version ``v``, oldest first; empty if the first of them is gone."""
        later = [patch for patch in self.recent if patch["v"] > v]
        return later if later and later[0]["prev"] == v else []

    def snapshot(self) -> bytes:
        """The whole list as gzipped JSON ``{columns, v, meta}``. Rows are compressed again only after a change."""
        if self.listed is None:
            self.listed = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WBITS)
            self.listed_head = self.listed.compress(b'{"columns":' + msgspec.json.encode(columns(self.rows)))
            self.listed_head += self.listed.flush(zlib.Z_SYNC_FLUSH)
        rest = self.listed.copy()
        tail = msgspec.json.encode({"v": self.v, "meta": self.meta})
        return self.listed_head + rest.compress(b"," + tail[1:]) + rest.flush()


async def follow(bus: Bus, replica: Replica, on_patch: OnPatch) -> None:
    """Apply the stream's patches to the replica and pass them on. Start again after a gap."""
    gap = False
    while True:
        try:
            if not replica.last_id:
                await _begin(bus, replica, anew=gap)
                gap = False
            for entry_id, raw in await bus.read_after(replica.key, replica.last_id, block_ms=BLOCK_MS):
                if not await _apply(replica, msgspec.json.decode(raw), on_patch):
                    replica.last_id, gap = "", True
                    await asyncio.sleep(BEGIN_AGAIN_AFTER_S)
                    break
                replica.last_id = entry_id
        except ServiceUnavailableError as error:
            log.warning("feed stream unavailable", cause=str(error))
            await asyncio.sleep(RETRY_S)
        except Exception:
            log.exception("feed stream failed")
            await asyncio.sleep(RETRY_S)


async def _apply(replica: Replica, patch: Patch, on_patch: OnPatch) -> bool:
    """Apply a patch. False if earlier patches were lost."""
    if patch["v"] <= replica.v:
        return True
    if not replica.follows(patch):
        log.info("feed patches missing", feed=replica.key, at=replica.v, next_after=patch["prev"])
        return False
    if error := (patch.get("meta") or {}).get("error"):
        patch["meta"]["error"] = replica.words(error)
    replica.merge(patch)
    if patch.get("meta"):  # only the last patch of a change has it: the list is complete
        replica.ready.set()
    await on_patch(replica.key, patch)
    return True


async def _begin(bus: Bus, replica: Replica, *, anew: bool) -> None:
    """Load the stored snapshot if it is newer, or if the replica missed patches (``anew``)."""
    raw = await bus.get(f"{replica.key}:snapshot")
    if raw is None:
        replica.last_id = BEGINNING
        return
    stored = msgspec.json.decode(raw, type=Stored)
    replica.last_id = stored.after
    if anew or stored.v > replica.v:
        replica.rows, replica.meta, replica.v, replica.listed = stored.rows, stored.meta, stored.v, None
        replica.ready.set()


async def catch_up(bus: Bus, replica: Replica) -> None:
    """Wait until the replica has the stream's last patch, from which the next poller continues."""
    last_id = await bus.last_id(replica.key)
    if last_id == BEGINNING:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(CAUGHT_UP_WITHIN_S):
            while _place(replica.last_id) < _place(last_id):  # noqa: ASYNC110 - the follower is a task of its own
                await asyncio.sleep(BEGIN_AGAIN_AFTER_S / 10)


def _place(entry_id: str) -> tuple[int, int]:
    """Sort key of an entry in its stream; an empty id comes first."""
    at, _, number = entry_id.partition("-")
    return int(at or 0), int(number or 0)
