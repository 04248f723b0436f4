"""Passes over sources: asked for by a user, by a schedule or by a webhook; at most one over a source at a time.

Who wants a pass leaves a mark with a name of its own in Redis. Whoever holds the source's lease takes what mark there is, makes the
pass, and removes the mark if it is still the same: a wish that came in the middle of a pass leads to another one, which costs a
listing of refs where nothing has changed. The mark is removed where the pass has come to something that stands in the source's row.
Of a pass that was cancelled or overtaken, or died with its process or a service, it stays, and the schedule finds it within a minute.
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

from lxc_dashboard.db.database import Transaction
from lxc_dashboard.db.models import AuditResult, SourceKind, TemplateSource, now
from lxc_dashboard.db.repositories.sources import GitSecrets
from lxc_dashboard.errors import (
    ConflictError,
    CryptoError,
    DashboardError,
    NotFoundError,
    ServiceUnavailableError,
    SourceError,
    SourceGoneError,
    TemplateError,
)
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.format.manifest import MANIFEST_NAME
from lxc_dashboard.services.templates.model import Refusal
from lxc_dashboard.services.templates.sources import sync, sync_requests
from lxc_dashboard.services.templates.sources.fingerprint import FORMAT
from lxc_dashboard.services.templates.sources.folder import Discovery, discover
from lxc_dashboard.services.templates.sources.git import reader_process
from lxc_dashboard.services.templates.sources.git.address import parse_address
from lxc_dashboard.services.templates.sources.git.request import FILES, GitAnswer, GitRequest, Outcome
from lxc_dashboard.services.templates.sources.sync import sync_folders
from lxc_dashboard.services.templates.summaries import DiscoveryReport

UNEXPECTED: Final = "It could not be read: an error that nobody expected, which the log of the dashboard tells"
SECRETS_UNREADABLE: Final = (
    "{why}. Configure the key that they were encrypted with again, or give this source its password or key anew"
)
ANYTHING_ELSE: Final = "{why}. The log of the dashboard tells more"


class OvertakenPassError(ConflictError):
    """What was read is not what is meant by now, or another pass came between: there is still one to be made."""

    default_message = "The templates were read by another process at the same time"


# Of these a wish stays: what stands in the way passes by itself.
STILL_WANTED: Final = (OvertakenPassError, ServiceUnavailableError)


def told(error: Exception) -> str:
    """Nothing of it that only the log may know."""
    if isinstance(error, CryptoError):
        return SECRETS_UNREADABLE.format(why=error.user_message)
    if isinstance(error, DashboardError):
        return ANYTHING_ELSE.format(why=error.user_message)
    return UNEXPECTED


LOOK_AGAIN_S: Final = 0.2
SCHEDULE_LEASE_KEY: Final = "template-sources:due"
SCHEDULE_LEASE_S: Final = 120.0
PASSES_AT_ONCE: Final = 2
SCHEDULE: Final = "schedule"
START: Final = "start"
NOBODY: Final = frozenset({SCHEDULE, START})
COMMIT_CHARS: Final = 12

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose behalf a pass is made; ``userid`` is one of ``NOBODY`` where on nobody's. Changes are audited under it."""

    userid: str = SCHEDULE
    endpoint_name: str = ""
    address: str = ""

    @classmethod
    def of(cls, session: Session) -> Asker:
        return cls(session.userid, session.endpoint_name, session.address)

    async def tell(self, tx: Transaction, report: DiscoveryReport) -> None:
        """An entry of the audit, where anything changed or a person asked."""
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
    """Reads a git source or a folder now; where it is being read, waits for that and looks again.

    Raises ``SourceError`` (``SourceGoneError``: its templates are marked missing now), ``PrivilegeError``, ``NotFoundError``,
    ``ConflictError`` for a source that nothing is read from.
    """
    async with rt.db.transaction() as tx:
        source = await tx.sources.get(source_id)
    async with rights.authored(rt, session, "source.sync", source.name):
        return await run(rt, source, Asker.of(session))


async def run(rt: Runtime, source: TemplateSource, asker: Asker) -> DiscoveryReport:
    """As ``sync_source``, without asking for a right: for the command line on the server itself."""
    if source.is_removed:
        raise ConflictError(f"{source.name} was removed: nothing is read from it any more")
    if source.kind == SourceKind.GIT.value:
        return await _wished(rt, source, asker)
    folder = dict(rt.settings.template_folders()).get(source.name)
    if source.kind != SourceKind.FOLDER.value or folder is None:
        raise ConflictError(f"Nothing is read from {source.name}: its templates are kept in the dashboard itself")
    try:
        return await sync.sync_folder(rt.db, source.name, folder, asker.tell)
    except TemplateError as error:
        why = f"{error.file} {error.message}"
        await sync.store_vanished(rt.db, source.id, why, asker.tell)
        raise SourceGoneError(why) from error


async def wish(rt: Runtime, source_id: UUID) -> None:
    """Has a worker make a pass soon. Raises ``ServiceUnavailableError``."""
    await sync_requests.make(rt.bus, source_id)
    await hand_over(rt, source_id)


async def hand_over(rt: Runtime, source_id: UUID) -> None:
    """A wish that was made to a worker now; without this the schedule finds it. Raises ``ServiceUnavailableError``."""
    await rt.queue.enqueue("templates.sync", source_id=str(source_id))


async def grant(rt: Runtime, source_id: str) -> None:
    """The worker's side of ``wish``: makes the passes that are wished for, unless another does. What fails stands in the source's row."""
    await _quietly(rt, UUID(source_id))


async def sync_due(rt: Runtime) -> None:
    """Every minute: the passes that schedules ask for, and those whose process died. What fails stands in the sources' rows."""
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
                    await sync_requests.make_if_none(rt.bus, source_id)
                elif not await sync_requests.pending(rt.bus, source_id):
                    continue
                group.create_task(_quietly(rt, source_id, gate))
    finally:
        await rt.bus.release_lease(SCHEDULE_LEASE_KEY, me)


async def look(rt: Runtime, source: TemplateSource, secrets: GitSecrets) -> str:
    """The commit of the source's ref, by one listing of refs. Raises ``SourceError``."""
    return (await reader_process.read(_request(rt, source, secrets))).commit


def commit_of(source: TemplateSource) -> str:
    """The commit that was read last, empty before the first."""
    return str(source.fingerprints.get("commit", "")) if source.kind == SourceKind.GIT.value else ""


async def _quietly(rt: Runtime, source_id: UUID, gate: asyncio.Semaphore | None = None) -> None:
    async with gate or asyncio.Semaphore():
        try:
            await _granted(rt, source_id, Asker())
        except DashboardError as error:
            log.warning("template source not read", source_id=str(source_id), why=str(error))
        except Exception:
            # One source hinders no other, whatever it brings.
            log.exception("template source not read", source_id=str(source_id))


async def _wished(rt: Runtime, source: TemplateSource, asker: Asker) -> DiscoveryReport:
    """A pass that began after this call."""
    await sync_requests.make(rt.bus, source.id)
    while True:
        report = await _granted(rt, source.id, asker)
        if report is not None:
            return report
        if not await sync_requests.pending(rt.bus, source.id):
            return await _result(rt, source.id)
        await asyncio.sleep(LOOK_AGAIN_S)


async def _result(rt: Runtime, source_id: UUID) -> DiscoveryReport:
    """What another's pass has come to."""
    async with rt.db.transaction() as tx:
        source = await tx.sources.get(source_id)
    if source.error:
        raise SourceError(source.error)
    return DiscoveryReport.from_json(source.name, source.report)


async def _granted(rt: Runtime, source_id: UUID, asker: Asker) -> DiscoveryReport | None:
    """The last report of the passes that were wished for; None where there was no wish, or another is at it."""
    report = None
    while await sync_requests.pending(rt.bus, source_id):
        async with sync_requests.reading(rt.bus, source_id) as mine:
            if not mine:
                return report
            wish = await sync_requests.pending(rt.bus, source_id)
            if wish:
                report = await _fulfilled(rt, source_id, wish, asker)
    return report


async def _fulfilled(rt: Runtime, source_id: UUID, wish: str, asker: Asker) -> DiscoveryReport:
    try:
        report = await _pass(rt, source_id, asker)
    except (SourceError, NotFoundError):
        await sync_requests.fulfil(rt.bus, source_id, wish)
        raise
    except STILL_WANTED:
        raise
    except Exception as error:
        await sync.store_failure(rt.db, source_id, told(error))
        await sync_requests.fulfil(rt.bus, source_id, wish)
        raise
    await sync_requests.fulfil(rt.bus, source_id, wish)
    return report


async def _pass(rt: Runtime, source_id: UUID, asker: Asker) -> DiscoveryReport:
    async with rt.db.transaction() as tx:
        source = await tx.sources.get(source_id)
        if source.is_removed:
            raise NotFoundError(f"{source.name} was removed: nothing is read from it any more")
        secrets = tx.sources.secrets(source)
    try:
        async with _folder() as into:
            request = _request(rt, source, secrets, known_commit=_known_commit(source), into=str(into))
            answer = await reader_process.read(request)
            if answer.outcome is Outcome.UNCHANGED:
                return await sync.store_unchanged(rt.db, source_id)
            found = await asyncio.to_thread(_discovered, into, source, answer)
        return await _stored(rt, source, answer, found, asker)
    except SourceGoneError as error:
        await sync.store_vanished(rt.db, source_id, error.user_message, asker.tell)
        raise
    except SourceError as error:
        await sync.store_failure(rt.db, source_id, error.user_message)
        raise


async def _stored(
    rt: Runtime, source: TemplateSource, answer: GitAnswer, found: Discovery, asker: Asker
) -> DiscoveryReport:
    note = f"Commit {answer.commit[:COMMIT_CHARS]}: {answer.subject or 'without a word'}"
    if answer.author:
        note = f"{note} ({answer.author})"
    fingerprints = {**_mark(source), "commit": answer.commit} if found.complete else {}
    stored = await sync.store_reading(
        rt.db, source, sync.Reading(found, source.location, note, fingerprints), asker.tell
    )
    if stored is None:
        raise OvertakenPassError(detail=source.name)
    return stored


def _discovered(into: Path, source: TemplateSource, answer: GitAnswer) -> Discovery:
    root = into / FILES / parse_address(source.location).name
    try:
        found = discover(root, below=source.subfolder)
    except TemplateError as error:
        raise SourceError(str(error)) from error
    omitted = tuple(Refusal(omission.path, 0, omission.why) for omission in answer.omitted)
    return replace(found, refused=(*found.refused, *omitted))


def _known_commit(source: TemplateSource) -> str:
    marks = dict(source.fingerprints)
    commit = str(marks.pop("commit", ""))
    return commit if marks == _mark(source) else ""


def _mark(source: TemplateSource) -> dict[str, Any]:
    """What besides the commit decides what is read."""
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
    """A folder of nobody else's, gone afterwards."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="lxc-dashboard-git-"))
    try:
        yield folder
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))


async def read_again(rt: Runtime, session: Session) -> tuple[DiscoveryReport, ...]:
    """A report for each folder; one that cannot be read says so in its ``refused``. Raises ``PrivilegeError``, ``ConflictError``."""
    folders = rt.settings.template_folders()
    async with rights.authored(rt, session, "source.sync", ", ".join(name for name, _ in folders)):
        return await sync_folders(rt.db, folders, Asker.of(session).tell)
