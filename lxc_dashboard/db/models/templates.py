"""Templates, their sources and their immutable revisions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, LargeBinary, UniqueConstraint, Uuid
from sqlmodel import Field

from lxc_dashboard.db.models.base import Table, id_field, json_field, one_of, text_field, time_field


class PackageManager(StrEnum):
    APT = "apt"
    APK = "apk"
    DNF = "dnf"
    NPM = "npm"
    PIP = "pip"
    CUSTOM = "custom"


class SourceKind(StrEnum):
    FOLDER = "folder"
    GIT = "git"
    CUSTOM = "custom"
    IMPORTED = "imported"


class FilePolicy(StrEnum):
    REPLACE = "replace"
    DEFAULT = "default"
    BACKUP = "backup"


def _owned_by(table: str, *, nullable: bool = False) -> Any:
    default: dict[str, Any] = {"default": None} if nullable else {}
    return Field(
        **default, sa_column=Column(Uuid, ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=nullable, index=True)
    )


SOURCE_REMOVED: Final = "removed"


class TemplateSource(Table, table=True):
    """A source of templates.

    ``location``: a folder or a git address. ``ref``: a branch or tag, empty for the default branch. ``every_s``:
    seconds between passes, 0 without a schedule. ``tried_at`` and ``error``: the last pass and its failure.
    ``synced_at``: the last pass without one. ``host_key``: the pinned one of a git server over SSH. ``fingerprints``:
    what the last passes read, or ``{SOURCE_REMOVED: true}``. Encrypted: ``secret_enc`` (JSON ``{username, password}``
    or ``{private_key}``), ``webhook_secret_enc``.
    """

    __tablename__ = "template_source"
    __table_args__ = (
        one_of("kind", SourceKind),
        CheckConstraint("every_s = 0 OR every_s BETWEEN 60 AND 604800", name="every_range"),
    )

    id: UUID = id_field()
    name: str = Field(unique=True, max_length=63)
    kind: str = Field(max_length=16)
    location: str = text_field()
    ref: str = Field(default="", max_length=255)
    subfolder: str = Field(default="", max_length=255)
    secret_enc: str | None = text_field(None, nullable=True)
    webhook_secret_enc: str | None = text_field(None, nullable=True)
    host_key: str = text_field()
    every_s: int = 0
    tried_at: datetime | None = time_field(nullable=True)
    error: str = text_field()
    synced_at: datetime | None = time_field(nullable=True)
    report: dict[str, Any] = json_field()
    fingerprints: dict[str, Any] = json_field()
    created_by: str = Field(default="", max_length=255)
    created_at: datetime = time_field()

    @property
    def is_removed(self) -> bool:
        """Return whether the source was removed. The row stays for templates with containers."""
        return bool(self.fingerprints.get(SOURCE_REMOVED))


class Template(Table, table=True):
    """A template. Its revisions hold the content. ``revision_number`` is the current one."""

    __tablename__ = "template"
    __table_args__ = (
        UniqueConstraint("source_id", "name"),
        CheckConstraint("revision_number >= 1", name="revision_positive"),
    )

    id: UUID = id_field()
    source_id: UUID = _owned_by("template_source")
    name: str = Field(max_length=63)
    description: str = text_field()
    tags: list[str] = json_field(list)
    revision_number: int = 1
    missing_since: datetime | None = time_field(nullable=True)
    created_by: str = Field(default="", max_length=255)
    created_at: datetime = time_field()
    updated_at: datetime = time_field()


class TemplateRevision(Table, table=True):
    """An immutable revision.

    ``config`` is ``services.templates.model.TemplateConfig`` as JSON, ``checksum`` a SHA-256 over the whole content.
    """

    __tablename__ = "template_revision"
    __table_args__ = (UniqueConstraint("template_id", "number"), CheckConstraint("number >= 1", name="number_positive"))

    id: UUID = id_field()
    template_id: UUID = _owned_by("template")
    number: int
    config: dict[str, Any] = json_field()
    warnings: list[Any] = json_field(list)
    checksum: str = Field(max_length=64)
    author: str = Field(default="", max_length=255)
    note: str = text_field()
    created_at: datetime = time_field()


class TemplateScript(Table, table=True):
    """A script of a revision. ``position`` is its order, from 0."""

    __tablename__ = "template_script"
    __table_args__ = (
        UniqueConstraint("revision_id", "name"),
        UniqueConstraint("revision_id", "position"),
        CheckConstraint("timeout_s BETWEEN 1 AND 86400", name="timeout_range"),
    )

    id: UUID = id_field()
    revision_id: UUID = _owned_by("template_revision")
    position: int
    name: str = Field(max_length=255)
    description: str = text_field()
    content: str = text_field()
    timeout_s: int = 1800
    enabled: bool = True
    optional: bool = False


class TemplateFile(Table, table=True):
    """A file of a revision. ``target_dir`` is its directory in the guest. An empty ``owner`` is the directory's."""

    __tablename__ = "template_file"
    __table_args__ = (
        UniqueConstraint("revision_id", "name"),
        one_of("policy", FilePolicy),
        CheckConstraint("mode BETWEEN 0 AND 4095", name="mode_range"),
    )

    id: UUID = id_field()
    revision_id: UUID = _owned_by("template_revision")
    name: str = Field(max_length=255)
    target_dir: str = text_field()
    policy: str = Field(max_length=16)
    mode: int = 0o644
    owner: str = Field(default="", max_length=64)
    sha256: str = Field(max_length=64)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class PackageBucket(Table, table=True):
    """A named list of packages for one manager. A bucket without ``revision_id`` is shared.

    A revision holds a copy of a shared bucket's packages, with its ``shared_id``. ``listing`` is the text of a shared
    bucket as its author wrote it, with comments.
    """

    __tablename__ = "package_bucket"
    __table_args__ = (
        one_of("manager", PackageManager),
        Index(
            "uq_package_bucket_name",
            "revision_id",
            "name",
            "manager",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: UUID = id_field()
    revision_id: UUID | None = _owned_by("template_revision", nullable=True)
    shared_id: UUID | None = Field(
        default=None,
        sa_column=Column(Uuid, ForeignKey("package_bucket.id", ondelete="SET NULL"), nullable=True, index=True),
    )
    name: str = Field(max_length=63)
    manager: str = Field(max_length=16)
    listing: str = text_field()
    created_by: str = Field(default="", max_length=255)
    updated_by: str = Field(default="", max_length=255)
    created_at: datetime = time_field()
    updated_at: datetime = time_field()


class Package(Table, table=True):
    """A package of a bucket, ``spec`` in the manager's notation.

    Custom packages have ``check_command`` and ``install_command``.
    """

    __tablename__ = "package"
    __table_args__ = (
        UniqueConstraint("bucket_id", "spec"),
        UniqueConstraint("bucket_id", "position"),
        CheckConstraint("timeout_s BETWEEN 1 AND 86400", name="timeout_range"),
    )

    id: UUID = id_field()
    bucket_id: UUID = _owned_by("package_bucket")
    position: int
    spec: str = Field(max_length=255)
    check_command: str = text_field()
    install_command: str = text_field()
    timeout_s: int = 300


class TemplateDraft(Table, table=True):
    """An unsaved template of one user. Without ``template_id`` it is a new template.

    ``base_number`` and ``base_name``: of the revision at the draft's start. ``copy_of``: the copied template, which may
    no longer exist. ``content`` is JSON and names files by SHA-256. A ``userid`` is unique only at its endpoint.
    """

    __tablename__ = "template_draft"
    __table_args__ = (UniqueConstraint("endpoint_id", "userid", "template_id"),)

    id: UUID = id_field()
    template_id: UUID | None = _owned_by("template", nullable=True)
    endpoint_id: UUID = _owned_by("proxmox_node")
    userid: str = Field(max_length=255)
    copy_of: UUID | None = Field(default=None, sa_column=Column(Uuid, nullable=True))
    base_number: int = 0
    base_name: str = Field(default="", max_length=63)
    content: dict[str, Any] = json_field()
    created_at: datetime = time_field()
    updated_at: datetime = time_field()


class TemplateDraftFile(Table, table=True):
    """The content of a file in a draft."""

    __tablename__ = "template_draft_file"

    draft_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("template_draft.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    sha256: str = Field(max_length=64, primary_key=True)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
