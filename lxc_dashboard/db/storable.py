"""Makes text from outside storable in PostgreSQL, for example a guest's output."""

from __future__ import annotations

from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(value: Any) -> Any:
    """Replace what PostgreSQL refuses in text and JSON (NUL, lone surrogates), also in keys."""
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
    """Clean ``text`` as ``storable``, and cut it to ``max_chars`` with an ellipsis."""
    if not text.isascii():
        text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    text = text.replace("\0", REPLACEMENT)
    if max_chars is not None and len(text) > max_chars:
        return text[: max_chars - 1] + "…"
    return text
