"""Passes over sources, requested by a user, a schedule or a webhook. A source has at most one pass at a time.

A request is a mark with a unique name in Redis (``sync_requests``). The holder of the source's lease reads the mark, makes
the pass, and removes the mark if it is still the same. So a request that arrives during a pass leads to another pass. That
pass only lists refs if nothing changed. The mark is removed when the result is in the source's row. It stays if the pass was
cancelled or overtaken, or if the process or a service died. The schedule then finds it within a minute.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import structlog

from lxc_dashboard.bus import Bus
from lxc_dashboard.db.database import Transaction
from lxc_dashboard.db.models import AuditResult, SourceKind, TemplateSource, now
from lxc_dashboard.db.repositories.sources import GitSecrets
from lxc_dashboard.errors import (
    ConflictError,
    CryptoError,
    DashboardError,
    ErrorCode,
    NotFoundError,
    ServiceUnavailableError,
    SourceError,
    SourceGoneError,
    TemplateError,
)
from lxc_dashboard.messages import Message
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.format.layout import MANIFEST_NAME
from lxc_dashboard.services.templates.model import DiscoveryReport, Refusal
from lxc_dashboard.services.templates.sources import sync
from lxc_dashboard.services.templates.sources.codes import SourceCode
from lxc_dashboard.services.templates.sources.folder import FORMAT, Discovery, discover
from lxc_dashboard.services.templates.sources.git import reader_process
from lxc_dashboard.services.templates.sources.git.address import parse_address
from lxc_dashboard.services.templates.sources.git.reader_process import FILES, GitAnswer, GitRequest, Outcome
from lxc_dashboard.services.templates.sources.sync import sync_folders

log = structlog.get_logger(__name__)

REQUEST_S: Final = 24 * 3600.0
# How long a source stays locked after its process died.
LEASE_S: Final = 60.0
RENEWALS: Final = 3  # renewals within the time of a lease


async def add_request(bus: Bus, source_id: UUID) -> None:
    """Request a pass that begins after this call. Each request gets a unique name."""
    await bus.set(_key(source_id), uuid4().hex.encode(), ttl_s=REQUEST_S)


async def add_request_if_none(bus: Bus, source_id: UUID) -> None:
    await bus.set_new(_key(source_id), uuid4().hex.encode(), ttl_s=REQUEST_S)


async def pending_requests(bus: Bus, source_id: UUID) -> str:
    """The request's name; empty if there is none."""
    name = await bus.get(_key(source_id))
    return "" if name is None else name.decode()


async def complete_request(bus: Bus, source_id: UUID, name: str) -> None:
    """Remove this request; a later one stays."""
    await bus.release_lease(_key(source_id), name)


@asynccontextmanager
async def hold_source(bus: Bus, source_id: UUID, *, lease_s: float = LEASE_S) -> AsyncIterator[bool]:
    """Take the source's lease for the block. Yields False if another process holds it."""
    me = uuid4().hex
    if not await bus.acquire_lease(hold_schedule(source_id), me, lease_s):
        yield False
        return
    renewing = asyncio.create_task(_renew(bus, source_id, me, lease_s), name=f"lease of source {source_id}")
    try:
        yield True
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await bus.release_lease(hold_schedule(source_id), me)


async def _renew(bus: Bus, source_id: UUID, me: str, lease_s: float) -> None:
    while True:
        await asyncio.sleep(lease_s / RENEWALS)
        try:
            if not await bus.renew_lease(hold_schedule(source_id), me, lease_s):
                # Only one of two concurrent passes is stored: see ``sync.store_reading``.
                log.warning("lease of a template source lost", source_id=str(source_id))
                return
        except ServiceUnavailableError as error:
            log.warning("lease of a template source not renewed", source_id=str(source_id), why=str(error))


def hold_schedule(source_id: UUID) -> str:
    return f"template-source:{source_id}:lease"


def _key(source_id: UUID) -> str:
    return f"template-source:{source_id}:wish"


class OvertakenPassError(ConflictError):
    """Another pass stored a result first, or the source was changed. A further pass is needed."""

    default = ErrorCode.SOURCE_BUSY


# The request stays after these temporary errors.
RETRIED_LATER: Final = (OvertakenPassError, ServiceUnavailableError)


def failure_of(error: Exception) -> SourceError:
    """An error for the source's row. The text of an unexpected error is general, since its details belong to the log only."""
    if isinstance(error, CryptoError):
        return SourceError(Message.of(SourceCode.SECRETS_UNREADABLE, reason=error.reason))
    if isinstance(error, DashboardError):
        return SourceError(Message.of(SourceCode.FAILED, reason=error.reason))
    return SourceError(Message.of(SourceCode.UNEXPECTED))


POLL_S: Final = 0.2
SCHEDULE_LEASE_KEY: Final = "template-sources:due"
SCHEDULE_LEASE_S: Final = 120.0
PASSES_AT_ONCE: Final = 2
SCHEDULE: Final = "schedule"
START: Final = "start"
NOBODY: Final = frozenset({SCHEDULE, START})
COMMIT_CHARS: Final = 12


@dataclass(frozen=True, slots=True)
class Requester:
    """The requester of a pass, for the audit. ``userid`` is one of ``NOBODY`` for the schedule and for the start."""

    userid: str = SCHEDULE
    endpoint_name: str = ""
    address: str = ""

    @classmethod
    def of(cls, session: Session) -> Requester:
        return cls(session.userid, session.endpoint_name, session.address)

    async def tell(self, tx: Transaction, report: DiscoveryReport) -> None:
        """Write an audit entry if anything changed or a user requested the pass."""
        detail = {name: list(getattr(report, name)) for name in ("added", "changed", "removed")}
        if any(detail.values()) or self.userid not in NOBODY:
            await tx.audit.append(
                userid=self.userid,
                endpoint_name=self.endpoint_name,
                address=self.address,
                action="source.sync",
                subject=report.source,
                result=AuditResult.OK,
                detail={**detail, "refused": len(report.refused)},
            )


async def sync_source(rt: Runtime, session: Session, source_id: UUID) -> DiscoveryReport:
    """Read a git source or a folder now. If a pass is running, wait for it and read again.

    Raises ``SourceError`` (``SourceGoneError``: its templates were marked missing), ``PrivilegeError``, ``NotFoundError``,
    ``ConflictError`` for a source that has nothing to read from.
    """
    async with rt.db.transaction() as tx:
        source = await tx.sources.get(source_id)
    async with rights.authored(rt, session, "source.sync", source.name):
        return await run(rt, source, Requester.of(session))


async def run(rt: Runtime, source: TemplateSource, requester: Requester) -> DiscoveryReport:
    """``sync_source`` without a privilege check, for commands on the server itself."""
    if source.is_removed:
        raise ConflictError(Message.of(SourceCode.REMOVED, name=source.name))
    if source.kind == SourceKind.GIT.value:
        return await _run_after_request(rt, source, requester)
    folder = dict(rt.settings.template_folders()).get(source.name)
    if source.kind != SourceKind.FOLDER.value or folder is None:
        raise ConflictError(Message.of(SourceCode.STORED_HERE, name=source.name))
    try:
        return await sync.sync_folder(rt.db, source.name, folder, requester.tell)
    except TemplateError as error:
        gone = sync.gone_error(error)
        await sync.store_vanished(rt.db, source.id, gone, requester.tell)
        raise gone from error


async def request_pass(rt: Runtime, source_id: UUID) -> None:
    """Have a worker make a pass soon. Raises ``ServiceUnavailableError``."""
    await add_request(rt.bus, source_id)
    await enqueue(rt, source_id)


async def enqueue(rt: Runtime, source_id: UUID) -> None:
    """Enqueue a pass that was requested. Without it, the schedule finds the request. Raises ``ServiceUnavailableError``."""
    await rt.queue.enqueue("templates.sync", source_id=str(source_id))


async def run_requested(rt: Runtime, source_id: str) -> None:
    """Make the requested passes in a worker, unless another process makes them. Stores errors in the source."""
    await _run_logged(rt, UUID(source_id))


async def sync_due(rt: Runtime) -> None:
    """Run the passes that are due, and those whose process died. Called every minute. Stores errors in the sources."""
    me = uuid4().hex
    if not await rt.bus.acquire_lease(SCHEDULE_LEASE_KEY, me, SCHEDULE_LEASE_S):
        return
    try:
        async with rt.db.transaction() as tx:
            due, every = set(await tx.sources.due(now())), await tx.sources.git_ids()
        gate = asyncio.Semaphore(PASSES_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for source_id in every:
                if source_id in due:
                    await add_request_if_none(rt.bus, source_id)
                elif not await pending_requests(rt.bus, source_id):
                    continue
                group.create_task(_run_logged(rt, source_id, gate))
    finally:
        await rt.bus.release_lease(SCHEDULE_LEASE_KEY, me)


async def find_commit(rt: Runtime, source: TemplateSource, secrets: GitSecrets) -> str:
    """The current commit of the source's ref, from one listing of refs. Raises ``SourceError``."""
    return (await reader_process.read(_request(rt, source, secrets))).commit


def commit_of(source: TemplateSource) -> str:
    """The commit that was read last; empty before the first."""
    return str(source.fingerprints.get("commit", "")) if source.kind == SourceKind.GIT.value else ""


async def _run_logged(rt: Runtime, source_id: UUID, gate: asyncio.Semaphore | None = None) -> None:
    async with gate or asyncio.Semaphore():
        try:
            await _run_pending(rt, source_id, Requester())
        except DashboardError as error:
            log.warning("template source not read", source_id=str(source_id), why=str(error))
        except Exception:
            # An error in one source must not stop the others.
            log.exception("template source not read", source_id=str(source_id))


async def _run_after_request(rt: Runtime, source: TemplateSource, requester: Requester) -> DiscoveryReport:
    """Request a pass and wait for one that began after this call."""
    await add_request(rt.bus, source.id)
    while True:
        report = await _run_pending(rt, source.id, requester)
        if report is not None:
            return report
        if not await pending_requests(rt.bus, source.id):
            return await _result(rt, source.id)
        await asyncio.sleep(POLL_S)


async def _result(rt: Runtime, source_id: UUID) -> DiscoveryReport:
    """The result of a pass that another process made."""
    async with rt.db.transaction() as tx:
        source = await tx.sources.get(source_id)
    if source.error:
        raise SourceError(source.error)
    return DiscoveryReport.from_json(source.name, source.report)


async def _run_pending(rt: Runtime, source_id: UUID, requester: Requester) -> DiscoveryReport | None:
    """Make the requested passes; return the last report. None without a request, or if another process makes the pass."""
    report = None
    while await pending_requests(rt.bus, source_id):
        async with hold_source(rt.bus, source_id) as mine:
            if not mine:
                return report
            request_name = await pending_requests(rt.bus, source_id)
            if request_name:
                report = await _run_request(rt, source_id, request_name, requester)
    return report


async def _run_request(rt: Runtime, source_id: UUID, request_name: str, requester: Requester) -> DiscoveryReport:
    try:
        report = await _pass(rt, source_id, requester)
    except (SourceError, NotFoundError):
        await complete_request(rt.bus, source_id, request_name)
        raise
    except RETRIED_LATER:
        raise
    except Exception as error:
        await sync.store_failure(rt.db, source_id, failure_of(error))
        await complete_request(rt.bus, source_id, request_name)
        raise
    await complete_request(rt.bus, source_id, request_name)
    return report


async def _pass(rt: Runtime, source_id: UUID, requester: Requester) -> DiscoveryReport:
    async with rt.db.transaction() as tx:
        source = await tx.sources.get(source_id)
        if source.is_removed:
            raise NotFoundError(Message.of(SourceCode.REMOVED, name=source.name))
        secrets = tx.sources.secrets(source)
    try:
        async with _folder() as into:
            request = _request(rt, source, secrets, known_commit=_known_commit(source), into=str(into))
            answer = await reader_process.read(request)
            if answer.outcome is Outcome.UNCHANGED:
                return await sync.store_unchanged(rt.db, source_id)
            found = await asyncio.to_thread(_discovered, into, source, answer)
        return await _stored(rt, source, answer, found, requester)
    except SourceGoneError as error:
        await sync.store_vanished(rt.db, source_id, error, requester.tell)
        raise
    except SourceError as error:
        await sync.store_failure(rt.db, source_id, error)
        raise


async def _stored(
    rt: Runtime, source: TemplateSource, answer: GitAnswer, found: Discovery, requester: Requester
) -> DiscoveryReport:
    note = f"Commit {answer.commit[:COMMIT_CHARS]}: {answer.subject or 'no subject'}"
    if answer.author:
        note = f"{note} ({answer.author})"
    fingerprints = {**_mark(source), "commit": answer.commit} if found.complete else {}
    stored = await sync.store_reading(
        rt.db, source, sync.Reading(found, source.location, note, fingerprints), requester.tell
    )
    if stored is None:
        raise OvertakenPassError(detail=source.name)
    return stored


def _discovered(into: Path, source: TemplateSource, answer: GitAnswer) -> Discovery:
    root = into / FILES / parse_address(source.location).name
    try:
        found = discover(root, below=source.subfolder)
    except TemplateError as error:
        raise SourceError(error.reason) from error
    omitted = tuple(Refusal(omission.path, 0, omission.why) for omission in answer.omitted)
    return replace(found, refused=(*found.refused, *omitted))


def _known_commit(source: TemplateSource) -> str:
    marks = dict(source.fingerprints)
    commit = str(marks.pop("commit", ""))
    return commit if marks == _mark(source) else ""


def _mark(source: TemplateSource) -> dict[str, Any]:
    """The settings that determine, together with the commit, which files are read."""
    return {"location": source.location, "ref": source.ref, "subfolder": source.subfolder, "format": FORMAT}


def _request(rt: Runtime, source: TemplateSource, secrets: GitSecrets, **more: str) -> GitRequest:
    return GitRequest(
        source.location,
        ref=source.ref,
        subfolder=source.subfolder,
        from_above=MANIFEST_NAME,
        username=secrets.username,
        password=secrets.password,
        private_key=secrets.private_key,
        host_key=source.host_key,
        allow_local=rt.settings.TEMPLATE_GIT_ALLOW_LOCAL,
        file_root=rt.settings.TEMPLATE_GIT_FILE_ROOT,
        ca_file=rt.settings.SSL_CERT_FILE,
        **more,
    )


@asynccontextmanager
async def _folder() -> AsyncIterator[Path]:
    """A private temporary folder, removed afterwards."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="lxc-dashboard-git-"))
    try:
        yield folder
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))


async def read_again(rt: Runtime, session: Session) -> tuple[DiscoveryReport, ...]:
    """Read all template folders now. An unreadable folder is in its report's ``refused``.

    Raises ``PrivilegeError``, ``ConflictError``.
    """
    folders = rt.settings.template_folders()
    async with rights.authored(rt, session, "source.sync", ", ".join(name for name, _ in folders)):
        return await sync_folders(rt.db, folders, Requester.of(session).tell)
