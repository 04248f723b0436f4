"""The signed-in user's privileges, requested from PVE each time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import DashboardError, PrivilegeError
from lxc_dashboard.services.auth import acting

log = structlog.get_logger(__name__)

CONSOLE_PRIVILEGE: Final = "VM.Console"  # PVE requires it for a guest's terminal
ANSWER_WITHIN_S: Final = 2.0  # then the page is shown without the answer

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session


async def held(runtime: Runtime, session: Session, path: str) -> frozenset[str]:
    """The user's privileges at ``path`` (``GET /access/permissions``)."""
    client = await acting.client(runtime, session)
    return await client.access.permissions(path)


async def path_of_any(runtime: Runtime, session: Session, privilege: str, path: str, below: str) -> str:
    """``path`` if the user holds ``privilege`` there, else the first such path below ``below``, else ""."""
    client = await acting.client(runtime, session)
    if privilege in await client.access.permissions(path):
        return path
    names = (await client.access.grants()).below(below, privilege)
    return f"{below}/{names[0]}" if names else ""


async def require(runtime: Runtime, session: Session, path: str, *privileges: str) -> None:
    """Raise ``PrivilegeError`` for the first of ``privileges`` that the user lacks at ``path``.

    ``A|B`` is either, as PVE itself writes it.
    """
    if lacking := _first_lacking(await held(runtime, session, path), privileges):
        raise PrivilegeError(lacking, path)


def _first_lacking(present: Collection[str], privileges: Sequence[str]) -> str:
    return next((one for one in privileges if not any(each in present for each in one.split("|"))), "")


async def missing(runtime: Runtime, session: Session, path: str, *privileges: str) -> str | None:
    """The first of ``privileges`` that the user lacks at ``path``; empty if they hold all.

    None if PVE does not answer within ``ANSWER_WITHIN_S``. PVE checks again when the user acts.
    """
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            present = await held(runtime, session, path)
    except (TimeoutError, DashboardError) as error:
        log.info("privileges unknown", path=path, reason=str(error))
        return None
    return _first_lacking(present, privileges)
