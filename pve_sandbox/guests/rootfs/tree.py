"""A guest's own layer, which lies over its base: ``guests/<vmid>/upper``, beside the ``work`` folder of its overlay."""

from __future__ import annotations

import os
from pathlib import Path

_FOLDERS = {"": 0o755, "etc": 0o755, "var": 0o755, "root": 0o700}  # those that a guest's identity is written to


def make_folder(path: Path, owner: int, mode: int = 0o755) -> None:
    path.mkdir()
    path.chmod(mode)
    give(path, owner)


def give(path: Path, owner: int) -> None:
    """To the guest's root, who is ``owner`` on the machine."""
    if owner != os.geteuid():
        os.chown(path, owner, owner)


def write_file(path: Path, text: str, owner: int, mode: int = 0o644) -> None:
    """A new file of the guest's root."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(descriptor, mode)
    give(path, owner)


def build_layer(folder: Path, owner: int) -> None:
    """Without what the guest has of its base."""
    for name, mode in _FOLDERS.items():
        make_folder(folder / "upper" / name, owner, mode)
    make_folder(folder / "work", owner)
