"""The content of a draft: a template's content that names its files by SHA-256."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any, Final, TypeVar
from uuid import UUID

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.db.models.base import storable
from lxc_dashboard.errors import InvalidInputError, RuleError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format import files, packages
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.conf import check_config
from lxc_dashboard.services.templates.format.content import (
    MAX_BUCKETS,
    MAX_SCRIPTS,
    check_description,
    check_script_name,
    parse_script,
)
from lxc_dashboard.services.templates.format.tree import MAX_TEMPLATE_BYTES
from lxc_dashboard.services.templates.library.codes import LibraryCode
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    Finding,
    PackageEntry,
    Script,
    TemplateConfig,
    TemplateContent,
    is_template_name,
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


_Value = TypeVar("_Value")

MAX_MODE: Final = 0o7777


def check_name(name: str) -> None:
    """Raises ``InvalidInputError`` (``name``) for an invalid template name."""
    if not is_template_name(name):
        raise InvalidInputError({"name": Message.of(LibraryCode.NAME_INVALID)})


def check_storable(content: DraftContent) -> None:
    """Check that a draft, valid or not, can be stored. Raises ``InvalidInputError`` above limits, or for invalid text."""
    parts: Iterable[tuple[str, Script | DraftFile | Bucket | TemplateConfig]] = (
        ("config", content.config),
        *((f"scripts.{script.name}.content", script) for script in content.scripts),
        *((f"files.{file.name}.name", file) for file in content.files),
        *((f"packages.{bucket.name}.{bucket.manager}", bucket) for bucket in content.buckets),
    )
    stored = ((field, json.dumps(asdict(part), default=str)) for field, part in parts)
    wrong = {field: Message.of(LibraryCode.NO_TEXT) for field, text in stored if not _is_storable(text)}
    if storable(content.name) != content.name:
        wrong["name"] = Message.of(LibraryCode.NO_TEXT)
    if len(content.scripts) > MAX_SCRIPTS:
        wrong["scripts"] = Message.of(LibraryCode.TOO_MANY_SCRIPTS, most=MAX_SCRIPTS)
    if len(content.files) > files.MAX_FILES:
        wrong["files"] = Message.of(LibraryCode.TOO_MANY_FILES, most=files.MAX_FILES)
    if len(content.buckets) > MAX_BUCKETS:
        wrong["packages"] = Message.of(LibraryCode.TOO_MANY_LISTS, most=MAX_BUCKETS)
    if wrong:
        raise InvalidInputError(wrong)


def check_size(content: DraftContent) -> None:
    """Raises ``InvalidInputError`` (``files``) above the limit of a template. Equal files count several times."""
    text = json.dumps(content.to_json(), ensure_ascii=False).encode()
    if len(text) + sum(file.size for file in content.files) > MAX_TEMPLATE_BYTES:
        raise InvalidInputError({"files": Message.of(LibraryCode.TOO_LARGE, mib=MAX_TEMPLATE_BYTES >> 20)})


def validated(draft: DraftContent, contents: Mapping[str, bytes], shared: Mapping[UUID, Bucket]) -> TemplateContent:
    """The template that ``draft`` describes, with file ``contents`` by SHA-256 and current ``shared`` buckets by id.

    Raises ``InvalidInputError`` with fields ``name``, ``config.<field>``, ``scripts.<name>.<field>``, ``files.<name>.<field>``,
    ``packages.<bucket>.<manager>``.
    """
    check_storable(draft)
    check_size(draft)
    return _Validation(draft, contents, shared).run()


class _Validation:
    def __init__(self, draft: DraftContent, contents: Mapping[str, bytes], shared: Mapping[UUID, Bucket]) -> None:
        self._draft = draft
        self._contents = contents
        self._shared = shared
        self._wrong: dict[str, Message] = {}
        self._warnings: list[Finding] = []

    def run(self) -> TemplateContent:
        draft = self._draft
        if not is_template_name(draft.name):
            self._wrong["name"] = Message.of(LibraryCode.NAME_INVALID)
        # ``config_path`` has a meaning only in a source.
        config, wrong = check_config(replace(draft.config, config_path=""))
        for field, why in wrong.items():
            self._say(f"config.{field}", why)
        content = TemplateContent(
            name=draft.name,
            config=config,
            scripts=self._scripts(),
            files=tuple(sorted((self._file(file) for file in draft.files), key=lambda file: file.name)),
            buckets=self._buckets(),
        )
        self._refuse_twins("files", (file.name for file in draft.files), "name")
        self._refuse_twins("scripts", (script.name for script in draft.scripts), "name")
        if self._wrong:
            raise InvalidInputError(self._wrong)
        return replace(content, warnings=tuple(self._warnings))

    def _say(self, field: str, why: Message) -> None:
        self._wrong.setdefault(field, why)

    def _check(self, field: str, rule: Callable[[], _Value], otherwise: _Value) -> _Value:
        """Return the result of ``rule``. If it fails, store its reason for ``field`` and return ``otherwise``."""
        try:
            return rule()
        except TemplateError as error:
            in_line = Message.of(FormatCode.LINE, line=error.line, reason=error.why)
            self._say(field, in_line if error.line else error.why)
        except RuleError as error:
            self._say(field, error.reason)
        return otherwise

    def _refuse_twins(self, part: str, names: Iterable[str], field: str) -> None:
        seen: set[str] = set()
        for name in names:
            if name in seen:
                self._say(f"{part}.{name}.{field}", Message.of(LibraryCode.NAME_TWICE))
            seen.add(name)

    # Scripts

    def _scripts(self) -> tuple[Script, ...]:
        given = self._draft.scripts
        for before, after in pairwise(given):
            if not is_ordered((before, after)) and before.name != after.name:
                self._say(f"scripts.{after.name}.name", Message.of(LibraryCode.SCRIPT_ORDER, name=before.name))
        return tuple(self._script(script, position) for position, script in enumerate(given))

    def _script(self, script: Script, position: int) -> Script:
        at = f"scripts.{script.name}"
        self._check(f"{at}.name", lambda: check_script_name(script.name), None)
        file = f"scripts/{script.name}"
        nothing: tuple[Script, tuple[Finding, ...]] = (script, ())
        content = script.content.encode()
        read, findings = self._check(
            f"{at}.content", lambda: parse_script(script.name, position, content, file), nothing
        )
        self._warnings += findings
        description = self._check(
            f"{at}.description", lambda: check_description(script.description), script.description
        )
        self._check(f"{at}.timeout_s", lambda: packages.parse_seconds(str(script.timeout_s)), 0)
        return replace(script, position=position, content=read.content, description=description)

    # Files

    def _file(self, file: DraftFile) -> FileEntry:
        at = f"files.{file.name}"
        self._check(f"{at}.name", lambda: files.check_name(file.name), None)
        self._check(f"{at}.owner", lambda: files.check_owner(file.owner), None)
        target_dir = self._check(
            f"{at}.target_dir", lambda: files.read_target_dir(file.target_dir.strip(), file.name, 0), file.target_dir
        )
        content = self._contents.get(file.sha256)
        if content is None:
            self._say(f"{at}.content", Message.of(LibraryCode.FILE_MISSING))
        elif len(content) > files.MAX_FILE_BYTES:
            self._say(f"{at}.content", Message.of(LibraryCode.FILE_TOO_LARGE, mib=files.MAX_FILE_BYTES >> 20))
        if not 0 <= file.mode <= MAX_MODE:
            self._say(f"{at}.mode", Message.of(LibraryCode.MODE_INVALID))
        return FileEntry(file.name, target_dir, file.policy, content or b"", file.mode, file.owner)

    # Packages

    def _buckets(self) -> tuple[Bucket, ...]:
        found: dict[tuple[str, str], Bucket] = {}
        for given in self._draft.buckets:
            bucket = self._resolved(given)
            at = f"packages.{given.name}.{given.manager}"
            if (bucket.name, bucket.manager) in found:
                self._say(at, Message.of(LibraryCode.SECOND_LIST, list=f"{bucket.name}.{bucket.manager}"))
            self._check(at, partial(packages.check_bucket, bucket), None)
            found[bucket.name, bucket.manager] = bucket
        return tuple(found[key] for key in sorted(found))

    def _resolved(self, bucket: Bucket) -> Bucket:
        if bucket.shared_id is None:
            return bucket
        if bucket.shared_id not in self._shared:
            self._say(f"packages.{bucket.name}.{bucket.manager}", Message.of(LibraryCode.BUCKET_DELETED))
            return bucket
        return self._shared[bucket.shared_id]


def _is_storable(text: str) -> bool:
    read = json.loads(text)
    return bool(storable(read) == read)
