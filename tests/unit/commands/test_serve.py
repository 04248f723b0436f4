from __future__ import annotations

import subprocess
import sys

LOOKED_AT = """
import sys
from lxc_dashboard.commands import serve
serve.leave_out_unused()
import lxc_dashboard.app, socketio
seldom = {"paramiko", "invoke", "nacl", "dulwich", "alembic"}
print(sorted(name for name, module in sys.modules.items() if module and name.partition(".")[0] in {*serve.UNUSED, *seldom}))
"""


def test_the_web_process_loads_nothing_that_clients_workers_and_migrations_need() -> None:
    result = subprocess.run([sys.executable, "-c", LOOKED_AT], capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr
