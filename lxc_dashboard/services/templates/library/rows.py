"""Converts between a template's domain models and its rows."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from lxc_dashboard.db.models import (
    FilePolicy,
    Package,
    PackageBucket,
    PackageManager,
    TemplateFile,
    TemplateRevision,
    TemplateScript,
)
from lxc_dashboard.db.repositories.templates import FileRow, RevisionRows, TemplateRows
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    Finding,
    PackageEntry,
    Script,
    TemplateConfig,
    TemplateContent,
)
from lxc_dashboard.services.templates.summaries import FileSummary


def revision_rows(template_id: UUID, number: int, content: TemplateContent, *, author: str, note: str) -> RevisionRows:
    """The rows of a new revision, with ids."""
    revision = TemplateRevision(
        template_id=template_id,
        number=number,
        config=content.config.to_json(),
        warnings=warnings_json(content.warnings),
        checksum=content.checksum(),
        author=author,
        note=note,
    )
    return RevisionRows(
        revision,
        scripts=[TemplateScript(revision_id=revision.id, **_fields(script)) for script in content.scripts],
        files=[TemplateFile(revision_id=revision.id, sha256=file.sha256, **_fields(file)) for file in content.files],
        buckets=[_bucket_rows(revision.id, bucket) for bucket in content.buckets],
    )


def warnings_json(warnings: Sequence[Finding]) -> list[Any]:
    return [warning.to_json() for warning in warnings]


def read_warnings(revision: TemplateRevision) -> tuple[Finding, ...]:
    return tuple(Finding.from_json(warning) for warning in revision.warnings)


def read_config(revision: TemplateRevision) -> TemplateConfig:
    return TemplateConfig.from_json(revision.config)


def read_scripts(rows: Sequence[TemplateScript]) -> tuple[Script, ...]:
    """The scripts in the order of ``rows``, which is the order of the run."""
    return tuple(
        Script(
            name=row.name,
            content=row.content,
            position=row.position,
            description=row.description,
            timeout_s=row.timeout_s,
            enabled=row.enabled,
            optional=row.optional,
        )
        for row in rows
    )


def read_file(row: TemplateFile) -> FileEntry:
    return FileEntry(
        name=row.name,
        target_dir=row.target_dir,
        policy=FilePolicy(row.policy),
        content=row.content,
        mode=row.mode,
        owner=row.owner,
    )


def read_files(rows: Sequence[TemplateFile]) -> tuple[FileEntry, ...]:
    """The files by name."""
    return tuple(sorted(map(read_file, rows), key=lambda file: file.name))


def read_file_list(rows: Sequence[FileRow]) -> tuple[FileSummary, ...]:
    """The files by name, without contents."""
    found = [
        FileSummary(
            name=row.name,
            target=f"{row.target_dir.rstrip('/')}/{row.name}",
            policy=FilePolicy(row.policy),
            mode=row.mode,
            owner=row.owner,
            sha256=row.sha256,
            size=row.size,
            is_text=is_text(row.head, whole=len(row.head) == row.size),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda file: file.name))


def is_text(content: bytes, *, whole: bool = True) -> bool:
    """Whether the content can be shown: UTF-8 without NUL. If not ``whole``, the last character may be cut."""
    try:
        return "\0" not in codecs.getincrementaldecoder("utf-8")().decode(content, final=whole)
    except UnicodeDecodeError:
        return False


def read_buckets(rows: Sequence[tuple[PackageBucket, Sequence[Package]]]) -> tuple[Bucket, ...]:
    """The buckets by name and manager."""
    found = [
        Bucket(
            bucket.name,
            PackageManager(bucket.manager),
            read_packages(packages),
            bucket.shared_id,
        )
        for bucket, packages in rows
    ]
    return tuple(sorted(found, key=lambda bucket: (bucket.name, bucket.manager)))


def read_packages(rows: Sequence[Package]) -> tuple[PackageEntry, ...]:
    """The packages in the order of ``rows``."""
    return tuple(PackageEntry(p.spec, p.check_command, p.install_command, p.timeout_s) for p in rows)


def _fields(part: Script | FileEntry) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part.__dataclass_fields__}


def _bucket_rows(revision_id: UUID, bucket: Bucket) -> tuple[PackageBucket, list[Package]]:
    row = PackageBucket(
        revision_id=revision_id, shared_id=bucket.shared_id, name=bucket.name, manager=bucket.manager.value
    )
    return row, package_rows(row.id, bucket.packages)


def package_rows(bucket_id: UUID, packages: Sequence[PackageEntry]) -> list[Package]:
    """The rows of a bucket's packages, in their order."""
    return [
        Package(
            bucket_id=bucket_id,
            position=position,
            spec=package.spec,
            check_command=package.check,
            install_command=package.install,
            timeout_s=package.timeout_s,
        )
        for position, package in enumerate(packages)
    ]


def label(rows: TemplateRows) -> str:
    """The template's name for the audit."""
    return f"{rows.source.name}/{rows.template.name}"
