"""What a browser gets that goes to a page while PostgreSQL or Redis is away."""

from __future__ import annotations

from typing import Final

from starlette.responses import HTMLResponse, Response

from lxc_dashboard import text
from lxc_dashboard.api.html import document, tag

AGAIN_AFTER_S: Final = 2


def away_page(cause: str, reference: str) -> Response:
    """503, in words; the browser asks again by itself until the page it went to is there."""
    told = tag(
        "main",
        tag("h1", text.FAILED_TITLE, class_="block-title"),
        tag("p", f"{cause}. {text.AWAY_AGAIN}", role="status"),
        tag("p", text.REFERENCE.format(reference=reference), class_="block-reference"),
        class_="block",
    )
    headers = {"Cache-Control": "no-store", "Refresh": str(AGAIN_AFTER_S)}
    return HTMLResponse(document(told, title=text.PRODUCT), status_code=503, headers=headers)
