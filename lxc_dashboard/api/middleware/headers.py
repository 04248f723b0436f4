"""The security headers of every response."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SCRIPT = re.compile(r"<script(?P<attributes>[^>]*)>(?P<content>.*?)</script>", re.DOTALL)
_SAFE_HOST = re.compile(r"[A-Za-z0-9.\-_]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")
HSTS: Final = "max-age=31536000"
NO_STORE: Final = {"Cache-Control": "no-store"}
IMMUTABLE: Final = "public, max-age=31536000, immutable"
FIXED: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer a browser posts a form with Origin null.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def inline_scripts(folder: Path) -> tuple[str, ...]:
    """CSP hashes of the inline scripts in the built pages. No other inline script may run."""
    return tuple(sorted({hash_of(script) for page in sorted(folder.rglob("*.html")) for script in _inline(page)}))


def _inline(page: Path) -> Iterator[str]:
    for match in _SCRIPT.finditer(page.read_text(encoding="utf-8")):
        if "src=" not in match["attributes"]:
            yield match["content"]


def hash_of(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def content_security_policy(scripts: tuple[str, ...], host: str, *, https: bool) -> str:
    """Allow the build's own inline scripts only; no eval, no other hosts, no frames.

    Inline styles are allowed: Reflex and React set them on elements. The websocket's address is listed because some
    browsers do not count it as 'self'.
    """
    socket = f" {'wss' if https else 'ws'}://{host}" if _SAFE_HOST.fullmatch(host) else ""
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {' '.join(scripts)}".rstrip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            f"connect-src 'self'{socket}",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def security_headers(scripts: tuple[str, ...], host: str, *, https: bool) -> dict[str, str]:
    policy = content_security_policy(scripts, host, https=https)
    return {**FIXED, "Content-Security-Policy": policy, **({"Strict-Transport-Security": HSTS} if https else {})}
