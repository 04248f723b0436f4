"""The rows of a template's tabs: config, scripts, packages and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lxc_dashboard import routes, text
from lxc_dashboard.components.code import language_of
from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.services.templates.library.rows import is_text
from lxc_dashboard.services.templates.model import PACKAGE_TIMEOUT_S, SCRIPT_TIMEOUT_S, Bucket, Script, TemplateConfig
from lxc_dashboard.services.templates.summaries import FileSummary
from lxc_dashboard.state.templates.rows import Mark, counted

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
    """In the order of ``text.TEMPLATE_FIELDS``."""
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
    """The file with ``content`` as text, if it is text and not too long."""
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
    """The template and revision that the tabs' links lead to. ``number`` 0: the current one."""

    template_id: str
    number: int = 0

    def tab(self, tab: str, **query: str | int) -> str:
        return routes.template_tab(self.template_id, tab, revision=self.number or "", **query)
