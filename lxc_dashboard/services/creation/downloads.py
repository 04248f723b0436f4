"""OS templates fetched to a storage while somebody looks on: begun, followed by the task's log, stopped."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from lxc_dashboard.db.models import AuditResult
from lxc_dashboard.errors import (
    DashboardError,
    PrivilegeError,
    ProxmoxError,
    ServiceUnavailableError,
    TaskFailedError,
)
from lxc_dashboard.services.auth import acting

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.schemas import LogLine
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

log = structlog.get_logger(__name__)

ACTION: Final = "ostemplate.download"
# Longer than PVE takes for a large one over a slow line.
REMEMBERED_S: Final = 43_200.0
_PERCENT: Final = re.compile(r"(?<![\d.])(\d{1,3})%")
_INTERRUPTED: Final = "received interrupt"


class FetchState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Order:
    """``template``: the file's name as PVE offers it."""

    node: str
    storage: str
    template: str

    @property
    def volid(self) -> str:
        return f"{self.storage}:vztmpl/{self.template}"


@dataclass(frozen=True, slots=True)
class Begun:
    """An order that PVE works on, as its task ``upid``."""

    order: Order
    upid: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """How far it is: ``percent`` 0 to 100, ``line`` the log's last one, ``cause`` of a failure."""

    state: FetchState
    percent: int = 0
    line: str = ""
    cause: str = ""


Tell = Callable[[Fetch], Awaitable[bool]]


class _LookedAwayError(Exception):
    """Nobody wants to know how it goes on; never leaves ``follow``."""


async def begin(rt: Runtime, session: Session, order: Order) -> str:
    """``POST /nodes/{node}/aplinfo``; the UPID. Audited. Raises what PVE says."""
    client = await acting.client(rt, session)
    try:
        upid = await client.nodes.download_appliance(order.node, order.storage, order.template)
    except DashboardError as error:
        result = AuditResult.REFUSED if isinstance(error, PrivilegeError) else AuditResult.FAILED
        await _audit(rt, session, order, result, {"cause": error.user_message})
        raise
    await _audit(rt, session, order, AuditResult.OK, {"upid": upid})
    return upid


async def follow(rt: Runtime, session: Session, upid: str, tell: Tell) -> Fetch:
    """The task's end; ``tell`` is awaited with how far it is, and says whether to look on. Nobody's looking away stops it.

    Raises ``SessionExpiredError``.
    """
    percent = 0

    async def read(lines: Sequence[LogLine]) -> None:
        nonlocal percent
        texts = [line.t for line in lines]
        percent = max(percent, percent_of(texts))
        if not await tell(Fetch(FetchState.RUNNING, percent, texts[-1])):
            raise _LookedAwayError

    client = await acting.client(rt, session)
    try:
        await client.tasks.wait(upid, on_lines=read, stop_on_cancellation=False)
    except _LookedAwayError:
        return Fetch(FetchState.RUNNING, percent)
    except TaskFailedError as failure:
        if _INTERRUPTED in failure.exitstatus or "interrupted by signal" in failure.exitstatus:
            return Fetch(FetchState.STOPPED, percent)
        return Fetch(FetchState.FAILED, percent, cause=failure.exitstatus)
    except ProxmoxError as fault:
        return Fetch(FetchState.FAILED, percent, cause=fault.user_message)
    return Fetch(FetchState.DONE, 100)


async def stop(rt: Runtime, session: Session, upid: str) -> None:
    """``DELETE /nodes/{node}/tasks/{upid}``: PVE may take 5 s over it. Raises what PVE says."""
    client = await acting.client(rt, session)
    await client.tasks.stop(upid)


async def remember(rt: Runtime, session: Session, tab: str, begun: Begun) -> None:
    """For the tab's next page, wherever it is served: ``remembered`` until ``forget``."""
    try:
        await rt.bus.set(_key(session, tab), msgspec.json.encode(begun), ttl_s=REMEMBERED_S)
    except ServiceUnavailableError as error:
        log.info("download not remembered", why=str(error))


async def remembered(rt: Runtime, session: Session, tab: str) -> Begun | None:
    """What the tab was downloading when it was left. Raises ``ServiceUnavailableError``."""
    kept = await rt.bus.get(_key(session, tab))
    return msgspec.json.decode(kept, type=Begun) if kept else None


async def forget(rt: Runtime, session: Session, tab: str) -> None:
    """Raises ``ServiceUnavailableError``."""
    await rt.bus.delete(_key(session, tab))


def _key(session: Session, tab: str) -> str:
    return f"wizard:download:{session.id}:{hashlib.sha256(tab.encode()).hexdigest()}"


def percent_of(lines: Sequence[str]) -> int:
    """The furthest that a downloader's lines tell, 0 where they tell nothing."""
    found = [int(match) for line in lines for match in _PERCENT.findall(line)]
    return max((percent for percent in found if percent <= 100), default=0)  # noqa: PLR2004 - the whole


async def _audit(rt: Runtime, session: Session, order: Order, result: AuditResult, detail: dict[str, str]) -> None:
    async with rt.db.transaction() as tx:
        await tx.audit.append(
            userid=session.authid,
            endpoint_name=session.endpoint_name,
            action=ACTION,
            subject=f"{order.volid} on {order.node}",
            address=session.address,
            result=result,
            detail=detail,
        )
