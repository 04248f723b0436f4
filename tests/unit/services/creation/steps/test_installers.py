"""How each package manager is called. Stand-ins for the managers record their calls."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.services.creation.steps.packages import custom_script, install_script

HELPERS = """
log_info() { echo "[info] $*"; }
log_error() { echo "[error] $*" >&2; }
wait_for_apt_lock() { echo "waited $*" >>"$CALLS"; }
lxcd_finish_dpkg() { echo "finished what was begun" >>"$CALLS"; }
"""
# Records its name and arguments. Answers whether a package is installed from $THERE, which has one package a line.
STAND_IN = """#!/bin/sh
name=${0##*/}
for word in "$@"; do printf '%s ' "$word"; done | sed "s/^/$name /; s/ *$//" >>"$CALLS"; echo >>"$CALLS"
case "$name $1" in
"apk info" | "rpm -q" | "npm ls")
    for last in "$@"; do :; done
    exec grep -qxF -- "$last" "$THERE" ;;
"dpkg-query -W")
    grep -- "^$4 " "$THERE" | sed "s/^[^ ]* /installed /" | grep . ;;
esac
"""
STOOD_FOR = ("apk", "dnf", "rpm", "npm", "apt-get", "dpkg-query")


@dataclass
class Guest:
    """``there``: the installed packages, in the words of the manager's query."""

    folder: Path

    def run(self, script: bytes, *there: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "there").write_text("".join(f"{line}\n" for line in there))
        (self.folder / "calls").write_text("")
        environ = {
            "PATH": f"{self.folder}/bin:/usr/bin:/bin",
            "CALLS": f"{self.folder}/calls",
            "THERE": f"{self.folder}/there",
        }
        return subprocess.run(
            ["/bin/sh"],
            input=HELPERS + script.decode(),
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def calls(self) -> list[str]:
        """All calls except queries."""
        asked = ("apk info", "rpm -q", "npm ls", "dpkg-query")
        return [line for line in (self.folder / "calls").read_text().splitlines() if not line.startswith(asked)]


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    (tmp_path / "bin").mkdir()
    for name in STOOD_FOR:
        place = tmp_path / "bin" / name
        place.write_text(STAND_IN)
        place.chmod(0o755)
    return Guest(tmp_path)


@pytest.mark.parametrize(
    ("manager", "there", "calls"),
    [
        (
            PackageManager.APT,
            ["curl 8.14.1-2", "nginx 1.26.3-3"],
            [
                "waited 600",
                "apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 update",
                "finished what was begun",
                (
                    "apt-get -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 --allow-downgrades"
                    " -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install -- nginx=1.2.* it's"
                ),
            ],
        ),
        (PackageManager.APK, ["curl"], ["apk add --update-cache --wait 600 nginx=1.2.* it's"]),
        (PackageManager.DNF, ["curl"], ["dnf -y --setopt=retries=3 install nginx=1.2.* it's"]),
        (PackageManager.NPM, ["curl"], ["npm install --global --no-fund --no-audit --no-progress -- nginx=1.2.* it's"]),
    ],
)
def test_only_what_is_missing_or_pinned_to_another_version_is_installed_in_one_go(
    guest: Guest, manager: PackageManager, there: list[str], calls: list[str]
) -> None:
    done = guest.run(install_script(manager, ["curl", "nginx=1.2.*", "it's"]), *there)
    assert (done.returncode, done.stderr) == (0, "")
    assert guest.calls == calls
    assert "Installing 2 of 3 packages: nginx=1.2.* it's" in done.stdout


@pytest.mark.parametrize(
    ("manager", "there"),
    [
        (PackageManager.APT, ["curl 8.14.1-2", "nginx 1.2.7"]),
        (PackageManager.APK, ["curl", "nginx=1.2.*"]),
        (PackageManager.DNF, ["curl", "nginx=1.2.*"]),
        (PackageManager.NPM, ["curl", "nginx=1.2.*"]),
    ],
)
def test_nothing_is_asked_of_a_server_where_all_is_there(
    guest: Guest, manager: PackageManager, there: list[str]
) -> None:
    done = guest.run(install_script(manager, ["curl", "nginx=1.2.*"]), *there)
    assert (done.returncode, done.stderr, guest.calls) == (0, "", [])
    assert "All 2 packages are installed already" in done.stdout


def test_of_which_release_a_package_is_apt_is_asked_though_it_is_there(guest: Guest) -> None:
    done = guest.run(install_script(PackageManager.APT, ["curl", "nginx/stable"]), "curl 8.14.1-2", "nginx 1.26.3-3")
    assert (done.returncode, done.stderr) == (0, "")
    assert guest.calls[-1].endswith("install -- nginx/stable")


@pytest.mark.parametrize("manager", [PackageManager.APK, PackageManager.DNF])
def test_a_manager_that_fails_fails_the_step(guest: Guest, manager: PackageManager) -> None:
    tool = guest.folder / "bin" / manager.value
    tool.write_text("#!/bin/sh\n[ \"$1\" != info ] || exit 1\necho 'No such thing' >&2\nexit 7\n")
    done = guest.run(install_script(manager, ["curl"]))
    assert (done.returncode, "No such thing" in done.stderr) == (7, True)


@pytest.mark.parametrize("manager", [manager for manager in PackageManager if manager is not PackageManager.CUSTOM])
def test_a_guest_without_the_manager_says_so(guest: Guest, manager: PackageManager) -> None:
    for name in (*STOOD_FOR, "python3"):
        (guest.folder / "bin" / name).unlink(missing_ok=True)
    for name in ("sh", "sed", "grep"):
        (guest.folder / "bin" / name).symlink_to(f"/bin/{name}")
    script = f"PATH={guest.folder}/bin\n".encode() + install_script(manager, ["curl"])
    done = guest.run(script)
    assert done.returncode == 1
    assert f"{manager.value} packages cannot be installed" in done.stderr


@pytest.mark.parametrize("manager", [manager for manager in PackageManager if manager is not PackageManager.CUSTOM])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_every_script_is_sound_shell(manager: PackageManager, shell: str) -> None:
    subprocess.run([shell, "-n"], input=install_script(manager, ["a", "it's; $(x)"]), check=True, timeout=60)


def test_a_custom_package_is_installed_only_where_its_check_fails(guest: Guest) -> None:
    mark = guest.folder / "mark"
    script = custom_script("tool", f"test -e {mark}", f"echo installing; touch {mark}")
    first, second = guest.run(script), guest.run(script)
    assert "installing" in first.stdout
    assert second.stdout == "[info] tool is installed already\n"
    broken = guest.run(custom_script("tool", "false", "true"))
    assert (broken.returncode, "its check still fails" in broken.stderr) == (1, True)
