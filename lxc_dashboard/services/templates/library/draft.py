"""The content of a draft: a template's content that names its files by SHA-256."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    PackageEntry,
    Script,
    TemplateConfig,
    TemplateContent,
    script_order,
)

STEP: Final = 10
LAST_TWO_DIGITS: Final = 99

_PREFIX = re.compile(r"([0-9]+)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DraftFile:
    """A file without its content. ``sha256`` refers to the content; ``size`` in bytes."""

    name: str
    target_dir: str
    policy: FilePolicy
    mode: int
    owner: str
    sha256: str
    size: int

    @classmethod
    def of(cls, file: FileEntry) -> DraftFile:
        size = len(file.content)
        return cls(file.name, file.target_dir, file.policy, file.mode, file.owner, file.sha256, size)


@dataclass(frozen=True, slots=True)
class DraftContent:
    """Like ``TemplateContent``, but possibly invalid.

    A bucket with ``shared_id`` refers to a shared one; a save takes its packages from there.
    """

    name: str
    config: TemplateConfig
    scripts: tuple[Script, ...] = ()
    files: tuple[DraftFile, ...] = ()
    buckets: tuple[Bucket, ...] = ()

    @classmethod
    def of(cls, content: TemplateContent) -> DraftContent:
        files = tuple(map(DraftFile.of, content.files))
        return cls(content.name, content.config, content.scripts, files, content.buckets)

    def to_json(self) -> dict[str, Any]:
        """JSON that ``from_json`` reads back."""
        return {
            "name": self.name,
            "config": self.config.to_json(),
            "scripts": [asdict(script) for script in self.scripts],
            "files": [{**asdict(file), "policy": file.policy.value} for file in self.files],
            "buckets": [
                {
                    "name": bucket.name,
                    "manager": bucket.manager.value,
                    "packages": [asdict(package) for package in bucket.packages],
                    "shared_id": str(bucket.shared_id) if bucket.shared_id else None,
                }
                for bucket in self.buckets
            ],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> DraftContent:
        return cls(
            name=stored["name"],
            config=TemplateConfig.from_json(stored["config"]),
            scripts=tuple(Script(**script) for script in stored["scripts"]),
            files=tuple(DraftFile(**{**file, "policy": FilePolicy(file["policy"])}) for file in stored["files"]),
            buckets=tuple(
                Bucket(
                    name=bucket["name"],
                    manager=PackageManager(bucket["manager"]),
                    packages=tuple(PackageEntry(**package) for package in bucket["packages"]),
                    shared_id=UUID(bucket["shared_id"]) if bucket["shared_id"] else None,
                )
                for bucket in stored["buckets"]
            ),
        )


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A revision that was saved after the draft was begun. ``changes``: one message for each change since the draft's base."""

    number: int
    author: str
    at: datetime
    changes: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A user's draft. ``template_id`` None: of a new template; ``copy_of``: the template that it copies.

    ``base_number``: the revision that it was begun from, 0: none. ``updated_at`` equals ``created_at`` until the first store.
    ``saved``: the content that it was begun from; None for a copy after its first store.
    """

    id: UUID
    template_id: UUID | None
    base_number: int
    content: DraftContent
    updated_at: datetime
    overtaken: Overtaken | None
    created_at: datetime
    copy_of: UUID | None = None
    saved: DraftContent | None = None


@dataclass(frozen=True, slots=True)
class DraftSummary:
    """A draft in a list. ``overtaken``: its template has a newer revision than the draft's base.

    ``touched``: it was stored at least once.
    """

    id: UUID
    template_id: UUID | None
    name: str
    base_number: int
    overtaken: bool
    updated_at: datetime
    touched: bool


def moved(scripts: Sequence[Script], name: str, to: int) -> tuple[Script, ...]:
    """Move the script ``name`` to place ``to`` (from 0). Names get new numeric prefixes where the order needs them.

    Changes as few prefixes as possible. Raises ``KeyError`` if there is no such script.
    """
    if name not in {script.name for script in scripts}:
        raise KeyError(name)
    order = [script for script in scripts if script.name != name]
    order.insert(to, next(script for script in scripts if script.name == name))
    if not is_ordered(order):
        order = _numbered(order, min(to, len(order) - 1))
    return tuple(replace(script, position=position) for position, script in enumerate(order))


def is_ordered(scripts: Sequence[Script]) -> bool:
    """Whether the scripts are sorted by name, which is the order of their run."""
    return all(script_order(one.name) < script_order(other.name) for one, other in pairwise(scripts))


def _numbered(order: Sequence[Script], at: int) -> list[Script]:
    """Number the script at place ``at`` between its neighbours, and raise the numbers after it where necessary."""
    last_numbered = max([at, *(place for place, script in enumerate(order) if _number(script) is not None)])
    named: list[Script] = []
    for place, script in enumerate(order):
        before = _number(named[-1]) if named else None
        least = 0 if before is None else before + 1
        if place == at:
            following = next((n for later in order[at + 1 :] if (n := _number(later)) is not None), None)
            named.append(_renamed(script, _between(least, following)))
        elif place <= last_numbered and (_number(script) is None or (named and not is_ordered([named[-1], script]))):
            named.append(_renamed(script, least))
        else:
            named.append(script)
    return named


def _number(script: Script) -> int | None:
    prefixed = _PREFIX.fullmatch(script.name)
    return int(prefixed.group(1)) if prefixed else None


def _between(least: int, following: int | None) -> int:
    if following is None:
        return least + STEP - 1 if least and least + STEP - 1 <= LAST_TWO_DIGITS else least
    return max(least, (least + following) // 2) if following > least else least


def _renamed(script: Script, number: int) -> Script:
    prefixed = _PREFIX.fullmatch(script.name)
    rest = prefixed.group(2) if prefixed else f"-{script.name}"
    return replace(script, name=f"{number:02d}{rest}")
