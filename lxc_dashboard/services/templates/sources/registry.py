"""Lists all sources, and adds, changes and removes git sources."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from lxc_dashboard.db.database import Transaction
from lxc_dashboard.db.models import SOURCE_REMOVED, SourceKind, TemplateSource, now
from lxc_dashboard.db.repositories.sources import GitSecrets, SourceRows
from lxc_dashboard.errors import (
    ConflictError,
    GuestError,
    HostKeyError,
    InvalidInputError,
    RateLimitedError,
    SourceError,
)
from lxc_dashboard.guest.keys import fingerprint_of_pin, private_key_of
from lxc_dashboard.messages import Message
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.model import DiscoveryReport
from lxc_dashboard.services.templates.sources import passes
from lxc_dashboard.services.templates.sources.codes import SourceCode
from lxc_dashboard.services.templates.sources.git import network
from lxc_dashboard.services.templates.sources.git.address import GitAddress, check_ref, check_subfolder, parse_address

__all__ = [
    "GitSecrets",
    "OfferedKey",
    "Removal",
    "SourceInput",
    "SourceView",
    "add_git",
    "list_sources",
    "offered_host_key",
    "remove",
    "ssh_server",
    "update",
]

T = TypeVar("T")

SHORTEST_EVERY_S: Final = 60
LONGEST_EVERY_S: Final = 7 * 24 * 3600
MAX_SECRET_CHARS: Final = 4096
MAX_KEY_CHARS: Final = 32_768
MAX_HOST_KEY_CHARS: Final = 4096
WEBHOOK_SECRET_CHARS: Final = (16, 256)
RESERVED_NAMES: Final = frozenset({"shipped", "templates-dir", "custom", "imported"})

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,62}")


@dataclass(frozen=True, slots=True)
class SourceInput:
    """A git source as the user entered it. ``every_s``: seconds between passes; 0: on request only.

    ``host_key``: the SSH server's key that the user confirmed; empty: the pinned key. ``secrets``, ``webhook_secret``: None
    keeps the stored value, empty deletes it.
    """

    name: str
    location: str
    ref: str = ""
    subfolder: str = ""
    every_s: int = 0
    host_key: str = ""
    secrets: GitSecrets | None = None
    webhook_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class KnownSource:
    """The stored source before a change."""

    location: str
    host_key: str
    secrets: GitSecrets


@dataclass(frozen=True, slots=True)
class CheckedSource:
    """A valid source, ready to be stored."""

    name: str
    address: GitAddress
    ref: str
    subfolder: str
    every_s: int
    host_key: str
    secrets: GitSecrets
    webhook_secret: str | None = field(default=None, repr=False)


def check_source(source_input: SourceInput, known: KnownSource | None = None) -> CheckedSource:
    """Validate all fields.

    Raises ``InvalidInputError`` with fields of ``SourceInput``, or ``username``, ``password``, ``private_key``.
    """
    faults: dict[str, Message] = {}
    address = _caught(faults, lambda: parse_address(source_input.location))
    ref = _caught(faults, lambda: check_ref(source_input.ref))
    subfolder = _caught(faults, lambda: check_subfolder(source_input.subfolder))
    name = source_input.name.strip()
    if not _NAME.fullmatch(name):
        faults["name"] = Message.of(SourceCode.NAME)
    elif name in RESERVED_NAMES:
        faults["name"] = Message.of(SourceCode.NAME_RESERVED)
    if source_input.every_s and not SHORTEST_EVERY_S <= source_input.every_s <= LONGEST_EVERY_S:
        faults["every_s"] = Message.of(SourceCode.INTERVAL)
    _check_webhook_secret(source_input.webhook_secret, faults)
    if address is None or ref is None or subfolder is None:
        raise InvalidInputError(faults)
    secrets = _secrets(source_input, known, address, faults)
    host_key = _host_key(source_input, known, address, faults)
    if faults:
        raise InvalidInputError(faults)
    return CheckedSource(
        name, address, ref, subfolder, source_input.every_s, host_key, secrets, source_input.webhook_secret
    )


def _caught(faults: dict[str, Message], check: Callable[[], T]) -> T | None:
    try:
        return check()
    except InvalidInputError as error:
        faults.update(error.reasons)
        return None


def _check_webhook_secret(secret: str | None, faults: dict[str, Message]) -> None:
    least, most = WEBHOOK_SECRET_CHARS
    if secret and not (least <= len(secret) <= most and secret.isascii() and secret.isprintable()):
        faults["webhook_secret"] = Message.of(SourceCode.WEBHOOK_SECRET, least=least, most=most)


def _secrets(
    source_input: SourceInput, known: KnownSource | None, address: GitAddress, faults: dict[str, Message]
) -> GitSecrets:
    """The secrets to store: only those that the address's scheme uses."""
    secrets = source_input.secrets
    if secrets is None:
        secrets = known.secrets if known else GitSecrets()
        if known and not secrets.is_empty and not parse_address(known.location).is_same_repository(address):
            which = "private_key" if address.scheme == "ssh" else "password"
            faults[which] = Message.of(SourceCode.SECRET_AGAIN)
    if address.scheme == "ssh":
        _check_key(secrets.private_key, faults)
        return GitSecrets(private_key=secrets.private_key)
    if address.scheme == "https":
        _check_password(secrets, faults)
        return GitSecrets(secrets.username, secrets.password)
    return GitSecrets()


def _check_key(key: str, faults: dict[str, Message]) -> None:
    if not key:
        faults.setdefault("private_key", Message.of(SourceCode.KEY_MISSING))
        return
    if len(key) > MAX_KEY_CHARS:
        faults["private_key"] = Message.of(SourceCode.TOO_LONG, most=f"{MAX_KEY_CHARS:,}")
        return
    try:
        private_key_of(key)
    except GuestError:
        faults["private_key"] = Message.of(SourceCode.KEY_UNREADABLE)


def _check_password(secrets: GitSecrets, faults: dict[str, Message]) -> None:
    for name, value in (("username", secrets.username), ("password", secrets.password)):
        if len(value) > MAX_SECRET_CHARS or not value.isprintable():
            faults[name] = Message.of(SourceCode.NOT_ONE_LINE, most=f"{MAX_SECRET_CHARS:,}")
    if ":" in secrets.username:
        faults["username"] = Message.of(SourceCode.COLON)
    if secrets.username and not secrets.password:
        faults.setdefault("password", Message.of(SourceCode.PASSWORD_MISSING))


def _host_key(
    source_input: SourceInput, known: KnownSource | None, address: GitAddress, faults: dict[str, Message]
) -> str:
    """The key to pin, one line; empty unless the scheme is SSH."""
    if address.scheme != "ssh":
        return ""
    same = known is not None and parse_address(known.location).server == address.server
    host_key = source_input.host_key.strip()
    if len(host_key) > MAX_HOST_KEY_CHARS:
        faults["host_key"] = Message.of(SourceCode.TOO_LONG, most=f"{MAX_HOST_KEY_CHARS:,}")
        return ""
    key = host_key.partition("\n")[0].strip() or (known.host_key if known and same else "")
    try:
        fingerprint_of_pin(key or "none")
    except HostKeyError:
        faults["host_key"] = Message.of(SourceCode.HOST_KEY_UNCONFIRMED)
    return key


LOOKS: Final = 20
LOOKS_WINDOW_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source without its secrets. ``tried_at``: the last pass; ``synced_at``: the last pass that stored something.

    ``error``: why the last pass failed. ``removed``: kept only for its templates. ``opened_with``: ``password``, ``key`` or
    empty. ``host_key``: a fingerprint.
    """

    id: UUID
    name: str
    kind: SourceKind
    location: str
    ref: str
    subfolder: str
    every_s: int
    commit: str
    opened_with: str
    host_key: str
    takes_webhooks: bool
    tried_at: datetime | None
    synced_at: datetime | None
    error: str
    report: DiscoveryReport
    templates: int
    missing: int
    created_by: str
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """``kept``: templates that containers were built from. The source stays while it has any, but without credentials."""

    deleted: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


async def list_sources(rt: Runtime, session: Session) -> list[SourceView]:
    """All sources by name. Raises ``SessionExpiredError``."""
    rights.require_session(session)
    async with rt.db.transaction() as tx:
        return [_view(rows) for rows in await tx.sources.list()]


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """The host key of an SSH server. ``server`` as from ``ssh_server``; ``key`` like ``ssh-ed25519 AAAA...``."""

    server: str
    key: str
    fingerprint: str


def ssh_server(location: str) -> str:
    """``host:port`` if ``location`` uses SSH, else empty. Raises ``InvalidInputError`` (``location``)."""
    address = parse_address(location)
    return f"{address.host}:{address.port}" if address.scheme == "ssh" else ""


async def offered_host_key(rt: Runtime, session: Session, location: str) -> OfferedKey:
    """Ask an SSH server for its host key, for the user to confirm once.

    Raises ``InvalidInputError`` (``location``), ``PrivilegeError``, ``RateLimitedError``.
    """
    await rights.require_author(rt, session)
    address = parse_address(location)
    if address.scheme != "ssh":
        raise InvalidInputError({"location": Message.of(SourceCode.NOT_SSH)})
    await _limit(rt, session)
    allow_local = rt.settings.TEMPLATE_GIT_ALLOW_LOCAL
    try:
        found = await asyncio.to_thread(network.resolve, address.host, address.port, allow_local=allow_local)
    except SourceError as error:
        raise InvalidInputError({"location": error.reason}) from error
    for checked in found:
        with suppress(GuestError):  # another address may answer
            key = await rt.ssh.host_key(checked, address.port)
            return OfferedKey(ssh_server(location), key, fingerprint_of_pin(key))
    raise InvalidInputError({"location": Message.of(SourceCode.SSH_SILENT, server=ssh_server(location))})


async def add_git(rt: Runtime, session: Session, source_input: SourceInput) -> UUID:
    """Test the address and credentials, and store the source. Reads no templates yet.

    Raises ``InvalidInputError`` as ``check_source``, and with ``location`` if the repository cannot be read,
    ``ConflictError`` for a taken name, ``PrivilegeError``, ``RateLimitedError``.
    """
    async with rights.authored(rt, session, "source.add", source_input.name[:63]):
        checked = check_source(source_input)
        source = TemplateSource(name=checked.name, kind=SourceKind.GIT.value, created_by=session.userid)
        _write(source, checked)
        await _try(rt, session, source, checked)
        async with rt.db.transaction() as tx:
            tx.sources.seal(source, checked.secrets)
            tx.sources.seal_webhook(source, checked.webhook_secret or "")
            await tx.sources.add(source)
            await rights.audit(tx, session, "source.add", source.name, detail=_audited(source))
        return source.id


async def update(rt: Runtime, session: Session, source_id: UUID, source_input: SourceInput) -> None:
    """Change a source. Stored credentials are sent only to the address that they were entered for.

    Raises as ``add_git``, and ``ConflictError`` for a removed source.
    """
    async with rights.authored(rt, session, "source.change", source_input.name[:63]):
        async with rt.db.transaction() as tx:
            source = await _changeable(tx, source_id)
            # New secrets replace the stored ones, which may be unreadable.
            stored = tx.sources.secrets(source) if source_input.secrets is None else GitSecrets()
            known = KnownSource(source.location, source.host_key, stored)
        checked = check_source(source_input, known)
        _write(source, checked)
        await _try(rt, session, source, checked)
        async with rt.db.transaction() as tx:
            source = await tx.templates.lock_source(source_id)
            _refuse_removed(source)
            if source_input.secrets is not None:
                tx.sources.seal(source, checked.secrets)
            elif source.location != known.location:
                # Another request stored secrets for another address.
                raise ConflictError(Message.of(SourceCode.ANOTHER_ADDRESS, name=source.name))
            source.name = checked.name
            _write(source, checked)
            if checked.webhook_secret is not None:
                tx.sources.seal_webhook(source, checked.webhook_secret)
            await rights.audit(tx, session, "source.change", source.name, detail=_audited(source))


async def remove(rt: Runtime, session: Session, source_id: UUID, *, name: str) -> Removal:
    """Delete the source, its credentials and its templates, except templates of containers and jobs.

    If templates are kept, the source stays for them under another name and is no longer read. A second removal deletes it
    when nothing refers to them. ``name``: the source's name, typed to confirm. Raises ``InvalidInputError`` (``name``),
    ``NotFoundError``, ``ConflictError`` for a source other than git, ``PrivilegeError``.
    """
    async with rights.authored(rt, session, "source.remove", str(source_id)), rt.db.transaction() as tx:
        source = await _git(tx, source_id)
        await tx.templates.lock_source(source_id)
        if name != source.name:
            raise InvalidInputError({"name": Message.of(SourceCode.NAME_UNCONFIRMED, name=source.name)})
        deleted, kept = await tx.sources.remove_unused(source_id)
        if kept:
            await _retire(tx, source, session.userid)
        else:
            await tx.sources.delete(source_id)
        detail = {"deleted": list(deleted), "kept": list(kept)}
        await rights.audit(tx, session, "source.remove", name, detail=detail)
        return Removal(tuple(deleted), tuple(kept))


async def _retire(tx: Transaction, source: TemplateSource, userid: str) -> None:
    tx.sources.seal(source, GitSecrets())
    tx.sources.seal_webhook(source, "")
    # SOURCE_REMOVED also makes a running pass store nothing.
    source.every_s, source.fingerprints = 0, {SOURCE_REMOVED: True}
    source.name = await tx.sources.name_once_removed(source.name)
    source.error = SourceError(Message.of(SourceCode.RETIRED, userid=userid)).user_message
    for template, _ in await tx.templates.of_source(source.id):
        template.missing_since = template.missing_since or now()


async def _changeable(tx: Transaction, source_id: UUID) -> TemplateSource:
    source = await _git(tx, source_id)
    _refuse_removed(source)
    return source


def _refuse_removed(source: TemplateSource) -> None:
    if source.is_removed:
        raise ConflictError(Message.of(SourceCode.UNCHANGEABLE, name=source.name))


async def _git(tx: Transaction, source_id: UUID) -> TemplateSource:
    source = await tx.sources.get(source_id)
    if source.kind != SourceKind.GIT.value:
        raise ConflictError(Message.of(SourceCode.NOT_GIT, name=source.name))
    return source


async def _try(rt: Runtime, session: Session, source: TemplateSource, checked: CheckedSource) -> None:
    await _limit(rt, session)
    try:
        await passes.find_commit(rt, source, checked.secrets)
    except SourceError as error:
        raise InvalidInputError({"location": error.reason}) from error


async def _limit(rt: Runtime, session: Session) -> None:
    """Limit the connections, so that no user can scan for servers. Raises ``RateLimitedError``."""
    wait_s = await rt.bus.hit(f"template-source:looks:{session.endpoint_id}:{session.userid}", LOOKS, LOOKS_WINDOW_S)
    if wait_s:
        raise RateLimitedError(wait_s)


def _write(source: TemplateSource, checked: CheckedSource) -> None:
    source.location, source.ref, source.subfolder = checked.address.text, checked.ref, checked.subfolder
    source.every_s, source.host_key = checked.every_s, checked.host_key


def _audited(source: TemplateSource) -> dict[str, object]:
    return {"location": source.location, "ref": source.ref, "subfolder": source.subfolder, "every_s": source.every_s}


def _view(rows: SourceRows) -> SourceView:
    source = rows.source
    kind_of_secret = "key" if source.host_key else "password"
    return SourceView(
        id=source.id,
        name=source.name,
        kind=SourceKind(source.kind),
        location=source.location,
        ref=source.ref,
        subfolder=source.subfolder,
        every_s=source.every_s,
        commit=passes.commit_of(source),
        opened_with=kind_of_secret if source.secret_enc else "",
        host_key=fingerprint_of_pin(source.host_key) if source.host_key else "",
        takes_webhooks=source.webhook_secret_enc is not None,
        tried_at=source.tried_at,
        synced_at=source.synced_at,
        error=source.error,
        report=DiscoveryReport.from_json(source.name, source.report),
        templates=rows.templates,
        missing=rows.missing,
        created_by=source.created_by,
        removed=source.is_removed,
    )
