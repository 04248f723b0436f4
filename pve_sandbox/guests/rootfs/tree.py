"""A guest's own layer, which lies over its base: ``guests/<vmid>/upper``, beside the ``work`` folder of its overlay."""

from __future__ import annotations

import os
from pathlib import Path

_FOLDERS = {"": 0o755, "etc": 0o755, "var": 0o755, "root": 0o700}  # the folders that ``write_identity`` writes to


def make_folder(path: Path, owner: int, mode: int = 0o755) -> None:
    path.mkdir()
    path.chmod(mode)
    give(path, owner)


def give(path: Path, owner: int) -> None:
    """Change the owner to ``owner``, the uid of the guest's root on this machine."""
    if owner != os.geteuid():
        os.chown(path, owner, owner)


def write_file(path: Path, text: str, owner: int, mode: int = 0o644) -> None:
    """Create a file of the guest's root."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(descriptor, mode)
    give(path, owner)


def build_layer(folder: Path, owner: int) -> None:
    """Create an empty layer: ``upper`` and ``work`` in the guest's ``folder``."""
    for name, mode in _FOLDERS.items():
        make_folder(folder / "upper" / name, owner, mode)
    make_folder(folder / "work", owner)
