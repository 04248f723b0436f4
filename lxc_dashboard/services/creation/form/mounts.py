"""Read mount points from a form or an API caller. Each fault is named by its place, such as ``mounts.0.path``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form import readers
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.readers import Form, WrongError
from lxc_dashboard.services.creation.form.spec import Mount

MOUNTS_MAX: Final = 256  # mp0 to mp255
PATH_MAX_CHARS: Final = 4096
# In a property string of PVE, a comma ends the value. PVE itself refuses "." and ".." in a path.
_PATH: Final = re.compile(r"/[^,\\]*")
_STEPS_ASIDE: Final = frozenset({".", ".."})
_OF_LXC: Final = ("/dev", "/proc", "/sys")


def mounts(value: object) -> tuple[Mount, ...]:
    """Read a list of mappings with the keys of ``Mount``, or that list as JSON.

    Raises ``WrongError`` with parts such as ``0.path``.
    """
    found: list[Mount] = []
    faults: dict[str, Message] = {}
    for at, row in enumerate(_rows(value)):
        part = Form(row)
        mount = _mount(part)
        if mount.path in {other.path for other in found}:
            part.faults.setdefault("path", Message.of(FieldCode.MOUNT_PATH_TWICE))
        faults |= {f"{at}.{name}": fault for name, fault in part.faults.items()}
        found.append(mount)
    if faults:
        raise WrongError(parts=faults)
    return tuple(found)


def as_text(mounts: Sequence[Mount]) -> str:
    """Format as JSON for the form; ``mounts`` reads it back. Empty text for no mount points."""
    rows = [asdict(mount) | {"size_gib": "" if mount.is_bind else str(mount.size_gib)} for mount in mounts]
    return json.dumps(rows, separators=(",", ":")) if rows else ""


def _rows(value: object) -> Sequence[Mapping[str, object]]:
    if isinstance(value, str):
        value = _of_json(value)
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise WrongError(Message.of(FieldCode.NO_MOUNTS))
    if len(value) > MOUNTS_MAX:
        raise WrongError(Message.of(FieldCode.TOO_MANY_MOUNTS, most=MOUNTS_MAX))
    rows = [asdict(row) if isinstance(row, Mount) else row for row in value]
    if not all(isinstance(row, Mapping) for row in rows):
        raise WrongError(Message.of(FieldCode.NO_MOUNTS))
    return rows


def _of_json(text: str) -> object:
    try:
        return json.loads(text) if text.strip() else None
    except (ValueError, RecursionError):
        raise WrongError(Message.of(FieldCode.NO_MOUNTS)) from None


def _mount(part: Form) -> Mount:
    is_bind = str(part.raw.get("source")).lstrip().startswith("/")
    return Mount(
        part.take("source", _source, ""),
        part.take("path", _path, ""),
        0 if is_bind else part.take("size_gib", readers.number(1, readers.DISK_MAX_GIB), 1),
        part.take("backup", _backup(is_bind), False),
        part.take("read_only", readers.flag(False), False),
    )


def _source(value: object) -> str:
    text = readers.plain(value)
    if not text.startswith("/"):
        return readers.matching(readers.STORAGE, Message.of(FieldCode.NO_MOUNT_SOURCE))(text)
    path = _clean(text)
    if path == "/":
        raise WrongError(Message.of(FieldCode.MOUNT_SOURCE_ROOT))
    if "=" in path:  # PVE reads the text before "=" as the name of an option
        raise WrongError(Message.of(FieldCode.MOUNT_SOURCE_EQUALS))
    return path


def _path(value: object) -> str:
    path = _clean(readers.plain(value))
    if path == "/":
        raise WrongError(Message.of(FieldCode.MOUNT_PATH_ROOT))
    if any(path == of_lxc or path.startswith(of_lxc + "/") for of_lxc in _OF_LXC):
        raise WrongError(Message.of(FieldCode.MOUNT_PATH_OF_SYSTEM, path=path))
    return path


def _clean(text: str) -> str:
    """Normalize a path: ``//srv/data/`` becomes ``/srv/data``. Raises ``WrongError`` for an invalid path."""
    if not _PATH.fullmatch(text) or not text.isprintable() or len(text) > PATH_MAX_CHARS:
        raise WrongError(Message.of(FieldCode.BAD_PATH))
    steps = [step for step in text.split("/") if step]
    if _STEPS_ASIDE & set(steps):
        raise WrongError(Message.of(FieldCode.PATH_STEPS_ASIDE))
    return "/" + "/".join(steps)


def _backup(is_bind: bool) -> Callable[[object], bool]:
    def read(value: object) -> bool:
        wanted = readers.flag(False)(value)
        if wanted and is_bind:
            raise WrongError(Message.of(FieldCode.NO_BACKUP_OF_BIND))
        return wanted

    return read
