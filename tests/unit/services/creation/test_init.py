"""When a guest counts as up, by what its first process is called."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lxc_dashboard.services.creation.phases import start

ROUNDS = "2"


@pytest.mark.parametrize(
    ("comm", "init", "is_up"),
    [
        ("systemd", "systemd", False),
        ("init", "systemd", False),  # as the kernel calls it before it has named itself
        ("lxc-start", "systemd", False),
        ("init", "busybox", True),
        ("openrc-init", "openrc-init", True),
        ("sleep", "systemd", True),
    ],
)
def test_an_init_that_is_not_systemd_is_up_at_once(tmp_path: Path, comm: str, init: str, *, is_up: bool) -> None:
    (tmp_path / "comm").write_text(f"{comm}\n")
    (tmp_path / init).touch()
    (tmp_path / "init").symlink_to(tmp_path / init)
    script = start._WAIT_FOR_INIT
    for place, ours in {"/proc/1/comm": "comm", "/sbin/init": "init", "/run/systemd/system": "none"}.items():
        assert place in script
        script = script.replace(place, str(tmp_path / ours))
    done = subprocess.run(["/bin/sh", "-c", script, "sh", ROUNDS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == ((0, "running\n") if is_up else (1, "starting\n"))
