"""``lxc-dashboard template`` on real services."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from lxc_dashboard import cli
from lxc_dashboard.errors import InvalidInputError, NotFoundError
from lxc_dashboard.settings import Settings

KEY = "cd" * 32


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str, tmp_path: Path) -> Path:
    """A folder of templates, and this test's own services as the command's settings."""
    root = tmp_path / "templates"
    root.mkdir()
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    own = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "ENCRYPTION_KEY": KEY, "TEMPLATES_DIR": str(root)}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    return root


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, ["template", *map(str, arguments)])


def write(root: Path, name: str, script: str = "true\n", conf: str = "TEMPLATE_OS=debian\n") -> None:
    scripts = root / name / "container-configs" / "scripts"
    scripts.mkdir(parents=True, exist_ok=True)
    (root / name / "template.conf").write_text(conf)
    (scripts / "10-core.sh").write_text(script)


def listed(*arguments: str) -> dict[str, dict[str, Any]]:
    found = json.loads(call("list", "--json", *arguments).stdout)
    return {f"{template['source']}/{template['name']}": template for template in found}


def audited(database_url: str) -> list[tuple[str, str, str, str]]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT userid, action, subject, result FROM audit_entry ORDER BY at")
        return [(userid, action, subject, result) for userid, action, subject, result in rows]


def test_a_folder_is_read_listed_and_read_again(folder: Path, database_url: str) -> None:
    write(folder, "web", 'set -e\necho $never\nDB_PASSWORD=hunter22\necho "$DB_PASSWORD"\n')
    first = call("sync", "templates-dir")
    assert (first.exit_code, first.stdout) == (0, "templates-dir: web added\n")
    assert listed()["templates-dir/web"]["findings"] == 2  # ShellCheck's and the password
    assert call("sync", "templates-dir").stdout == "templates-dir: no changes\n"
    (row,) = (line for line in call("list").stdout.splitlines() if line.startswith("web"))
    assert row.split() == ["web", "templates-dir", "r1", "debian", "1", "0", "0", "2", "findings"]
    assert ("cli", "source.sync", "templates-dir", "ok") in audited(database_url)


def test_findings_are_stored_with_the_revision_and_told_anew_with_the_next(folder: Path) -> None:
    write(folder, "web", "echo $never\n")
    call("sync", "templates-dir")
    assert listed()["templates-dir/web"]["findings"] == 1
    write(folder, "web", 'echo "$HOME"\n')
    assert call("sync", "templates-dir").stdout == "templates-dir: web changed\n"
    assert (listed()["templates-dir/web"]["findings"], listed()["templates-dir/web"]["revision"]) == (0, 2)


def test_all_sources_are_read_and_a_refused_template_is_status_1(folder: Path) -> None:
    write(folder, "bad", conf="TEMPLATE_APP=$(id)\n")
    result = call("sync")
    assert result.exit_code == 1
    assert "shipped: hello added" in result.stdout
    assert "templates-dir: bad/template.conf:1: error: " in result.stdout
    told = json.loads(call("sync", "--json").stdout)
    assert [refusal["line"] for report in told for refusal in report["refused"]] == [1]
    assert set(listed("--source", "shipped")) == {name for name in listed() if name.startswith("shipped/")}


def test_a_template_that_is_gone_is_told_and_an_unknown_source_is_an_error(folder: Path) -> None:
    write(folder, "web")
    call("sync", "templates-dir")
    (folder / "web").rename(folder.parent / "away")
    result = call("sync", "templates-dir")
    assert (result.exit_code, result.stdout) == (0, "templates-dir: web removed\n")
    assert listed()["templates-dir/web"]["missing_since"]
    assert isinstance(call("sync", "nowhere").exception, NotFoundError)


@pytest.mark.parametrize("name", ["all.zip", "all.tar.gz"])
def test_what_is_exported_is_imported_as_it_was(folder: Path, tmp_path: Path, database_url: str, name: str) -> None:
    write(folder, "web", "#!/bin/bash\n# Core\ntrue\n")
    write(folder, "db")
    call("sync", "templates-dir")
    first, second = tmp_path / name, tmp_path / f"again-{name}"
    assert call("export", "web", "db", "--output", first).exit_code == 0
    result = call("import", first)
    assert (result.exit_code, result.stdout) == (0, "imported: db added\nimported: web added\n")
    assert call("import", first).stdout == "imported: no changes\n"
    assert call("export", "imported/db", "imported/web", "--output", second).exit_code == 0
    assert first.read_bytes() == second.read_bytes()
    assert ("cli", "template.import", name, "ok") in audited(database_url)


def test_a_name_of_two_sources_must_say_which(folder: Path, tmp_path: Path) -> None:
    write(folder, "hello")
    call("sync")
    result = call("export", "hello", "--output", tmp_path / "x.zip")
    assert isinstance(result.exception, InvalidInputError)
    assert "shipped/hello, templates-dir/hello" in str(result.exception)
    assert call("export", "shipped/hello", "--output", tmp_path / "x.zip").exit_code == 0
    assert "No template is called gone" in str(call("export", "gone", "--output", tmp_path / "y.zip").exception)
    assert not (tmp_path / "y.zip").exists()


def test_an_archive_that_is_refused_stores_nothing_hides_no_other_and_is_audited(
    folder: Path, tmp_path: Path, database_url: str
) -> None:
    slip, good = tmp_path / "slip.zip", tmp_path / "good.zip"
    for path, member in ((slip, "../web/template.conf"), (good, "web/template.conf")):
        with zipfile.ZipFile(path, "w") as written:
            written.writestr(member, "TEMPLATE_OS=debian\n")
    result = call("import", slip, good)
    assert (result.exit_code, result.stdout) == (1, "imported: web added\n")
    assert "slip.zip: error: ../web/template.conf" in result.stderr
    assert set(listed()) == {"imported/web"}
    assert ("cli", "template.import", "slip.zip", "failed") in audited(database_url)
    assert isinstance(call("import", tmp_path / "gone.zip").exception, InvalidInputError)


def test_an_export_can_be_piped(folder: Path) -> None:
    write(folder, "web")
    call("sync", "templates-dir")
    result = call("export", "web", "--output", "-")
    assert (result.exit_code, result.stdout_bytes[:2]) == (0, b"\x1f\x8b")
