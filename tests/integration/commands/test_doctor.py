"""The commands that check services, on real ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lxc_dashboard import cli
from lxc_dashboard.db import migrate
from lxc_dashboard.errors import InvalidInputError, TlsError
from lxc_dashboard.settings import Settings

KEY = "cd" * 32
OTHER_KEY = "ef" * 32
FINGERPRINT = ":".join(["AB"] * 32)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> pytest.MonkeyPatch:
    """This test's own services as the command's settings."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    for name, value in {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "ENCRYPTION_KEY": KEY}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def examined() -> tuple[int, dict[str, dict[str, Any]]]:
    result = call("doctor", "--json")
    return result.exit_code, {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def add(name: str, *more: str) -> Result:
    return call("node", "add", name, "--host", "127.0.0.1", "--port", "1", "--fingerprint", FINGERPRINT, *more)


def listed() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = json.loads(call("node", "list", "--json").stdout)
    return nodes


def test_doctor_knows_servers_migrations_and_key(environment: pytest.MonkeyPatch) -> None:
    status, checks = examined()
    assert checks["PostgreSQL"]["found"].startswith("18.")
    assert checks["Redis"]["found"].startswith("valkey 9.")
    assert checks["migrations"]["verdict"] == "ok"
    assert checks["encryption key"]["verdict"] == "ok"
    assert status == 1  # no worker, no endpoint


def test_doctor_says_what_to_start_and_what_to_register(environment: pytest.MonkeyPatch) -> None:
    _, checks = examined()
    assert "lxc-dashboard worker" in checks["worker"]["remedy"]
    assert "lxc-dashboard node add" in checks["registered"]["remedy"]


def test_doctor_sends_to_migrate_where_the_database_is_empty(
    environment: pytest.MonkeyPatch, empty_database_url: str
) -> None:
    environment.setenv("DATABASE_URL", empty_database_url)
    _, checks = examined()
    assert checks["migrations"]["verdict"] == "wrong"
    assert "lxc-dashboard migrate" in checks["migrations"]["remedy"]


def test_doctor_names_an_endpoint_that_is_not_reached(environment: pytest.MonkeyPatch) -> None:
    assert add("home").exit_code == 0
    _, checks = examined()
    assert checks["API 127.0.0.1:1"]["verdict"] == "wrong"
    assert checks["API 127.0.0.1:1"]["remedy"]
    assert checks["SSH door"]["verdict"] == "warning"


def test_doctor_notices_a_key_that_opens_nothing(environment: pytest.MonkeyPatch, tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("planted-secret")
    assert add("home", "--tokenid", "root@pam!x", "--token-secret-file", str(secret)).exit_code == 0
    environment.setenv("ENCRYPTION_KEY", OTHER_KEY)
    _, checks = examined()
    assert checks["encryption key"]["verdict"] == "wrong"
    assert "OLD_ENCRYPTION_KEYS" in checks["encryption key"]["remedy"]


def test_migrate_takes_an_empty_database_to_the_newest_revision_and_back(
    environment: pytest.MonkeyPatch, empty_database_url: str
) -> None:
    environment.setenv("DATABASE_URL", empty_database_url)
    assert call("migrate").exit_code == 0
    assert migrate.current(empty_database_url) == migrate.head()
    assert "unchanged" in call("migrate").output
    assert call("migrate", "base", "--down").exit_code == 0
    assert migrate.current(empty_database_url) is None


def test_nodes_are_added_changed_and_removed(environment: pytest.MonkeyPatch) -> None:
    add("home")
    add("work", "--port", "2", "--default")
    assert {node["name"]: node["is_default"] for node in listed()} == {"home": False, "work": True}
    add("home", "--port", "3", "--door", "*=127.0.0.1:22", "--host-key", "*=ssh-ed25519 AAAA")
    (home,) = (node for node in listed() if node["name"] == "home")
    assert home["port"] == 3
    assert home["doors"] == {"*": {"host": "127.0.0.1", "port": 22, "host_key": "ssh-ed25519 AAAA"}}
    assert call("node", "remove", "home").exit_code == 0
    assert [node["name"] for node in listed()] == ["work"]


def test_the_first_node_is_the_default(environment: pytest.MonkeyPatch) -> None:
    add("home")
    assert [node["is_default"] for node in listed()] == [True]


def test_a_table_of_nodes_cuts_no_address(environment: pytest.MonkeyPatch) -> None:
    add("home", "--door", "pve1=a-rather-long-name.of-a-node.example.org:2222", "--host-key", "pve1=ssh-ed25519 AAAA")
    shown = call("node", "list").stdout
    assert "pve1 -> a-rather-long-name.of-a-node.example.org:2222" in shown


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--tokenid", "root@pam!x"], "--token-secret-file"),
        (["--tokenid", "root@pam", "--token-secret-file", "FILE"], "--tokenid"),
        (["--token-secret-file", "FILE"], "--tokenid"),
    ],
)
def test_half_a_token_is_refused(environment: pytest.MonkeyPatch, tmp_path: Any, given: list[str], named: str) -> None:
    file = tmp_path / "secret"
    file.write_text("planted-secret")
    result = add("home", *(word.replace("FILE", str(file)) for word in given))
    assert isinstance(result.exception, InvalidInputError)
    assert list(result.exception.fields) == [named]
    assert listed() == []


def test_a_ca_file_that_holds_no_certificate_is_refused(environment: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    result = call("node", "add", "home", "--host", "127.0.0.1", "--ca-file", str(tmp_path / "ca.pem"))
    assert isinstance(result.exception, TlsError)
    assert listed() == []


def test_secrets_move_to_a_new_key(environment: pytest.MonkeyPatch, tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("planted-secret")
    add("home", "--tokenid", "root@pam!x", "--token-secret-file", str(secret))
    environment.setenv("ENCRYPTION_KEY", OTHER_KEY)
    environment.setenv("OLD_ENCRYPTION_KEYS", KEY)
    assert call("secrets", "rotate").stdout.startswith("Secrets encrypted with the current key: 1")
    environment.delenv("OLD_ENCRYPTION_KEYS")
    _, checks = examined()
    assert checks["encryption key"]["verdict"] == "ok"


def test_rotating_without_the_old_key_names_what_cannot_be_read(environment: pytest.MonkeyPatch, tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("planted-secret")
    add("home", "--tokenid", "root@pam!x", "--token-secret-file", str(secret))
    environment.setenv("ENCRYPTION_KEY", OTHER_KEY)
    result = call("secrets", "rotate")
    assert result.exit_code != 0
    assert "proxmox_node.token_secret_enc" in result.output


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        (["https://127.0.0.1:7"], "127.0.0.1", 7),
        (["[::1]:7", "--port", "7"], "::1", 7),
        (["::1", "--port", "8"], "::1", 8),
    ],
)
def test_a_host_may_come_from_an_address_bar(
    environment: pytest.MonkeyPatch, given: list[str], host: str, port: int
) -> None:
    assert call("node", "add", "bar", "--fingerprint", FINGERPRINT, "--host", *given).exit_code == 0
    assert [(node["host"], node["port"]) for node in listed()] == [(host, port)]


@pytest.mark.parametrize("given", [["http://127.0.0.1:7"], ["pve one"], ["pve:7", "--port", "8"], ["https://pve:0"]])
def test_a_host_that_is_none_is_not_registered(environment: pytest.MonkeyPatch, given: list[str]) -> None:
    refused = CliRunner().invoke(cli.app, ["node", "add", "bar", "--fingerprint", FINGERPRINT, "--host", *given])
    assert isinstance(refused.exception, InvalidInputError)
    assert listed() == []
