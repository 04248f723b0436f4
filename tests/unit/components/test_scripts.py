from __future__ import annotations

from pathlib import Path

import pytest

from lxc_dashboard.components import code, widgets
from lxc_dashboard.components.scripts import script

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
