"""Folders of templates, written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

WriteTree = Callable[[Mapping[str, str | bytes]], Path]


def writer(root: Path) -> WriteTree:
    """Writes files by relative path and returns ``root``, the root of the templates."""

    def write(files: Mapping[str, str | bytes]) -> Path:
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return write
