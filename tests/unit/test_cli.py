"""The command line, without any service."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lxc_dashboard import cli
from lxc_dashboard.commands.doctor import Check, Verdict, show_checks
from lxc_dashboard.commands.nodes import _address, _pair
from lxc_dashboard.commands.web import hold_port, port_answers
from lxc_dashboard.embedded.folder import free_port
from lxc_dashboard.errors import ConflictError, InvalidInputError
from lxc_dashboard.settings import Settings

KEY = "ab" * 32


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without settings of the product."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    return monkeypatch


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["lxc-dashboard", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_help_names_every_command() -> None:
    shown = CliRunner().invoke(cli.app, ["--help"]).output
    for command in ("demo", "web", "worker", "migrate", "sandbox", "node", "secrets", "doctor", "create", "act"):
        assert re.search(rf"\b{command}\b", shown)


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["node", "add"], "Usage: lxc-dashboard node add [OPTIONS]"),
        (["--help"], "Usage: lxc-dashboard [OPTIONS] COMMAND"),
        (["sandbox", "--help"], "usage: python -m pve_sandbox [-h]"),
    ],
)
def test_a_usage_line_names_a_command_that_can_be_typed(words: list[str], usage: str) -> None:
    """The installed command runs the same module."""
    command = [sys.executable, "-m", "lxc_dashboard.cli", *words]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert usage in " ".join((shown.stdout + shown.stderr).split())


def test_a_kind_of_guests_that_there_is_not_is_refused_before_anything_starts(listener: int) -> None:
    result = CliRunner().invoke(cli.app, ["demo", "--guests", "none-such", "--port", str(listener)])
    assert result.exit_code == 2
    assert "simulated" in result.output


@pytest.mark.parametrize("group", ["node", "secrets"])
def test_groups_name_their_commands(group: str) -> None:
    shown = CliRunner().invoke(cli.app, [group, "--help"]).output
    wanted = {"node": ("add", "list", "remove", "test"), "secrets": ("generate", "rotate")}[group]
    assert all(re.search(rf"\b{word}\b", shown) for word in wanted)


def test_a_generated_key_is_one_that_settings_take() -> None:
    made = CliRunner().invoke(cli.app, ["secrets", "generate"])
    key = made.stdout.strip()
    Settings.load({"DATABASE_URL": "postgresql://h/d", "REDIS_URL": "redis://h", "ENCRYPTION_KEY": key})
    assert key != CliRunner().invoke(cli.app, ["secrets", "generate"]).stdout.strip()


def test_a_command_without_settings_names_each_missing_variable(
    bare_environment: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_main(bare_environment, "migrate") == 1
    shown = capfd.readouterr().err
    assert "Traceback" not in shown
    for name in ("DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEY"):
        assert re.search(rf"{name} is not set", shown)


def test_doctor_without_settings_says_how_to_make_them(bare_environment: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(cli.app, ["doctor"])
    assert result.exit_code == 1
    assert "lxc-dashboard secrets generate" in result.output


def test_doctor_for_machines_is_json_with_all_checks(bare_environment: pytest.MonkeyPatch) -> None:
    bare_environment.setenv("ENCRYPTION_KEY", "short")
    result = CliRunner().invoke(cli.app, ["doctor", "--json"])
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["ok"] is False
    verdicts = {check["name"]: check["verdict"] for check in told["checks"]}
    assert verdicts["Python"] == "ok"
    assert verdicts["ENCRYPTION_KEY"] == "wrong"
    assert set(Settings.model_fields) <= verdicts.keys()


def test_doctor_shows_no_secret(bare_environment: pytest.MonkeyPatch) -> None:
    bare_environment.setenv("DATABASE_URL", "postgresql://user:planted-secret@127.0.0.1:1/x")
    bare_environment.setenv("REDIS_URL", "redis://:planted-secret@127.0.0.1:1/0")
    bare_environment.setenv("ENCRYPTION_KEY", KEY)
    result = CliRunner().invoke(cli.app, ["doctor", "--json"])
    assert "planted-secret" not in result.output
    assert KEY not in result.output
    verdicts = {check["name"]: check["verdict"] for check in json.loads(result.stdout)["checks"]}
    assert verdicts["PostgreSQL"] == verdicts["Redis"] == "wrong"


def test_doctor_warns_of_tls_that_is_not_verified(bare_environment: pytest.MonkeyPatch) -> None:
    bare_environment.setenv("PVE_VERIFY_TLS", "false")
    told = json.loads(CliRunner().invoke(cli.app, ["doctor", "--json"]).stdout)
    assert {check["name"]: check["verdict"] for check in told["checks"]}["PVE_VERIFY_TLS"] == "warning"


def test_demo_names_a_port_that_is_taken_and_another_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listener: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "demo", "--data", str(tmp_path / "demo"), "--port", str(listener)) == 1
    shown = capfd.readouterr().err
    assert f"Port {listener} is in use" in shown
    other = re.search(r"PORT=(\d+)", shown)
    assert other is not None
    with hold_port("127.0.0.1", int(other[1])):
        assert not (tmp_path / "demo").exists()


def test_a_port_that_listens_on_the_other_loopback_is_taken_too() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    port = server.getsockname()[1]
    with server, pytest.raises(ConflictError, match="is in use"), hold_port("127.0.0.1", port):
        raise AssertionError


def test_a_port_is_held_once_and_only_a_server_of_the_same_user_binds_it() -> None:
    port = free_port()
    with hold_port("127.0.0.1", port):
        for host in ("127.0.0.1", "0.0.0.0"):  # noqa: S104 -- as an operator may choose
            with pytest.raises(ConflictError, match=rf"^Port {port} is in use"), hold_port(host, port):
                raise AssertionError
        with socket.create_server(("127.0.0.1", port), reuse_port=True) as server:
            socket.create_connection(server.getsockname()).close()
            server.accept()[0].close()
    with hold_port("127.0.0.1", port):
        """Connections that the last server closed do not count."""


@pytest.mark.parametrize("host", ["localhost", "192.0.2.1"])
def test_a_host_that_cannot_be_bound_is_named(host: str) -> None:
    with pytest.raises(InvalidInputError) as refused, hold_port(host, free_port()):
        raise AssertionError
    assert "address" in refused.value.fields["--host"]


async def test_what_does_not_speak_http_does_not_answer(listener: int) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert not await port_answers("127.0.0.1", unused.getsockname()[1], "/")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pve1", ("pve1", 22)),
        ("pve1:2222", ("pve1", 2222)),
        ("192.0.2.1:22", ("192.0.2.1", 22)),
        ("2001:db8::1", ("2001:db8::1", 22)),
        ("[2001:db8::1]:2222", ("2001:db8::1", 2222)),
        ("[2001:db8::1]", ("2001:db8::1", 22)),
    ],
)
def test_addresses_of_doors(text: str, expected: tuple[str, int]) -> None:
    assert _address(text) == expected


@pytest.mark.parametrize("text", ["", ":22", "host:ssh", "[::1]:x", "host:0", "host:65536", "host:" + "9" * 5000])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInputError):
        _address(text)


def test_pairs() -> None:
    assert _pair("*=host:22", "--door") == ("*", "host:22")
    assert _pair("pve1=ssh-ed25519 AAAA==", "--host-key") == ("pve1", "ssh-ed25519 AAAA==")
    for text in ("host", "=host", "pve1="):
        with pytest.raises(InvalidInputError, match="NODE=VALUE"):
            _pair(text, "--door")


def test_only_what_is_wrong_makes_the_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    fine = Check("a", "x", Verdict.OK, "found [brackets]")
    doubtful = Check("a", "y", Verdict.WARNING, "hm", "do this")
    assert show_checks([fine, doubtful], as_json=False) == 0
    assert show_checks([fine, Check("b", "z", Verdict.WRONG, "broken", "mend it")], as_json=False) == 1
    shown = capsys.readouterr().out
    assert "found [brackets]" in shown
    assert "-> do this" in shown
    assert "-> mend it" in shown
