"""Merges a newer revision of another user ("theirs") into a draft ("mine")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from lxc_dashboard.db.models import now
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.library.diff import Side
from lxc_dashboard.services.templates.library.draft import DraftContent, DraftFile
from lxc_dashboard.services.templates.library.drafts import owner_of
from lxc_dashboard.services.templates.library.revisions import load_side
from lxc_dashboard.services.templates.model import Bucket, Script, TemplateConfig, script_order

# The name determines the position, and the hash determines the size.
_NO_CHANGE: Final = frozenset({"position", "size"})

Part = TypeVar("Part", Script, DraftFile, Bucket, TemplateConfig)
Item = TypeVar("Item", Script, DraftFile, Bucket)


@dataclass(frozen=True, slots=True)
class Merged:
    """``kept``: paths that both changed differently, with mine in use: ``config.cpu``, ``scripts.10-a.sh``, ``files.motd``."""

    content: DraftContent
    kept: tuple[str, ...] = ()


def merge(base: DraftContent, theirs: DraftContent, mine: DraftContent) -> Merged:
    """``mine`` with the changes from ``base`` to ``theirs``, field by field. Pure."""
    kept: list[str] = []
    config = _fields(base.config, theirs.config, mine.config, "config", kept)
    scripts = _items(base.scripts, theirs.scripts, mine.scripts, _named("scripts"), kept)
    files = _items(base.files, theirs.files, mine.files, _named("files"), kept)
    buckets = _items(base.buckets, theirs.buckets, mine.buckets, _bucket_name, kept)
    content = DraftContent(
        name=theirs.name if mine.name == base.name else mine.name,
        config=config,
        scripts=_placed(scripts),
        files=tuple(sorted(files, key=lambda file: file.name)),
        buckets=tuple(sorted(buckets, key=lambda bucket: (bucket.name, bucket.manager))),
    )
    return Merged(content, tuple(kept))


def _named(part: str) -> Callable[[Any], str]:
    return lambda item: f"{part}.{item.name}"


def _bucket_name(bucket: Bucket) -> str:
    return f"packages.{bucket.name}.{bucket.manager}"


def _items(
    base: Sequence[Item],
    theirs: Sequence[Item],
    mine: Sequence[Item],
    name_of: Callable[[Any], str],
    kept: list[str],
) -> list[Item]:
    """Merge lists by name. If an invalid draft has a name twice, the second item does not change."""
    before, other = _by_name(base, name_of), _by_name(theirs, name_of)
    found: list[Item] = []
    seen: set[str] = set()
    for item in mine:
        name = name_of(item)
        merged = item if name in seen else _one(before.get(name), other.get(name), item, name, kept)
        seen.add(name)
        found.extend([merged] if merged is not None else [])
    for name, item in other.items():
        if name in seen:
            continue
        if name not in before:
            found.append(item)
        elif not _same(before[name], item):
            kept.append(name)  # removed in mine, changed in theirs
    return found


def _one(before: Item | None, other: Item | None, item: Item, name: str, kept: list[str]) -> Item | None:
    """The merged item; None if it is removed in theirs and unchanged in mine."""
    if other is None:
        if before is None:
            return item
        if _same(before, item):
            return None
        kept.append(name)
        return item
    if before is None:
        if not _same(other, item):
            kept.append(name)
        return item
    if isinstance(item, Bucket):
        return _whole(before, other, item, name, kept)
    return _fields(before, other, item, name, kept)


def _whole(before: Item, other: Item, item: Item, name: str, kept: list[str]) -> Item:
    if _same(before, item):
        return other
    if not _same(before, other) and not _same(other, item):
        kept.append(name)
    return item


def _fields(before: Part, other: Part, item: Part, name: str, kept: list[str]) -> Part:
    taken: dict[str, Any] = {}
    for known in fields(item):
        old, new, own = (getattr(side, known.name) for side in (before, other, item))
        if known.name in _NO_CHANGE or new in (old, own):
            continue
        if own == old:
            taken[known.name] = new
        else:
            kept.append(f"{name}.{known.name}")
    if "sha256" in taken and isinstance(other, DraftFile):
        taken["size"] = other.size
    return replace(item, **taken)


def _same(one: Any, other: Any) -> bool:
    return all(
        getattr(one, known.name) == getattr(other, known.name) for known in fields(one) if known.name not in _NO_CHANGE
    )


def _by_name(items: Iterable[Item], name_of: Callable[[Any], str]) -> Mapping[str, Item]:
    return {name_of(item): item for item in items}


def _placed(scripts: Iterable[Script]) -> tuple[Script, ...]:
    ordered = sorted(scripts, key=lambda script: script_order(script.name))
    return tuple(replace(script, position=position) for position, script in enumerate(ordered))


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The draft now contains revision ``number``. ``kept`` as in ``Merged``."""

    number: int
    author: str
    kept: tuple[str, ...]
    updated_at: datetime


async def take_over(rt: Runtime, session: Session, draft_id: UUID, *, seen: int) -> TakenOver:
    """Merge the changes of revision ``seen`` into the draft, and make this revision the draft's base.

    If both changed a field, the draft's value stays. Raises ``NotFoundError`` for a draft of a new template, ``PrivilegeError``.
    """
    async with rights.authored(rt, session, "template.draft", f"draft {draft_id}"), rt.db.transaction() as tx:
        row = await tx.drafts.get(owner_of(session), draft_id, lock=True)
        if row.template_id is None:
            raise NotFoundError
        before = await tx.templates.numbered(row.template_id, row.base_number)
        revision = await tx.templates.numbered(row.template_id, seen)
        template = (await tx.templates.get(row.template_id)).template
        base, theirs = await load_side(tx, before), await load_side(tx, revision)
        mine = DraftContent.from_json(row.content)
        merged = merge(_content(row.base_name, base), _content(template.name, theirs), mine)
        await tx.drafts.copy_files(row.id, revision.id)
        row.content, row.base_number, row.base_name = merged.content.to_json(), revision.number, template.name
        row.updated_at = max(now(), row.updated_at + timedelta(microseconds=1))
        return TakenOver(revision.number, revision.author, merged.kept, row.updated_at)


def _content(name: str, side: Side) -> DraftContent:
    files = tuple(each.file for each in side.files)
    return DraftContent(name, side.config, tuple(side.scripts), files, tuple(side.buckets))
