from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from lxc_dashboard import frontend
from lxc_dashboard.frontend import BUILD_ORIGIN, FrontendError, OwnOriginPlugin

COMPILED = (
    'var e={PING:`http://build.invalid/ping`,EVENT:`ws://build.invalid/_event`,OTHER:"http://build.invalid:80/x"};'
    "var hosts=[`localhost`,`0.0.0.0`,`::`,`0:0:0:0:0:0:0:0`];var other=`http://elsewhere.invalid/ping`;"
)


def test_compiled_addresses_become_the_pages_own_origin(tmp_path: Path) -> None:
    script = tmp_path / "assets" / "env.js"
    script.parent.mkdir()
    script.write_text(COMPILED)
    OwnOriginPlugin().post_build(static_dir=tmp_path)
    changed = script.read_text()
    own = f"(globalThis.location?location.origin:`{BUILD_ORIGIN}`)"
    assert f"PING:{own}+`/ping`" in changed
    assert f"EVENT:{own}+`/_event`" in changed
    assert f"OTHER:{own}+`/x`" in changed
    assert "hosts=[]" in changed
    assert "`http://elsewhere.invalid/ping`" in changed


@pytest.mark.parametrize("compiled", ["var e={};", COMPILED.partition("var hosts")[0], COMPILED.partition("};")[2]])
def test_a_frontend_that_reads_otherwise_fails_the_build(tmp_path: Path, compiled: str) -> None:
    (tmp_path / "env.js").write_text(compiled)
    with pytest.raises(FrontendError):
        OwnOriginPlugin().post_build(static_dir=tmp_path)


def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: str) -> Path:
    """A project of a few files whose build is ``build``, a Python script."""
    package = tmp_path / "lxc_dashboard"
    (package / "pages").mkdir(parents=True)
    (package / "text").mkdir()
    (package / "__init__.py").touch()
    (package / "pages" / "one.py").write_text("1")
    (package / "frontend_build.py").write_text(build)
    for name, content in {"rxconfig.py": "", "reflex.lock/package.json": "{}", "assets/x.css": "a"}.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    monkeypatch.setattr(frontend, "__file__", str(package / "frontend.py"))
    return tmp_path


COUNTING = "import pathlib; p = pathlib.Path('built'); p.write_text(p.read_text() + 'x' if p.exists() else 'x')"
ENVIRON = {"PATH": os.environ["PATH"], "NPM_CONFIG_REGISTRY": "http://registry.invalid/"}


def test_what_is_built_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(tmp_path, monkeypatch, COUNTING)
    builds: list[None] = []
    assert not frontend.is_built()
    assert frontend.ensure_built(ENVIRON, lambda: builds.append(None))
    assert frontend.is_built()
    assert not frontend.ensure_built(ENVIRON, lambda: builds.append(None))
    assert (root / "built").read_text() == "x"
    assert len(builds) == 1
    assert frontend.ensure_built(ENVIRON, force=True)


@pytest.mark.parametrize(
    "changed",
    ["rxconfig.py", "assets/x.css", "lxc_dashboard/pages/one.py", "lxc_dashboard/text/new.py", "reflex.lock/new"],
)
def test_a_changed_source_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    root = project(tmp_path, monkeypatch, COUNTING)
    frontend.ensure_built(ENVIRON)
    (root / changed).write_text("changed")
    assert not frontend.is_built()
    assert frontend.ensure_built(ENVIRON)


@pytest.mark.parametrize(
    "changed", ["lxc_dashboard/bus.py", "assets/external/x.js", "lxc_dashboard/pages/__pycache__/x.pyc"]
)
def test_what_does_not_reach_the_bundle_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    root = project(tmp_path, monkeypatch, COUNTING)
    frontend.ensure_built(ENVIRON)
    (root / changed).parent.mkdir(exist_ok=True)
    (root / changed).write_text("changed")
    assert frontend.is_built()


def test_who_may_not_write_there_serves_what_is_built_and_is_told_to_have_it_built_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project(tmp_path, monkeypatch, COUNTING)
    frontend.ensure_built(ENVIRON)
    lock = root / frontend.BUILD_LOCK
    lock.unlink()
    lock.mkdir()  # cannot be opened, even by root
    assert not frontend.ensure_built(ENVIRON)
    (root / "assets" / "x.css").write_text("changed")
    with pytest.raises(FrontendError, match="as its owner"):
        frontend.ensure_built(ENVIRON)


def test_a_lock_that_the_build_mended_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path, monkeypatch, "import pathlib; pathlib.Path('reflex.lock/package.json').write_text('[1]')")
    frontend.ensure_built(ENVIRON)
    assert frontend.is_built()


def test_a_lock_that_says_the_same_stays_as_it_was_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(
        tmp_path,
        monkeypatch,
        "import pathlib; pathlib.Path('reflex.lock/package.json').write_text('{ \"b\": 1, \"a\": {} }')",
    )
    (root / "reflex.lock" / "package.json").write_text('{"a":{},"b":1}')
    frontend.ensure_built(ENVIRON)
    assert (root / "reflex.lock" / "package.json").read_text() == '{"a":{},"b":1}'


def test_a_build_that_fails_says_its_last_words_and_leaves_no_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, monkeypatch, "print('no such package'); raise SystemExit(3)")
    with pytest.raises(FrontendError) as failed:
        frontend.ensure_built(ENVIRON)
    assert "no such package" in failed.value.detail
    assert not frontend.is_built()


def test_a_build_is_ended_when_it_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path, monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(frontend, "BUILD_TIMEOUT_S", 0.2)
    with pytest.raises(FrontendError):
        frontend.ensure_built(ENVIRON)


def test_two_at_once_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for callers that start after the first build has recreated the folder, as Reflex does."""
    anew = (
        "import os, shutil, time; shutil.rmtree('.web'); os.mkdir('.web'); open('begun', 'w').close(); time.sleep(1)\n"
    )
    root = project(tmp_path, monkeypatch, anew + COUNTING)
    threads = [threading.Thread(target=frontend.ensure_built, args=(ENVIRON,)) for _ in range(3)]
    threads[0].start()
    while not (root / "begun").exists():
        threads[0].join(0.01)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert (root / "built").read_text() == "x"


def test_the_build_is_told_of_node_npm_and_no_telemetry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(
        tmp_path, monkeypatch, "import json, os; json.dump(dict(os.environ), open('seen.json', 'w'), indent=0)"
    )
    frontend.ensure_built(ENVIRON)
    seen = (root / "seen.json").read_text()
    assert '"REFLEX_USE_NPM": "1"' in seen
    assert '"REFLEX_TELEMETRY_ENABLED": "false"' in seen
    assert '"NPM_CONFIG_REGISTRY": "http://registry.invalid/"' in seen
    assert f'"PATH": "{Path(sys.executable).parent}:' in seen


def test_the_registry_is_the_users_own(tmp_path: Path) -> None:
    (tmp_path / ".npmrc").write_text("registry=http://registry.invalid/of-mine/\n")
    child = frontend._build_environ({"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
    assert child["NPM_CONFIG_REGISTRY"] == "http://registry.invalid/of-mine/"


def test_the_server_serves_what_is_built_and_compiles_nothing() -> None:
    command = frontend.serve_command("127.0.0.1", 3005, workers=2)
    assert command[:3] == [sys.executable, "-m", "granian"]
    assert command[command.index("--port") + 1] == "3005"
    assert command[command.index("--workers") + 1] == "2"
    environ = frontend.serve_environ({"PATH": "x"})
    assert environ["__REFLEX_SKIP_COMPILE"] == "true"
    assert environ["PATH"] == "x"


def test_the_frontends_lock_names_no_registry() -> None:
    for file in (frontend.root() / "reflex.lock").iterdir():
        assert '"resolved"' not in file.read_text()
