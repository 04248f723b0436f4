"""``lxc-dashboard template``, without any service."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lxc_dashboard import cli
from lxc_dashboard.errors import ConflictError, InvalidInputError
from lxc_dashboard.settings import Settings

CONF = "TEMPLATE_OS=debian\n"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the product's settings from the environment."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def template(root: Path, name: str, conf: str = CONF, **scripts: str) -> Path:
    folder = root / name
    (folder / "container-configs/scripts").mkdir(parents=True)
    (folder / "template.conf").write_text(conf)
    for script, text in scripts.items():
        (folder / f"container-configs/scripts/{script}.sh").write_text(text)
    return folder


def lint(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, ["template", "lint", *map(str, arguments)])


def test_the_group_names_its_commands() -> None:
    shown = CliRunner().invoke(cli.app, ["template", "--help"]).output
    assert all(re.search(rf"\b{word}\b", shown) for word in ("list", "import", "export", "lint", "sync"))


def test_sound_templates_make_no_line(tmp_path: Path) -> None:
    template(tmp_path, "web", core="set -e\ntrue\n")
    result = lint(tmp_path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "1 read, 0 refused, 0 findings" in result.stderr


def test_each_fault_is_a_line_with_its_file_and_line(tmp_path: Path) -> None:
    template(tmp_path, "bad", "# first\nid\n")
    template(tmp_path, "web", CONF + "TEMPLATE_CUP=2 # [bold]\n", core="true\necho $never\n")
    result = lint(tmp_path)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{tmp_path}/bad/template.conf:2: error: id is a command, and commands are never run: only assignments are read",
        f"{tmp_path}/web/container-configs/scripts/core.sh:2: warning: never is referenced but not assigned. (SC2154)",
        f"{tmp_path}/web/template.conf:2: warning: TEMPLATE_CUP is no key of a template and is ignored: is TEMPLATE_CPU meant?",
    ]


def test_findings_alone_fail_only_where_asked(tmp_path: Path) -> None:
    folder = template(tmp_path, "web", core="echo $never\n")
    assert lint(folder).exit_code == 0
    assert lint(folder, "--strict").exit_code == 1


def test_for_machines_it_is_json(tmp_path: Path) -> None:
    folder = template(tmp_path, "web", core="echo $never\n")
    template(tmp_path, "bad", "id\n")
    result = lint(folder, tmp_path / "bad", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["ok"] is False
    assert told["paths"][0]["templates"] == [
        {
            "name": "web",
            "findings": [
                {
                    "file": f"{folder}/container-configs/scripts/core.sh",
                    "line": 1,
                    "message": "never is referenced but not assigned. (SC2154)",
                    "code": "SC2154",
                }
            ],
        }
    ]
    assert [refusal["line"] for refusal in told["paths"][1]["refused"]] == [1]


def test_an_archive_is_read_like_a_folder(tmp_path: Path) -> None:
    archive = tmp_path / "web.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("web/template.conf", CONF + "TEMPLATE_UNPRIVILEGED=0\n")
        written.writestr("bad/template.conf", "TEMPLATE_CPU=$(id)\n")
    result = lint(archive)
    assert result.exit_code == 1
    bad, *web = result.stdout.splitlines()
    assert bad.startswith(f"{archive}/bad/template.conf:1: error: ")
    assert {line.partition(" warning: ")[0] for line in web} == {f"{archive}/web/template.conf:"}
    assert any("asks for a privileged container" in line for line in web)


def test_zip_slip_and_what_is_no_archive_are_refused(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as written:
        written.writestr("../outside/template.conf", CONF)
    slip = tmp_path / "slip.zip"
    slip.write_bytes(data.getvalue())
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    result = lint(slip, tmp_path / "notes.txt", tmp_path / "empty", tmp_path / "gone")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    assert "outside" in lines[0]
    assert lines[1:] == [
        f"{tmp_path}/notes.txt: error: is neither a zip nor a tar.gz",
        f"{tmp_path}/empty: error: contains no template.conf",
        f"{tmp_path}/gone: error: cannot be read: No such file or directory",
    ]
    assert not (tmp_path.parent / "outside").exists()


def test_nothing_in_a_template_is_run(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    template(tmp_path, "web", f"TEMPLATE_APP=$(touch {proof})\n", core=f"touch {proof}\n")
    template(tmp_path, "two", core=f"touch {proof}\n. <(touch {proof})\n")
    lint(tmp_path)
    assert not proof.exists()


def test_an_archive_that_is_there_is_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept.zip"
    kept.write_bytes(b"mine")
    result = CliRunner().invoke(cli.app, ["template", "export", "--all", "--output", str(kept)])
    assert isinstance(result.exception, ConflictError)
    assert kept.read_bytes() == b"mine"


@pytest.mark.parametrize("names", [[], ["web", "--all"]])
def test_an_export_needs_names_or_all(tmp_path: Path, names: list[str]) -> None:
    result = CliRunner().invoke(cli.app, ["template", "export", *names, "--output", str(tmp_path / "x.zip")])
    assert isinstance(result.exception, InvalidInputError)
    assert not (tmp_path / "x.zip").exists()


def test_only_who_holds_the_settings_of_the_installation_exports(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.app, ["template", "export", "--all", "--output", str(tmp_path / "x.zip")])
    assert isinstance(result.exception, InvalidInputError)
    assert {"DATABASE_URL", "ENCRYPTION_KEY"} <= result.exception.fields.keys()
    assert not (tmp_path / "x.zip").exists()
