"""Scripts beside their components: their addresses in the bundle, and their events."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

import reflex as rx

# For mypy, Reflex's annotation of an event trigger is a value.
if TYPE_CHECKING:
    NoArgs = rx.EventHandler
    WithText = rx.EventHandler
    WithNumber = rx.EventHandler
else:
    NoArgs = rx.EventHandler[rx.event.no_args_event_spec]
    WithText = rx.EventHandler[rx.event.passthrough_event_spec(str)]
    WithNumber = rx.EventHandler[rx.event.passthrough_event_spec(int)]

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_SHARED: Final = Path("assets", "external")


def script(module: str, name: str) -> str:
    """Return the import address of the script ``name``, a file beside ``module`` (its ``__name__``).

    Scripts import one another by the same addresses: a folder named after the module holds all its scripts. Reflex's
    ``rx.asset`` does the same, but reads the source of all modules to find its caller: 0.1 s per script and start.
    """
    folder = module.replace(".", "/")
    source = _PACKAGE.parent.joinpath(folder).with_name(name)
    if not source.is_file():
        raise FileNotFoundError(source)
    _link(Path.cwd() / _SHARED / folder / name, source)
    return f"$/public/external/{folder}/{name}"


def _link(place: Path, source: Path) -> None:
    """Create the link in one step, as several processes may do it at once. Writes nothing if it exists."""
    if place.is_symlink() and place.readlink() == source:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{uuid.uuid4().hex}")
    temporary.symlink_to(source)
    temporary.replace(place)


def remove_stale_links() -> None:
    """Remove links to scripts that moved, and folders that become empty.

    Reflex does the same at each start, but fails if another process removes a link at the same time.
    """
    shared = Path.cwd() / _SHARED
    for place in sorted(shared.rglob("*"), reverse=True):
        if place.is_symlink():
            if not place.exists():
                place.unlink(missing_ok=True)
        elif place.is_dir():
            with contextlib.suppress(OSError):  # not empty, or another process removed it
                place.rmdir()
