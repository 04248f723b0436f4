"""The script that installs the marker, helpers and supervisor in a guest, in every shell of this machine."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from lxc_dashboard.errors import GuestError
from lxc_dashboard.guest import supervisor
from tests.unit.guest.supervised import SHELLS, SOURCES

OURS = "0a-marker"
NAMES = ("helpers.sh", "supervisor.sh")


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def shell(request: pytest.FixtureRequest) -> list[str]:
    found: list[str] = request.param
    return found


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a guest, with the product's folders in ``etc`` and ``lib``."""
    monkeypatch.setattr(supervisor, "GUEST_FOLDER", str(tmp_path / "etc"))
    monkeypatch.setattr(supervisor, "MARKER_FILE", str(tmp_path / "etc/id"))
    monkeypatch.setattr(supervisor, "STATE_FOLDER", str(tmp_path / "lib"))
    return tmp_path


def install(shell: list[str], marker: str = OURS) -> subprocess.CompletedProcess[bytes]:
    script = supervisor._install_script(marker).encode()
    return subprocess.run(shell, input=script, capture_output=True, check=False, umask=0o022)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_all_of_it_is_there_whole_and_nothing_else(shell: list[str], root: Path) -> None:
    assert install(shell).returncode == 0
    assert (root / "etc/id").read_text() == f"{OURS}\n"
    for name in NAMES:
        assert (root / "lib" / name).read_bytes() == (SOURCES / name).read_bytes()
    assert sorted(path.name for path in root.rglob("*") if path.is_file()) == sorted(["id", *NAMES])


def test_everybody_may_read_the_marker_and_nobody_else_what_runs(shell: list[str], root: Path) -> None:
    assert install(shell).returncode == 0
    assert [mode_of(root / name) for name in ("etc", "etc/id", "lib")] == [0o755, 0o444, 0o700]
    assert [mode_of(root / "lib" / name) for name in NAMES] == [0o600, 0o600]


def test_folders_that_came_with_the_guest_are_given_our_modes(shell: list[str], root: Path) -> None:
    (root / "etc").mkdir(mode=0o700)
    (root / "lib").mkdir(mode=0o777)
    assert install(shell).returncode == 0
    assert [mode_of(root / name) for name in ("etc", "lib")] == [0o755, 0o700]


def test_what_runs_is_not_written_over(shell: list[str], root: Path) -> None:
    """A shell reads its script while it runs, so an update must replace the file, not overwrite it."""
    (root / "lib").mkdir()
    running = root / "lib/supervisor.sh"
    running.write_text("an older one")
    with running.open() as open_still:
        assert install(shell).returncode == 0
        assert open_still.read() == "an older one"
    assert running.read_bytes() == (SOURCES / "supervisor.sh").read_bytes()


def test_a_second_time_changes_nothing(shell: list[str], root: Path) -> None:
    assert install(shell).returncode == 0
    marked_at = (root / "etc/id").stat().st_ino
    assert install(shell).returncode == 0
    assert (root / "etc/id").stat().st_ino == marked_at
    assert sorted(path.name for path in (root / "lib").iterdir()) == sorted(NAMES)


def test_a_guest_with_another_marker_is_left_alone(shell: list[str], root: Path) -> None:
    assert install(shell, "another").returncode == 0
    shutil.rmtree(root / "lib")
    refused = install(shell)
    assert (refused.returncode, refused.stderr) == (96, b"marker another\n")
    assert (root / "etc/id").read_text() == "another\n"
    assert list((root / "lib").iterdir()) == []


def test_what_is_in_the_way_is_told(shell: list[str], root: Path) -> None:
    (root / "lib").write_text("a file")
    refused = install(shell)
    assert refused.returncode not in {0, 96}
    assert b"File exists" in refused.stderr
    assert not (root / "etc/id").exists()


@pytest.mark.parametrize("marker", ["", "a b", "$(reboot)", "a\nb", "é"])
def test_what_is_no_marker_is_not_sent(marker: str) -> None:
    with pytest.raises(GuestError, match="marker"):
        supervisor._install_script(marker)
