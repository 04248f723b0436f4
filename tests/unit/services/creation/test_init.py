"""When a guest counts as up, by the name of its first process."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lxc_dashboard.services.creation.steps import start

ROUNDS = "2"


@pytest.mark.parametrize(
    ("comm", "init", "is_up"),
    [
        ("systemd", "systemd", False),
        ("init", "systemd", False),  # the kernel's name for it, before it sets its own
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
    done = wait_for_init(tmp_path)
    assert (done.returncode, done.stdout) == ((0, "running\n") if is_up else (1, "starting\n"))


@pytest.mark.parametrize(
    ("inittab", "softlevel", "starts", "said"),
    [
        ("::wait:/sbin/openrc default\n", None, False, "starting"),  # /run does not exist yet
        ("", "", False, "starting"),
        ("", "sysinit", True, "sysinit"),
        ("", "boot", False, "boot"),
        ("", "default", True, "default"),
        ("", "default", False, ""),
        ("# no openrc here\n", None, False, ""),
    ],
)
def test_openrc_is_up_when_its_default_runlevel_was_started(
    tmp_path: Path, inittab: str, softlevel: str | None, starts: bool, said: str
) -> None:
    (tmp_path / "comm").write_text("init\n")
    (tmp_path / "init").symlink_to("/bin/busybox")
    (tmp_path / "inittab").write_text(inittab)
    if softlevel is not None:
        (tmp_path / "openrc").mkdir()
        (tmp_path / "openrc/softlevel").write_text(softlevel)
    if starts:
        (tmp_path / "openrc/rc.starting").mkdir()
    done = wait_for_init(tmp_path)
    assert (done.returncode, done.stdout) == ((1, f"{said}\n") if said else (0, "running\n"))


def wait_for_init(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the wait in a guest whose init and whose files in /run and /etc are in ``folder``."""
    script = start._WAIT_FOR_INIT
    for place, ours in {
        "/proc/1/comm": "comm",
        "/sbin/init": "init",
        "/run/systemd/system": "none",
        "/run/openrc": "openrc",
        "/etc/inittab": "inittab",
    }.items():
        assert place in script
        script = script.replace(place, str(folder / ours))
    return subprocess.run(["/bin/sh", "-c", script, "sh", ROUNDS], capture_output=True, text=True, check=False)
