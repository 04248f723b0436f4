"""The README's steps to add a PVE, on a sandbox of two nodes."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lxc_dashboard import cli
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.settings import Settings
from tests.unit.test_docs import ROOT, fenced

KEY = "cd" * 32


@pytest.fixture
def _environment(monkeypatch: pytest.MonkeyPatch, empty_database_url: str, redis_url: str) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    for name, value in {"DATABASE_URL": empty_database_url, "REDIS_URL": redis_url, "ENCRYPTION_KEY": KEY}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def node_side(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The description of a sandbox in another process, as the commands block this one."""
    command = [sys.executable, "-m", "pve_sandbox", "--data", str(tmp_path / "node"), "--guests", "simulated"]
    with subprocess.Popen([*command, "--nodes", "2", "--containers", "0"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def call(words: list[str]) -> Result:
    return CliRunner().invoke(cli.app, words)


def here(line: str, node_side: dict[str, Any], key_file: Path) -> list[str]:
    """The README's command with this sandbox's addresses instead of the examples."""
    words = shlex.split(line)[1:]
    door = f"127.0.0.1:{node_side['ssh_port']}"
    words = [word.replace("~/.ssh/lxc_dashboard", str(key_file)) for word in words]
    words = [f"{word.partition('=')[0]}={door}" if "=" in word else word for word in words]
    words = [word.replace("pve1.example.org", "127.0.0.1") for word in words]
    return [*words, "--port", str(node_side["api_port"]), "--yes"] if "add" in words else words


@pytest.mark.usefixtures("_environment")
def test_the_readme_leads_to_an_endpoint_with_a_door_for_each_node(node_side: dict[str, Any], tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(node_side["ssh_client_key"])
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [line for line in fenced(text) if line.split()[1] in {"migrate", "node"}]
    assert [line.split()[1:3] for line in lines] == [["migrate"], ["node", "add"], ["node", "test"]]
    for line in lines:
        result = call(here(line, node_side, key_file))
        assert result.exit_code == 0, result.output
    assert result.output.count("signed in, pct works") == 2
    (node,) = json.loads(call(["node", "list", "--json"]).stdout)
    assert set(node["doors"]) == {"pve1", "pve2"}
    assert {door["host_key"] for door in node["doors"].values()} == {node_side["ssh_host_key"]}


@pytest.mark.usefixtures("_environment")
def test_a_second_node_add_replaces_the_registration(node_side: dict[str, Any]) -> None:
    api = ["--host", "127.0.0.1", "--port", str(node_side["api_port"]), "--fingerprint", node_side["fingerprint"]]
    door = ["--door", f"pve1=127.0.0.1:{node_side['ssh_port']}", "--host-key", f"pve1={node_side['ssh_host_key']}"]
    assert call(["migrate"]).exit_code == 0
    assert call(["node", "add", "home", *api, *door]).exit_code == 0
    assert call(["node", "add", "home", *api]).exit_code == 0
    (node,) = json.loads(call(["node", "list", "--json"]).stdout)
    assert node["doors"] == {}


@pytest.mark.usefixtures("_environment")
@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--door", "nope"], "--door"),
        (["--door", "pve1=h:0"], "--door"),
        (["--host-key", "pve1=ssh-ed25519 AAAA"], "--host-key"),
        (["--door", "pve1=127.0.0.1", "--host-key", "nope"], "--host-key"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_connected_to(options: list[str], field: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as pve:
        port = str(pve.getsockname()[1])
        refused = call(["node", "add", "home", "--host", "127.0.0.1", "--port", port, "--yes", *options])
        assert isinstance(refused.exception, InvalidInputError)
        assert list(refused.exception.fields) == [field]
        pve.setblocking(False)
        with pytest.raises(BlockingIOError):
            pve.accept()


@pytest.mark.usefixtures("_environment")
def test_a_cluster_that_is_registered_twice_is_told(node_side: dict[str, Any]) -> None:
    api = ["--port", str(node_side["api_port"]), "--fingerprint", node_side["fingerprint"]]
    assert call(["migrate"]).exit_code == 0
    first = call(["node", "add", "home", "--host", "127.0.0.1", *api])
    second = call(["node", "add", "work", "--host", "localhost", *api])
    assert "one cluster" not in first.output
    assert second.exit_code == 0
    assert "home and work are one PVE or one cluster" in " ".join(second.output.split())
    checks = json.loads(call(["doctor", "--json"]).stdout)["checks"]
    (told,) = [check for check in checks if check["name"] == "clusters"]
    assert (told["verdict"], told["found"]) == ("warning", "home and work are one PVE or one cluster")
