"""Shapes that several nouns share."""

from __future__ import annotations

import msgspec

from lxc_dashboard.proxmox.decoding import Shape, plain

TEXT: Shape[str] = plain(str)
MAYBE_TEXT: Shape[str | None] = plain(str | None)  # type: ignore[arg-type] # a union is no type to mypy


def _upid(body: bytes) -> str:
    text = MAYBE_TEXT.decode(body)
    if not text or not text.startswith("UPID:"):
        raise msgspec.ValidationError(f"Expected the UPID of a task, got {text!r}")
    return text


def _maybe_upid(body: bytes) -> str | None:
    text = MAYBE_TEXT.decode(body)
    return text if text and text.startswith("UPID:") else None


UPID: Shape[str] = Shape(_upid)
"""A call that starts a task."""

MAYBE_UPID: Shape[str | None] = Shape(_maybe_upid)
"""A call that starts a task only where there is something to do, or only in newer versions."""
