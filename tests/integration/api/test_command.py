"""``lxc-dashboard create`` against the running product: its output, its status, and the job after it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lxc_dashboard import routes
from tests.integration.api.conftest import DEADLINE_S, Api
from tests.integration.api.test_runs import WAITS

COMMAND = [sys.executable, "-m", "lxc_dashboard.cli"]
SMALL = ["--set", "disk_gib=1", "--set", "memory_mib=256"]


def started(api: Api, *arguments: str, command: str = "create", token: str | None = None) -> subprocess.Popen[str]:
    environ = {"PATH": os.environ["PATH"], "PUBLIC_URL": api.stack.url, "PYTHONUNBUFFERED": "1"}
    known = api.token if token is None else token
    return subprocess.Popen(
        [*COMMAND, command, *arguments],
        env=environ | ({"PVE_API_TOKEN": known} if known else {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ran(
    api: Api, *arguments: str, command: str = "create", token: str | None = None, stdin: str = ""
) -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    process = started(api, *arguments, command=command, token=token)
    out, err = process.communicate(stdin, timeout=DEADLINE_S)
    assert api.token.partition("=")[2] not in out + err
    return process.returncode, out, err


def test_a_container_is_made_and_its_log_printed(api: Api) -> None:
    status, out, err = ran(
        api, "--template", "hello", "--set", "hostname=by-command", *SMALL, "--set", 'tags=["a","b"]'
    )
    assert (status, "1 of 3" in out.splitlines()) == (0, True), err
    assert "by-command is ready" in err
    assert api.node.guests("by-command")


def test_a_script_that_fails_is_the_commands_status(api: Api, tmp_path: Path) -> None:
    template = api.template(tmp_path, fails="echo about to fail\nexit 7\n")
    status, out, err = ran(api, "-t", template, "-s", "hostname=fails", *SMALL, "--json")
    assert (status, "fails: failed:" in err) == (3, True), err
    told = json.loads(out)
    assert (told["state"], told["error"]["phase"]) == ("failed", "syncing")


def test_what_is_wrong_is_told_by_field_and_nothing_is_made(api: Api) -> None:
    status, out, err = ran(api, "--set", "hostname=-", "--set", "cores=many", "--template", "none-such")
    assert (status, out) == (1, "")
    for said in (
        "hostname: Letters, digits",
        "cores: Enter a whole number",
        "template: No template is called none-such",
    ):
        assert said in err
    status, _, err = ran(api, "--set", "hostname=x", "--set", "storage=elsewhere")
    assert status == 1
    assert "storage: You see no storage elsewhere on pve3" in err


def test_no_follow_ends_at_once_and_the_token_may_come_by_file_or_stdin(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{api.token}\n", encoding="utf-8")
    arguments = ["--no-follow", "--json", *SMALL, "--set"]
    status, out, _ = ran(api, *arguments, "hostname=by-file", "--token-file", str(file), token="")
    assert (status, json.loads(out)["hostname"]) == (0, "by-file")
    status, out, _ = ran(api, *arguments, "hostname=by-stdin", "--token-file", "-", token="", stdin=api.token)
    assert (status, json.loads(out)["hostname"]) == (0, "by-stdin")
    status, _, err = ran(api, *arguments, "hostname=without", token="")
    assert (status, "PVE_API_TOKEN" in err) == (1, True)
    status, _, err = ran(api, *arguments, "hostname=wrong", token="root@pam!no=01a20ac9-09fe-7108-a38a-673353762100")
    assert (status, "missing, wrong or no longer valid" in err) == (1, True)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Make Ctrl-C work as in a terminal: a shell's background process ignores it, and so do its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_ctrl_c_leaves_the_job_running_and_says_so(api: Api, tmp_path: Path) -> None:
    process = started(api, "-t", api.template(tmp_path, waits=WAITS), "-s", "hostname=left", *SMALL)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "begun":
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, "The job continues: " in err) == (130, True), err
    (guest,) = api.node.guests("left")
    listed = api.ask("GET", routes.API_CREATIONS, params={"unfinished": "true"}).json()["creations"]
    job_id = next(one["id"] for one in listed if one["vmid"] == guest["vmid"])
    api.node.run(guest["vmid"], "touch /root/go")
    assert api.until_ended(job_id)["state"] == "done"


def test_a_web_server_that_restarts_breaks_no_log(api: Api, tmp_path: Path) -> None:
    process = started(api, "-t", api.template(tmp_path, waits=WAITS), "-s", "hostname=restarted", *SMALL)
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.strip() == "begun":
            break
    api.stack.children["web"].stop()
    api.stack.start_web(api.stack.port)
    (guest,) = api.node.guests("restarted")
    api.node.run(guest["vmid"], "touch /root/go")
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    assert "Connection to the log lost" in err
    lines = [line.strip() for line in [*seen, *out.splitlines()]]
    assert (lines.count("begun"), lines.count("over")) == (1, 1)
