"""Text that came from outside (a guest's output, a typed user name), made fit for PostgreSQL."""

from __future__ import annotations

from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(value: Any) -> Any:
    """``value`` with what PostgreSQL refuses in text and JSON (NUL, lone surrogates) replaced, keys included."""
    match value:
        case str():
            return storable_text(value)
        case dict():
            return {storable(key): storable(item) for key, item in value.items()}
        case list() | tuple():
            return [storable(item) for item in value]
        case _:
            return value


def storable_text(text: str, max_chars: int | None = None) -> str:
    """``text`` cleaned as above, and cut to ``max_chars`` with a trailing ellipsis where it is longer."""
    if not text.isascii():
        text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    text = text.replace("\0", REPLACEMENT)
    if max_chars is not None and len(text) > max_chars:
        return text[: max_chars - 1] + "…"
    return text
