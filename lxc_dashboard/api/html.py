"""HTML that escapes by default, for the one page that Reflex does not draw."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

VOID: Final = frozenset({"input", "link", "meta"})


class Markup(str):
    """Text that is HTML already. Only ``tag`` makes it."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | bool | None) -> Markup:
    """``tag("p", "a < b", class_="soft")``. A trailing underscore falls off, others become hyphens; None and False leave out."""
    opened = "".join(_attributes(attributes))
    if name in VOID:
        return Markup(f"<{name}{opened}>")
    content = "".join(child if isinstance(child, Markup) else escape(child) for child in children)
    return Markup(f"<{name}{opened}>{content}</{name}>")


def _attributes(attributes: dict[str, str | bool | None]) -> Iterator[str]:
    for name, value in attributes.items():
        written = name.rstrip("_").replace("_", "-")
        if value is True:
            yield f" {written}"
        elif value is not None and value is not False:
            yield f' {written}="{escape(value)}"'


def document(*children: str, title: str) -> str:
    """A whole page with the product's style, theme and mark."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("link", rel="icon", href="/favicon.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href="/dashboard.css"),
        tag("script", src="/theme.js"),
    )
    return f"<!doctype html>{tag('html', head, tag('body', *children), lang='en')}"
