"""The content of a template: frozen, and the same whether a folder or the database holds it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from lxc_dashboard.db.models import FilePolicy, PackageManager, SourceKind
from lxc_dashboard.messages import Message

SCRIPT_TIMEOUT_S = 1800
PACKAGE_TIMEOUT_S = 300
MAX_TIMEOUT_S = 86_400

_PREFIX = re.compile(r"[0-9]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,62}")


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that does not make the template invalid. ``file`` as in ``TemplateError``; ``line`` 0: the whole file.

    ``code`` names the check that found it (``format/checks.py``); empty: the reader of the format.
    """

    file: str
    line: int
    message: Message
    code: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON that a revision stores; ``from_json`` reads it back."""
        return {"file": self.file, "line": self.line, "message": self.message.to_json(), "code": self.code}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Finding:
        return cls(**{**stored, "message": Message.from_json(stored["message"])})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file or template that is refused, and why. ``file`` and ``line`` as in ``TemplateError``; ``name``: the template's."""

    file: str
    line: int
    why: Message
    name: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON that ``from_json`` reads back."""
        return {"file": self.file, "line": self.line, "why": self.why.to_json(), "name": self.name}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Refusal:
        return cls(**{**stored, "why": Message.from_json(stored["why"])})


@dataclass(frozen=True, slots=True)
class TemplateConfig:
    """The container that a template describes. Empty text: the user chooses in the wizard.

    ``tags``: ordered and unique; ``os``, ``version``: as in the names of OS templates (``debian``, ``13``).
    ``network``: its scripts may need the network.
    """

    app: str
    tags: tuple[str, ...] = ()
    description: str = ""
    config_path: str = ""
    cpu: int = 1
    ram_mib: int = 512
    disk_gib: int = 8
    swap_mib: int = 512
    os: str = ""
    version: str = ""
    storage: str = ""
    bridge: str = ""
    unprivileged: bool = True
    nesting: bool = False
    keyctl: bool = False
    fuse: bool = False
    network: bool = True

    def to_json(self) -> dict[str, Any]:
        """JSON with the same keys; ``from_json`` reads it back."""
        return {**asdict(self), "tags": list(self.tags)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TemplateConfig:
        """Ignore unknown keys and use defaults for missing ones, as an older or newer version may have written it."""
        known = {field.name for field in fields(cls)}
        kept = {name: value for name, value in values.items() if name in known}
        return cls(**{**kept, "tags": tuple(kept.get("tags", ()))})


@dataclass(frozen=True, slots=True)
class Script:
    """``position``: the place in the run, from 0. A failing script fails the job, unless it is ``optional``."""

    name: str
    content: str
    position: int
    description: str = ""
    timeout_s: int = SCRIPT_TIMEOUT_S
    enabled: bool = True
    optional: bool = False


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file for the guest. ``owner`` empty: the owner of ``target_dir``."""

    name: str
    target_dir: str
    policy: FilePolicy
    content: bytes
    mode: int = 0o644
    owner: str = ""

    @property
    def target(self) -> str:
        """The file's absolute path in the guest."""
        return f"{self.target_dir.rstrip('/')}/{self.name}"

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class PackageEntry:
    """``spec`` in the manager's syntax. A custom package has a name and two commands: it is installed if ``check`` fails."""

    spec: str
    check: str = ""
    install: str = ""
    timeout_s: int = PACKAGE_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Bucket:
    """A named list of packages of one manager, unique in its template by name and manager.

    ``shared_id``: the shared bucket that the packages come from.
    """

    name: str
    manager: PackageManager
    packages: tuple[PackageEntry, ...] = ()
    shared_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The paths of a template's ``template.conf`` and ``container-configs``, relative to the source's root."""

    conf: str
    configs: str


@dataclass(frozen=True, slots=True)
class TemplateContent:
    """A whole template: scripts in the order of their run, files and buckets by name. ``origin`` is for messages."""

    name: str
    config: TemplateConfig
    scripts: tuple[Script, ...] = ()
    files: tuple[FileEntry, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    warnings: tuple[Finding, ...] = ()
    origin: Origin | None = field(default=None, compare=False)

    def checksum(self) -> str:
        """Hex SHA-256 over all but the name and the warnings: equal if and only if the containers would be the same."""
        content = {
            "config": _non_defaults(self.config),
            "scripts": [_non_defaults(script) for script in self.scripts],
            "files": [_file_values(file) for file in sorted(self.files, key=lambda f: (f.name, f.target_dir))],
            "buckets": [
                {
                    "name": bucket.name,
                    "manager": bucket.manager,
                    "packages": [_non_defaults(entry) for entry in bucket.packages],
                }
                for bucket in sorted(self.buckets, key=lambda b: (b.name, b.manager))
            ],
        }
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


def is_template_name(name: str) -> bool:
    """Whether ``name`` is valid for a template and its folder: 1 to 63 letters, digits and ``.`` ``_`` ``-``."""
    return _NAME.fullmatch(name) is not None


def script_order(name: str) -> tuple[bool, int, bytes]:
    """Sort key of script names: by numeric prefix, then by name in the C locale; names without a prefix last."""
    prefix = _PREFIX.match(name)
    return (prefix is None, int(prefix.group()) if prefix else 0, name.encode("utf-8", "surrogateescape"))


def _non_defaults(part: Any) -> dict[str, Any]:
    """The fields that differ from their defaults, so that a new field does not change existing checksums."""
    values = ((known.name, getattr(part, known.name), known.default) for known in fields(part))
    return {name: value for name, value, default in values if value != default}


def _file_values(file: FileEntry) -> dict[str, Any]:
    return {**_non_defaults(replace(file, content=b"")), "content": file.sha256}


@dataclass(frozen=True, slots=True)
class DiscoveryReport:
    """The result of one pass over ``source``: names of templates. ``added``: new or found again; ``removed``: missing now."""

    source: str
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON that ``from_json`` reads back."""
        return {
            "added": list(self.added),
            "changed": list(self.changed),
            "removed": list(self.removed),
            "refused": [refusal.to_json() for refusal in self.refused],
        }

    @classmethod
    def from_json(cls, source: str, stored: Mapping[str, Any]) -> DiscoveryReport:
        return cls(
            source,
            added=tuple(stored.get("added", ())),
            changed=tuple(stored.get("changed", ())),
            removed=tuple(stored.get("removed", ())),
            refused=tuple(Refusal.from_json(refusal) for refusal in stored.get("refused", ())),
        )


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """A source and its last pass; ``synced_at`` is None before the first."""

    id: UUID
    name: str
    kind: SourceKind
    location: str
    synced_at: datetime | None
    report: DiscoveryReport


@dataclass(frozen=True, slots=True)
class TemplateSummary:
    """A template in a list, with its current revision. ``refusal``: why the source's newest state was not read."""

    id: UUID
    name: str
    description: str
    config: TemplateConfig
    source_name: str
    source_kind: SourceKind
    revision_id: UUID
    revision_number: int
    scripts: int
    files: int
    packages: int
    warnings: int
    missing_since: datetime | None
    updated_at: datetime
    refusal: Refusal | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        return self.config.tags


@dataclass(frozen=True, slots=True)
class RevisionSummary:
    """``unchanged``: the save changed nothing, and this is the existing revision."""

    id: UUID
    number: int
    author: str
    note: str
    created_at: datetime
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class FileSummary:
    """A file of a revision; ``size`` in bytes. ``is_text`` depends on its first kilobytes only."""

    name: str
    target: str
    policy: FilePolicy
    mode: int
    owner: str
    sha256: str
    size: int
    is_text: bool = True


@dataclass(frozen=True, slots=True)
class TemplateDetail:
    """A template with one revision, and the list of all revisions, newest first."""

    summary: TemplateSummary
    scripts: tuple[Script, ...]
    files: tuple[FileSummary, ...]
    buckets: tuple[Bucket, ...]
    warnings: tuple[Finding, ...]
    revisions: tuple[RevisionSummary, ...]


@dataclass(frozen=True, slots=True)
class RevisionContent:
    """One revision with its content, as a creation job uses it."""

    id: UUID
    template_id: UUID
    number: int
    author: str
    note: str
    created_at: datetime
    content: TemplateContent
