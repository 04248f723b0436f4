"""The reaper that the tests run under: it gets the orphans, and is otherwise as if it were not there."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

REAPED = [sys.executable, "-I", "-S", str(Path(__file__).parents[2] / "scripts" / "reaped.py"), "sh", "-c"]
ORPHAN = """
orphan=$(sh -c 'sleep 60 >/dev/null 2>&1 & echo $!')
grep PPid "/proc/$orphan/status"
kill "$orphan"
while kill -0 "$orphan" 2>/dev/null; do sleep 0.01; done
exit 7
"""


def test_orphans_come_to_it_and_are_gone_once_they_end_and_the_status_is_the_commands() -> None:
    with subprocess.Popen([*REAPED, ORPHAN], stdout=subprocess.PIPE, text=True) as process:
        said, _ = process.communicate(timeout=60)
    assert (said.split(), process.returncode) == (["PPid:", str(process.pid)], 7)


def test_whoever_ends_it_ends_the_command() -> None:
    with subprocess.Popen([*REAPED, "echo $$; exec sleep 60"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        command = int(process.stdout.readline())
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert not Path(f"/proc/{command}").exists()
