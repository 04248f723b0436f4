"""HTML that escapes by default, for the two pages that Reflex does not draw: sign-in and "service unavailable"."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from starlette.responses import HTMLResponse, Response

from lxc_dashboard import text
from lxc_dashboard.api.middleware.headers import NO_STORE

RELOAD_AFTER_S: Final = 2
VOID: Final = frozenset({"input", "link", "meta"})


class Markup(str):
    """Text that is already HTML. Only ``tag`` creates it."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | bool | None) -> Markup:
    """``tag("p", "a < b", class_="soft")``: an element with escaped children and attributes.

    Attribute names lose a trailing underscore; other underscores become hyphens. None and False omit the attribute.
    """
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
    """A whole page with the product's stylesheet, theme script and icon."""
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


def unavailable_page(cause: str, reference: str) -> Response:
    """503 while PostgreSQL or Redis does not answer. The browser reloads the page until it is there."""
    content = tag(
        "main",
        tag("h1", text.FAILED_TITLE, class_="block-title"),
        tag("p", f"{cause}. {text.AWAY_AGAIN}", role="status"),
        tag("p", text.REFERENCE.format(reference=reference), class_="block-reference"),
        class_="block",
    )
    headers = {**NO_STORE, "Refresh": str(RELOAD_AFTER_S)}
    return HTMLResponse(document(content, title=text.PRODUCT), status_code=503, headers=headers)
