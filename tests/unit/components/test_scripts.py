from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from lxc_dashboard.components import code, widgets
from lxc_dashboard.components.scripts import remove_stale_links, script

SOURCES = Path(widgets.__file__).parent
FOLDER = "external/lxc_dashboard/components/widgets"


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "assets"


def test_a_script_is_found_under_the_address_that_it_is_imported_by(assets: Path) -> None:
    assert script(widgets.__name__, "widgets.js") == f"$/public/{FOLDER}/widgets.js"
    assert (assets / FOLDER / "widgets.js").read_bytes() == (SOURCES / "widgets.js").read_bytes()
    script(widgets.__name__, "copy_text.js")
    script(code.__name__, "code.js")
    assert sorted(file.name for file in (assets / FOLDER).iterdir()) == ["copy_text.js", "widgets.js"]


def test_a_link_into_another_tree_is_replaced_and_a_right_one_kept(assets: Path) -> None:
    script(widgets.__name__, "widgets.js")
    place = assets / FOLDER / "widgets.js"
    made = place.lstat().st_ino
    script(widgets.__name__, "widgets.js")
    assert place.lstat().st_ino == made
    place.unlink()
    place.symlink_to(assets / "elsewhere.js")
    script(widgets.__name__, "widgets.js")
    assert place.resolve() == SOURCES / "widgets.js"


def test_a_wrong_name_raises(assets: Path) -> None:
    with pytest.raises(FileNotFoundError):
        script(widgets.__name__, "no.js")
    assert not assets.exists()


def test_processes_that_start_at_once_remove_links_to_scripts_that_moved(assets: Path) -> None:
    script(widgets.__name__, "widgets.js")
    moved = assets / "external" / "lxc_dashboard" / "components" / "moved"
    moved.mkdir()
    for number in range(500):
        (moved / f"{number}.js").symlink_to(assets / "gone.js")
    together = Barrier(8)

    def start(_: int) -> None:
        together.wait()
        remove_stale_links()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(start, range(8)))
    assert not moved.exists()
    assert (assets / FOLDER / "widgets.js").is_symlink()
