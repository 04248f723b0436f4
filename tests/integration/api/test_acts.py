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


def done(api: Api, method: str, vmid: int, act: str, **body: Any) -> dict[str, Any]:
    """Request an act, wait for its end, and return the job."""
    made = api.ask(method, routes.api_act(vmid, act), json=body)
    assert made.status_code == 202, made.text
    at = made.headers["location"]
    api.ask("GET", f"{at}/log")  # ends with the job
    return dict(api.ask("GET", at).json())


def config(api: Api, vmid: int) -> dict[str, Any]:
    node = next(guest["node"] for guest in api.node.get("/cluster/resources?type=vm") if guest["vmid"] == vmid)
    return {"node": node, **api.node.get(f"/nodes/{node}/lxc/{vmid}/config")}


@pytest.fixture
def stopped(api: Api) -> dict[str, Any]:
    """A container of the demo, stopped."""
    found = [guest for guest in api.node.get("/cluster/resources?type=vm") if guest["type"] == "lxc"]
    guest = next(guest for guest in found if guest["status"] == "stopped" and not guest.get("lock"))
    return dict(guest)


def test_a_snapshot_is_taken_rolled_back_and_deleted(api: Api, stopped: dict[str, Any]) -> None:
    vmid, at = stopped["vmid"], f"/nodes/{stopped['node']}/lxc/{stopped['vmid']}"
    memory = config(api, vmid)["memory"]
    taken = done(api, "POST", vmid, "snapshots", name="before", description="Before the upgrade")
    assert (taken["state"], taken["message"].startswith("Took snapshot before of CT")) == ("done", True), taken
    api.node.ask("PUT", f"{at}/config", {"memory": memory + 64})
    assert config(api, vmid)["memory"] == memory + 64
    assert done(api, "POST", vmid, "snapshots/before/rollback")["state"] == "done"
    assert (config(api, vmid)["memory"], status(api, stopped)) == (memory, "stopped")
    assert done(api, "DELETE", vmid, "snapshots/before")["state"] == "done"
    assert [entry["name"] for entry in api.node.get(f"{at}/snapshot")] == ["current"]
    again = done(api, "DELETE", vmid, "snapshots/before")
    assert (again["state"], "snapshot 'before' does not exist" in json.dumps(again["error"])) == ("failed", True), again


def test_a_container_is_cloned_migrated_resized_backed_up_and_deleted(api: Api, stopped: dict[str, Any]) -> None:
    cloned = done(api, "POST", stopped["vmid"], "clone", hostname="copy", full=True)
    assert cloned["state"] == "done", cloned
    vmid = int(cloned["message"].rpartition("CT ")[2])
    assert config(api, vmid)["hostname"] == "copy"
    target = next(node["node"] for node in api.node.get("/nodes") if node["node"] != stopped["node"])
    moved = done(api, "POST", vmid, "migrate", target=target)
    assert (moved["state"], config(api, vmid)["node"]) == ("done", target), moved
    assert done(api, "POST", vmid, "resize", disk="rootfs", size="64G")["state"] == "done"
    assert "size=64G" in config(api, vmid)["rootfs"]
    growth = api.ask("POST", routes.api_act(vmid, "resize"), json={"disk": "rootfs", "size": "+1G"})
    assert (growth.status_code, set(growth.json()["error"]["fields"])) == (422, {"size"}), growth.text
    shrunk = done(api, "POST", vmid, "resize", disk="rootfs", size="1M")
    assert (shrunk["state"], "unable to shrink disk size" in json.dumps(shrunk["error"])) == ("failed", True), shrunk
    backed_up = done(api, "POST", vmid, "backups", storage="local", notes="By the test")
    assert backed_up["state"] == "done", backed_up
    archives = api.node.get(f"/nodes/{target}/storage/local/content?content=backup&vmid={vmid}")
    assert len(archives) == 1
    refused = api.ask("DELETE", routes.api_act(vmid, ""), json={"confirm": stopped["vmid"]})
    assert (refused.status_code, f"is to be deleted: {vmid}" in refused.text) == (409, True), refused.text
    assert done(api, "DELETE", vmid, "", confirm=vmid)["state"] == "done"
    assert vmid not in [guest["vmid"] for guest in api.node.get("/cluster/resources?type=vm")]


def test_a_running_or_protected_container_is_not_deleted(api: Api, stopped: dict[str, Any]) -> None:
    found = api.node.get("/cluster/resources?type=vm")
    running = next(guest for guest in found if guest["type"] == "lxc" and guest["status"] == "running")
    refused = api.ask("DELETE", routes.api_act(running["vmid"], ""), json={"confirm": running["vmid"]})
    assert (refused.status_code, "runs. Stop it first" in refused.text) == (409, True), refused.text
    at = f"/nodes/{stopped['node']}/lxc/{stopped['vmid']}/config"
    api.node.ask("PUT", at, {"protection": 1})
    refused = api.ask("DELETE", routes.api_act(stopped["vmid"], ""), json={"confirm": stopped["vmid"]})
    assert (refused.status_code, "is protected" in refused.text) == (409, True), refused.text
    api.node.ask("PUT", at, {"protection": 0})
