"""What a template is: frozen, and the same whether it was read from a folder or from the database."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any
from uuid import UUID

from lxc_dashboard.db.models import FilePolicy, PackageManager

SCRIPT_TIMEOUT_S = 1800
PACKAGE_TIMEOUT_S = 300
MAX_TIMEOUT_S = 86_400

_PREFIX = re.compile(r"[0-9]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,62}")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not wrong enough to refuse the template. ``file`` as in ``TemplateError``; ``line`` 0: the whole.

    ``code`` names the check that found it (``checks.py``), empty: the reader of the format.
    """

    file: str
    line: int
    message: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What cannot be used, and why. ``file`` and ``line`` as in ``TemplateError``; ``name`` is the template's."""

    file: str
    line: int
    why: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class TemplateConfig:
    """The container that a template asks for. Empty text means that the wizard asks for it.

    ``tags``: in their order, each once; ``os``, ``version``: as in the names of OS templates (``debian``, ``13``).
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
        """JSON of the same keys; ``from_json`` reads it back."""
        return {**asdict(self), "tags": list(self.tags)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TemplateConfig:
        """Keys that an older or newer version wrote are left at their default, or out."""
        known = {field.name for field in fields(cls)}
        kept = {name: value for name, value in values.items() if name in known}
        return cls(**{**kept, "tags": tuple(kept.get("tags", ()))})


@dataclass(frozen=True, slots=True)
class Script:
    """``position`` is the place in the run, from 0. A failing script ends the run, unless it is ``optional``."""

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
    """``spec`` as the manager writes it. A custom package has a name there, and two commands: installed where ``check`` fails."""

    spec: str
    check: str = ""
    install: str = ""
    timeout_s: int = PACKAGE_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Bucket:
    """A named list of packages of one manager; name and manager together tell it from others of its template.

    ``shared_id``: the shared bucket that these packages were taken from.
    """

    name: str
    manager: PackageManager
    packages: tuple[PackageEntry, ...] = ()
    shared_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a template was read: its ``template.conf`` and its ``container-configs``, relative to the source's root."""

    conf: str
    configs: str


@dataclass(frozen=True, slots=True)
class TemplateContent:
    """All that a template holds: scripts in the order of their run, files and buckets by name. ``origin`` is for messages."""

    name: str
    config: TemplateConfig
    scripts: tuple[Script, ...] = ()
    files: tuple[FileEntry, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    warnings: tuple[Finding, ...] = ()
    origin: Origin | None = field(default=None, compare=False)

    def checksum(self) -> str:
        """Hex SHA-256 over all but the name and the warnings: equal exactly when the same container comes out."""
        content = {
            "config": _said(self.config),
            "scripts": [_said(script) for script in self.scripts],
            "files": [_file_said(file) for file in sorted(self.files, key=lambda f: (f.name, f.target_dir))],
            "buckets": [
                {
                    "name": bucket.name,
                    "manager": bucket.manager,
                    "packages": [_said(entry) for entry in bucket.packages],
                }
                for bucket in sorted(self.buckets, key=lambda b: (b.name, b.manager))
            ],
        }
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


def is_template_name(name: str) -> bool:
    """What a template, and the folder that holds it, may be called: 1 to 63 letters, digits and ``.`` ``_`` ``-``."""
    return _NAME.fullmatch(name) is not None


def script_order(name: str) -> tuple[bool, int, bytes]:
    """Sort key of script names: by numeric prefix, then by name in the C locale; those without a prefix last."""
    prefix = _PREFIX.match(name)
    return (prefix is None, int(prefix.group()) if prefix else 0, name.encode("utf-8", "surrogateescape"))


def _said(part: Any) -> dict[str, Any]:
    """What differs from the default: a field that a later version adds leaves the checksums of today alone."""
    values = ((known.name, getattr(part, known.name), known.default) for known in fields(part))
    return {name: value for name, value, default in values if value != default}


def _file_said(file: FileEntry) -> dict[str, Any]:
    return {**_said(replace(file, content=b"")), "content": file.sha256}
