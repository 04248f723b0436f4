"""Scripts that lie beside the components which they draw, and how the bundle finds them."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_SHARED: Final = Path("assets", "external")


def script(module: str, name: str) -> str:
    """What a component imports the script ``name`` as, which lies beside ``module`` (its ``__name__``).

    Scripts import one another by the same address: those of one module lie together, in a folder of its name. Reflex's own
    ``rx.asset`` does as much, but reads the source of all that is loaded to learn who calls: 0.1 s a script at each start.
    """
    folder = module.replace(".", "/")
    source = _PACKAGE.parent.joinpath(folder).with_name(name)
    if not source.is_file():
        raise FileNotFoundError(source)
    _link(Path.cwd() / _SHARED / folder / name, source)
    return f"$/public/external/{folder}/{name}"


def _link(place: Path, source: Path) -> None:
    """In one step, as several processes may do it at once; nothing is written where it is so already."""
    if place.is_symlink() and place.readlink() == source:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    made = place.with_name(f".{uuid.uuid4().hex}")
    made.symlink_to(source)
    made.replace(place)
