"""Programs and the command line start and stop containers: the worker acts with the caller's token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lxc_dashboard import routes
from tests.integration.api.conftest import Api
from tests.integration.api.test_command import ran


@pytest.fixture
def guest(api: Api) -> dict[str, Any]:
    """A running container. PVE's cluster list may give no name, or CT<vmid>, in its first seconds."""
    made = api.create(hostname="acts", disk_gib=1, memory_mib=256)
    assert api.until_ended(made["id"])["state"] == "done"
    return made


def status(api: Api, guest: dict[str, Any]) -> str:
    return str(api.node.get(f"/nodes/{guest['node']}/lxc/{guest['vmid']}/status/current")["status"])


def test_a_container_is_stopped_and_started_by_request(api: Api, guest: dict[str, Any]) -> None:
    for act, after, told in (("stop", "stopped", "Stopped"), ("start", "running", "Started")):
        made = api.ask("POST", routes.api_act(guest["vmid"], act))
        assert made.status_code == 202, made.text
        at = made.headers["location"]
        log = [json.loads(line) for line in api.ask("GET", f"{at}/log").text.splitlines() if line.strip()]
        assert log[-1] == {"type": "end", "state": "done", "message": ""}
        subject = f"CT {guest['vmid']} {made.json()['name']}".strip()
        assert api.ask("GET", at).json()["message"] == f"{told} {subject}"
        assert status(api, guest) == after


def test_the_command_line_acts_follows_and_ends_with_the_jobs_status(api: Api, guest: dict[str, Any]) -> None:
    vmid = str(guest["vmid"])
    ended, out, err = ran(api, "stop", vmid, command="act")
    assert (ended, status(api, guest)) == (0, "stopped"), err
    assert f"Stopped CT {vmid}" in out
    assert f"Stopped CT {vmid}" in err
    ended, out, err = ran(api, "stop", vmid, "--json", command="act")
    assert (ended, json.loads(out)["state"], ": failed: " in err) == (3, "failed", True), err
    ended, out, _ = ran(api, "start", vmid, "--no-follow", "--json", command="act")
    assert (ended, json.loads(out)["kind"]) == (0, "container.start")


def test_the_command_line_lists_jobs_of_all_kinds_and_filters_them(api: Api, guest: dict[str, Any]) -> None:
    vmid = str(guest["vmid"])
    assert ran(api, "stop", vmid, command="act")[0] == 0
    ended, out, err = ran(api, "--vmid", vmid, "--user", "root@pam", "--json", command="jobs")
    assert ended == 0, err
    assert [(job["kind"], job["state"]) for job in json.loads(out)] == [
        ("container.stop", "done"),
        ("container.create", "done"),
    ]
    ended, out, _ = ran(api, "--vmid", vmid, "--kind", "container.stop", "--state", "done", command="jobs")
    title, line = out.splitlines()
    assert (ended, title.split()) == (0, ["id", "kind", "ct", "name", "node", "user", "state", "created"])
    assert line.split()[1:3] == ["container.stop", vmid]
    ended, out, err = ran(api, "--state", "odd", command="jobs")
    assert (ended, out, "state: Must be one of queued" in err) == (1, "", True), err


def test_the_command_line_is_refused_by_a_busy_container_and_names_the_job(api: Api) -> None:
    made = api.create(hostname="busy", disk_gib=1, memory_mib=256, pause_after_create=True)
    api.until(lambda: api.read(made["id"])["state"] == "paused")
    ended, out, err = ran(api, "start", str(made["vmid"]), command="act")
    assert (ended, out) == (1, "")
    assert f"{api.stack.url}{routes.job(made['id'])}" in "".join(err.splitlines())
    assert api.ask("POST", f"{routes.api_job(made['id'])}/cancel").status_code == 202
    ended, _, err = ran(api, "start", "7777", command="act")
    assert (ended, "There is no CT 7777" in err) == (1, True), err
