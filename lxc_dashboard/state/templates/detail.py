"""The tabs of one template, and the containers that were built from it.

The address holds the tab, the revision and the chosen item.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components.code import language_of
from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.services.templates.library import authoring, catalog
from lxc_dashboard.services.templates.library.catalog import BuiltContainer
from lxc_dashboard.services.templates.library.drafts import OWN_KINDS
from lxc_dashboard.services.templates.library.revisions import is_text
from lxc_dashboard.services.templates.model import (
    PACKAGE_TIMEOUT_S,
    SCRIPT_TIMEOUT_S,
    Bucket,
    FileSummary,
    Script,
    TemplateConfig,
    TemplateDetail,
)
from lxc_dashboard.state import base
from lxc_dashboard.state.base import PageState, id_in, notify, requires, runtime, session, uuid_of
from lxc_dashboard.state.templates.rows import Mark, Refused, counted, finding_row, row_of

# Browsers cannot draw longer texts; the download is complete.
SHOWN_BYTES: Final = 512 * 1024


@dataclass(frozen=True)
class ConfigRow:
    """A field of the config with its unit and its meaning in PVE."""

    name: str
    label: str
    value: str
    unit: str
    meaning: str
    tone: str = ""


@dataclass(frozen=True)
class ScriptRow:
    number: int
    name: str
    about: str
    marks: list[Mark]
    href: str


@dataclass(frozen=True)
class PackageRow:
    spec: str
    check: str
    install: str
    timeout: str


@dataclass(frozen=True)
class BucketRow:
    """``listing``: the text of its package list."""

    name: str
    manager: str
    shared: bool
    custom: bool
    counted: str
    packages: list[PackageRow]
    listing: str


@dataclass(frozen=True)
class FileRow:
    name: str
    target: str
    policy: str
    policy_note: str
    mode: str
    owner: str
    size: int
    kind: str
    href: str


@dataclass(frozen=True)
class Shown:
    """The chosen script or file. ``key`` identifies the text; ``note`` replaces a text that cannot be shown."""

    name: str = ""
    key: str = ""
    body: str = ""
    language: str = ""
    note: str = ""
    sha256: str = ""
    download_href: str = ""


def config_rows(config: TemplateConfig) -> list[ConfigRow]:
    """The rows of a config, in the order of ``text.TEMPLATE_FIELDS``."""
    values = {
        "app": config.app,
        "description": config.description,
        "tags": ", ".join(config.tags),
        "os": f"{config.os} {config.version}".strip(),
        "cpu": str(config.cpu),
        "ram_mib": f"{config.ram_mib:,}",
        "swap_mib": f"{config.swap_mib:,}",
        "disk_gib": f"{config.disk_gib:,}",
        "storage": config.storage,
        "bridge": config.bridge,
        "unprivileged": _yes_or_no(config.unprivileged),
        "nesting": _yes_or_no(config.nesting),
        "keyctl": _yes_or_no(config.keyctl),
        "fuse": _yes_or_no(config.fuse),
        "network": _yes_or_no(config.network),
    }
    return [
        ConfigRow(
            name=name,
            label=label,
            value=values[name] or text.CONFIG_ASKED,
            unit=unit.removesuffix("s") if values[name] == "1" else unit if values[name] else "",
            meaning=meaning,
            tone="warm" if name == "unprivileged" and not config.unprivileged else "",
        )
        for name, (label, unit, meaning) in text.TEMPLATE_FIELDS.items()
    ]


def _yes_or_no(value: bool) -> str:
    return text.YES if value else text.NO


def script_rows(scripts: tuple[Script, ...], place: Place) -> list[ScriptRow]:
    return [
        ScriptRow(
            number=number,
            name=script.name,
            about=script.description,
            marks=_script_marks(script),
            href=place.tab("scripts", item=script.name),
        )
        for number, script in enumerate(scripts, 1)
    ]


def _script_marks(script: Script) -> list[Mark]:
    marks = [] if script.enabled else [Mark(text.SCRIPT_OFF, "warm", text.SCRIPT_OFF_NOTE)]
    if script.optional:
        marks.append(Mark(text.SCRIPT_OPTIONAL, "plain", text.SCRIPT_OPTIONAL_NOTE))
    if script.timeout_s != SCRIPT_TIMEOUT_S:
        marks.append(Mark(text.SCRIPT_TIMEOUT.format(seconds=f"{script.timeout_s:,}")))
    return marks


def bucket_rows(buckets: tuple[Bucket, ...]) -> list[BucketRow]:
    return [
        BucketRow(
            name=bucket.name,
            manager=bucket.manager.value,
            shared=bucket.shared_id is not None,
            custom=bucket.manager is PackageManager.CUSTOM,
            counted=counted(len(bucket.packages), "package"),
            packages=[
                PackageRow(p.spec, p.check, p.install, text.SECONDS.format(seconds=f"{p.timeout_s:,}"))
                for p in bucket.packages
            ],
            listing=_listing(bucket),
        )
        for bucket in buckets
    ]


def _listing(bucket: Bucket) -> str:
    lines = []
    for package in bucket.packages:
        parts = [package.spec, package.check, package.install] if package.check else [package.spec]
        parts += [f"timeout_s={package.timeout_s}"] if package.timeout_s != PACKAGE_TIMEOUT_S else []
        lines.append("|".join(parts))
    return "".join(f"{line}\n" for line in lines)


def file_rows(files: tuple[FileSummary, ...], place: Place) -> list[FileRow]:
    return [
        FileRow(
            name=file.name,
            target=file.target,
            policy=file.policy.value,
            policy_note=text.POLICY_NOTES[file.policy.value],
            mode=f"{file.mode:04o}",
            owner=file.owner or text.OWNER_OF_FOLDER,
            size=file.size,
            kind=text.KIND_TEXT if file.is_text else text.KIND_BINARY,
            href=place.tab("files", item=file.name),
        )
        for file in files
    ]


def shown_script(script: Script, revision_id: str) -> Shown:
    return Shown(
        name=script.name,
        key=f"{revision_id}/{script.name}",
        body=script.content,
        language="shell",
        download_href=routes.template_script(revision_id, script.name),
    )


def shown_file(file: FileSummary, content: bytes, revision_id: str) -> Shown:
    """The file, with ``content`` as text if it is text and not too long."""
    shown = Shown(
        name=file.target,
        key=f"{revision_id}/{file.name}",
        language=language_of(file.name),
        sha256=file.sha256,
        download_href=routes.template_file(revision_id, file.name),
    )
    if not is_text(content):
        note, body = text.BINARY_FILE.format(size=counted(len(content), "byte")), ""
    elif len(content) > SHOWN_BYTES:
        note, body = text.LONG_FILE.format(size=counted(len(content), "byte")), ""
    else:
        note, body = "", content.decode()
    return Shown(**{**vars(shown), "note": note, "body": body})


@dataclass(frozen=True)
class Place:
    """The template and revision of the tabs' links. ``number`` 0: the current revision."""

    template_id: str
    number: int = 0

    def tab(self, tab: str, **query: str | int) -> str:
        return routes.template_tab(self.template_id, tab, revision=self.number or "", **query)


MAX_NUMBER_DIGITS: Final = 9
# Marks that are explained above the tabs.
TROUBLES: Final = frozenset({text.REFUSED_MARK, text.MISSING_MARK, text.DELETED_MARK})


@dataclass(frozen=True)
class Tab:
    """``count`` is empty if the tab is no list."""

    name: str
    label: str
    count: str
    href: str


@dataclass(frozen=True)
class Address:
    """The parsed address of the page. ``number`` None: the current revision."""

    template_id: UUID
    tab: str
    item: str
    number: int | None

    @classmethod
    def of(cls, path: str, query: Mapping[str, Any]) -> Address:
        """Parse an address. Raises ``NotFoundError`` if it has no template's id."""
        template_id = uuid_of(id_in(path, query, "template_id"), text.NO_SUCH_TEMPLATE)
        tab = str(query.get("tab", ""))
        return cls(
            template_id,
            tab if tab in text.TEMPLATE_TABS else next(iter(text.TEMPLATE_TABS)),
            str(query.get("item", "")),
            number_of(query.get("revision", "")),
        )


def number_of(value: Any) -> int | None:
    """Parse a revision's number in an address; None if it is invalid."""
    given = str(value)
    fits = given.isascii() and given.isdigit() and len(given) <= MAX_NUMBER_DIGITS
    return int(given) if fits and int(given) else None


class TemplateState(PageState, rx.State):
    """``number``: the shown revision; ``current``: the current one. ``owned``: the template is edited in the dashboard."""

    template_id: str = ""
    revision_id: str = ""
    name: str = ""
    description: str = ""
    source: str = ""
    owned: bool = False
    deleted: bool = False
    number: int = 0
    current: int = 0
    marks: list[Mark] = []
    tags: list[str] = []
    troubles: list[str] = []
    create_href: str = ""
    edit_href: str = ""
    delete_title: str = ""
    delete_ask: str = ""
    current_href: str = ""
    compare_href: str = ""
    tab: str = ""
    tabs: list[Tab] = []
    config: list[ConfigRow] = []
    findings: list[Refused] = []
    scripts: list[ScriptRow] = []
    buckets: list[BucketRow] = []
    files: list[FileRow] = []
    shown: Shown = Shown()
    _place: Place = Place("")

    @requires()
    async def load(self) -> AsyncIterator[Any]:
        """Show the template, tab and item of the address. For another template, show the page's outline first."""
        async with self._filling():
            address = Address.of(str(self.router.url.path), self.router.url.query_parameters)
            if str(address.template_id) != self.template_id:
                self.phase, self.name = base.LOADING, ""
                yield
            detail = await catalog.get_template(session(), runtime().db, address.template_id, address.number)
            self._fill(detail, address)
            await self._choose(detail, address)
            self.tab = address.tab
            self._show()

    @requires()
    async def delete(self, typed: str) -> AsyncIterator[Any]:
        """Delete the template if ``typed`` is its name. The service checks the privilege."""
        deleted = await authoring.delete(
            runtime(), session(), uuid_of(self.template_id, text.NO_SUCH_TEMPLATE), name=typed
        )
        yield notify((text.DELETED_KEPT if deleted.kept else text.DELETED_TEMPLATE).format(name=deleted.name))
        yield rx.redirect(routes.TEMPLATES)

    def _fill(self, detail: TemplateDetail, address: Address) -> None:
        summary = detail.summary
        row = row_of(summary)
        self.template_id, self.revision_id = row.id, str(summary.revision_id)
        self.name, self.description, self.source = row.name, summary.description, row.source
        self.owned = summary.source_kind in OWN_KINDS
        self.deleted = self.owned and summary.missing_since is not None
        self.create_href = "" if self.deleted else row.create_href
        self.edit_href = routes.edit_template(row.id) if self.owned else routes.new_template(row.id)
        self.delete_title = text.DELETE_TEMPLATE_TITLE.format(name=row.name)
        self.delete_ask = text.DELETE_TEMPLATE_ASK.format(name=row.name)
        self.number, self.current = summary.revision_number, max(revision.number for revision in detail.revisions)
        self.marks, self.tags = row.marks, row.tags
        self.troubles = [mark.detail for mark in row.marks if mark.word in TROUBLES]
        self._fill_links(detail, address)
        self._fill_parts(detail)

    def _fill_links(self, detail: TemplateDetail, address: Address) -> None:
        self._place = Place(self.template_id, 0 if self.number == self.current else self.number)
        counts = {
            "scripts": len(detail.scripts),
            "packages": sum(len(bucket.packages) for bucket in detail.buckets),
            "files": len(detail.files),
            "revisions": len(detail.revisions),
        }
        self.tabs = [
            Tab(name, label, str(counts[name]) if name in counts else "", self._place.tab(name))
            for name, label in text.TEMPLATE_TABS.items()
        ]
        now = Place(self.template_id)
        self.current_href = now.tab(address.tab)
        self.compare_href = now.tab("revisions", old=self.number, new=self.current)

    def _fill_parts(self, detail: TemplateDetail) -> None:
        self.config = config_rows(detail.summary.config)
        self.findings = [finding_row(finding) for finding in detail.warnings]
        self.scripts = script_rows(detail.scripts, self._place)
        self.buckets = bucket_rows(detail.buckets)
        self.files = file_rows(detail.files, self._place)

    async def _choose(self, detail: TemplateDetail, address: Address) -> None:
        """Show the script or file in the address, or the first one."""
        self.shown = Shown()
        if address.tab == "scripts" and detail.scripts:
            script = next((script for script in detail.scripts if script.name == address.item), detail.scripts[0])
            self.shown = shown_script(script, self.revision_id)
        elif address.tab == "files" and detail.files:
            file = next((file for file in detail.files if file.name == address.item), detail.files[0])
            entry = await catalog.get_file(
                session(), runtime().db, uuid_of(self.revision_id, text.NO_SUCH_TEMPLATE), file.name
            )
            self.shown = shown_file(file, entry.content, self.revision_id)


DOTS: Final = frozenset({"running", "stopped"})


@dataclass(frozen=True)
class BuiltRow:
    """A container. ``change_href``: the changes since its revision; empty if it is current. ``renamed``: its former name."""

    vmid: int
    name: str
    href: str
    node: str
    dot: str
    status: str
    revision: str
    older: bool
    created_at: str
    change_href: str
    renamed: str


class TemplateContainersState(PageState, rx.State):
    """``unseen``: text with the number of containers that PVE does not list for this user."""

    rows: list[BuiltRow] = []
    summary: str = ""
    unseen: str = ""

    @requires()
    async def load(self) -> None:
        """Fill the tab if it is open."""
        query = self.router.url.query_parameters
        if str(query.get("tab", "")) != "containers":
            return
        async with self._filling():
            template_id = Address.of(str(self.router.url.path), query).template_id
            found = await catalog.containers(runtime(), session(), template_id)
            counts = await catalog.counts(session(), runtime().db)
            current = (await self.get_state(TemplateState)).current
            self.rows = [built_row(container, template_id, current) for container in found]
            self.summary = _summary(found) if found else ""
            unseen = counts.get(template_id, 0) - len(found)
            self.unseen = text.BUILT_UNSEEN.format(count=unseen) if unseen > 0 else ""
            self._show(empty=not found and unseen <= 0)


def built_row(container: BuiltContainer, template_id: UUID, current: int) -> BuiltRow:
    number = container.revision_number
    return BuiltRow(
        vmid=container.vmid,
        name=container.hostname,
        href=f"{routes.CONTAINERS}?q={container.vmid}",
        node=container.node,
        dot=container.status if container.status in DOTS else "unknown",
        status=container.status,
        revision=f"r{number}",
        older=container.older,
        created_at=container.created_at.isoformat(),
        change_href=routes.template_tab(template_id, "revisions", old=number, new=current) if container.older else "",
        renamed=text.BUILT_AS.format(name=container.built_as) if container.built_as else "",
    )


def _summary(found: list[BuiltContainer]) -> str:
    older = sum(container.older for container in found)
    if not older:
        return text.BUILT_ALL_CURRENT
    return text.BUILT_OLDER_ONE if older == 1 else text.BUILT_OLDER.format(count=older)
