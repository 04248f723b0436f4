"""The README's first command on a fresh clone, run by an ordinary user with an empty home.

Only python3, git and make are installed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lxc_dashboard.embedded.folder import free_port
from tests.integration.commands.test_demo import PROJECT, Demo, command_line, wait_until_gone

MADE_WITHIN_S = 600
USER = "daemon"  # an account that every Linux has, and that owns no files
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
# The environment with which this machine's pip reaches its packages.
PASSED_ON = ("PIP_", "UV_", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY")
A_PYTHON = "import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 15))"

pytestmark = [pytest.mark.full, pytest.mark.timeout(MADE_WITHIN_S + 120)]


@dataclass(frozen=True)
class Newcomer:
    """The ordinary user. ``account`` None: the account that runs the tests is one already."""

    folder: Path
    account: pwd.struct_passwd | None

    def start(self, *command: str, output: Path) -> subprocess.Popen[bytes]:
        kept = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        environ = kept | {"PATH": SYSTEM_PATH, "HOME": str(self.folder / "home"), "PORT": str(free_port())}
        as_user: dict[str, Any] = {}
        if self.account:
            as_user = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        with output.open("wb") as out:
            return subprocess.Popen(
                command,
                cwd=self.folder / "clone",
                env=environ,
                stdout=out,
                stderr=out,
                start_new_session=True,
                **as_user,
            )


def clone_into(folder: Path) -> None:
    """Copy the files that a clone of this working tree would hold."""
    listing = ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this tree is no git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)


@pytest.fixture
def newcomer() -> Iterator[Newcomer]:
    folder = Path(tempfile.mkdtemp(prefix="lxc-dashboard-clone-"))
    folder.chmod(0o755)
    account = pwd.getpwnam(USER) if os.geteuid() == 0 else None
    found = Newcomer(folder, account)
    (folder / "home").mkdir()
    (folder / "clone").mkdir()
    clone_into(folder / "clone")
    if account:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
    try:
        if found.start("python3", "-c", A_PYTHON, output=folder / "probe").wait():
            pytest.skip("an ordinary user finds no Python 3.11 to 3.14 with venv here")
        yield found
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def make_demo(newcomer: Newcomer) -> Iterator[Callable[[], Demo]]:
    started: list[subprocess.Popen[bytes]] = []

    def make() -> Demo:
        output = newcomer.folder / f"output-{len(started)}"
        started.append(newcomer.start("make", "demo", output=output))
        demo = Demo(started[-1], output)
        demo.wait_for("Ctrl-C stops the demo", MADE_WITHIN_S)
        return demo

    yield make
    for process in started:
        process.kill()
        process.wait()


def test_make_demo_needs_nothing_but_python_and_make_and_kill_9_leaves_nothing(
    newcomer: Newcomer, make_demo: Callable[[], Demo]
) -> None:
    running = make_demo()
    family = running.family()
    assert len(family) > 8
    if newcomer.account:
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in family if b"postgres" in command_line(pid)}
        assert owners == {newcomer.account.pw_uid}
    running.process.send_signal(signal.SIGKILL)
    wait_until_gone(family)
