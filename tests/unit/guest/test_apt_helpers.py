"""The helpers around apt: wait for a lock, and finish the work of a killed dpkg."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

HELPERS = Path(__file__).parents[3] / "lxc_dashboard" / "guest" / "helpers.sh"
LOCKS = ("lib/dpkg/lock-frontend", "lib/dpkg/lock", "lib/apt/lists/lock", "cache/apt/archives/lock")
CONTROL = "Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: none\n"


@dataclass
class Guest:
    """A folder in place of /var. ``bin`` comes before the system's own commands."""

    var: Path
    bin: Path

    def start(self, script: str, shell: str = "dash") -> subprocess.Popen[str]:
        helpers = HELPERS.read_text()
        assert "/var/lib/dpkg/updates" in helpers
        return subprocess.Popen(
            [shell, "-euc", f"{helpers.replace('/var/', f'{self.var}/')}\n{script}"],
            env={"PATH": f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str) -> tuple[int, str, str]:
        process = self.start(script)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    guest = Guest(tmp_path / "root/var", tmp_path / "bin")
    guest.bin.mkdir()
    for lock in LOCKS:
        place = guest.var / lock
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return guest


@pytest.mark.parametrize(("lock", "shell"), [*((lock, "dash") for lock in LOCKS), (LOCKS[0], "bash")])
def test_a_lock_that_another_process_holds_is_waited_for(guest: Guest, lock: str, shell: str) -> None:
    with (guest.var / lock).open("r+b") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        process = guest.start("wait_for_apt_lock 60 && echo free", shell)
        assert process.stdout
        assert process.stdout.readline() == "[info] Waiting for another apt or dpkg to end (0 s)\n"
        assert process.poll() is None
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "free\n", "")


def test_a_lock_that_stays_held_is_not_waited_for_longer_than_asked(guest: Guest) -> None:
    with (guest.var / LOCKS[0]).open("r+b") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        code, out, err = guest.run("wait_for_apt_lock 0 || echo gave up")
    assert (code, out) == (0, "gave up\n")
    assert err == "[error] apt is still locked by another process after 0 s\n"


@pytest.fixture
def dpkg(guest: Guest) -> Path:
    """The real dpkg with a database of its own, which has one unpacked package."""
    real = shutil.which("dpkg")
    if not real:
        pytest.skip("this machine has no dpkg")
    state = guest.var / "lib/dpkg"
    for name in ("updates", "info"):
        (state / name).mkdir()
    (state / "status").touch()
    own = f"{real} --root={guest.var.parent} --force-not-root --log=/dev/null"
    _command(guest.bin / "dpkg", f'exec {own} "$@"')
    _command(guest.bin / "dpkg-query", f'exec {shutil.which("dpkg-query")} --admindir={state} "$@"')
    _command(guest.bin / "apt-get", 'echo "apt-get $*"')
    source = guest.bin.parent / "source"
    (source / "DEBIAN").mkdir(parents=True)
    (source / "DEBIAN/control").write_text(CONTROL.format(name="begun"))
    subprocess.run(["dpkg-deb", "--build", source, guest.bin.parent / "begun.deb"], check=True, capture_output=True)
    subprocess.run([guest.bin / "dpkg", "--unpack", guest.bin.parent / "begun.deb"], check=True, capture_output=True)
    return state


def _command(place: Path, line: str) -> None:
    place.write_text(f"#!/bin/sh\n{line}\n")
    place.chmod(0o755)


def state_of(guest: Guest) -> str:
    asked = [str(guest.bin / "dpkg-query"), "-W", "-f", "${db:Status-Status}", "begun"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("journaled", [False, True], ids=["unpacked", "with dpkg's journal"])
def test_what_a_killed_dpkg_has_begun_is_finished(guest: Guest, dpkg: Path, *, journaled: bool) -> None:
    assert state_of(guest) == "unpacked"
    if journaled:  # the journal of a killed dpkg, with which apt-get refuses to work
        (dpkg / "updates/0000").write_text((dpkg / "status").read_text())
    code, out, err = guest.run("lxcd_finish_dpkg")
    assert (code, err) == (0, "")
    assert out.startswith("[info] dpkg was interrupted: finishing its work\n")
    assert "apt-get" not in out
    assert (state_of(guest), list((dpkg / "updates").iterdir())) == ("installed", [])
    assert guest.run("lxcd_finish_dpkg") == (0, "", "")


@pytest.mark.usefixtures("dpkg")
def test_what_dpkg_cannot_finish_for_want_of_a_package_is_left_to_apt(guest: Guest) -> None:
    _command(guest.bin / "dpkg", "exit 1")
    code, out, _ = guest.run("lxcd_finish_dpkg")
    assert code == 0
    assert out.endswith("-o Dpkg::Options::=--force-confold --fix-broken install\n")
