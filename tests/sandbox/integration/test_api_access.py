"""Users, roles and tokens through the API, as PVE keeps them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pve_sandbox.demo_cluster import OPERATOR_ROLE
from pve_sandbox.node import SandboxNode
from tests.sandbox.integration.api_session import Session, signed_in


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Session]:
    async with SandboxNode(tmp_path, time_scale=0, stats_interval_s=0) as node, signed_in(node) as session:
        yield session


async def test_a_user_is_added_changed_and_removed(it: Session) -> None:
    await it.post("/access/users", userid="new@pve", password="new-password", comment="first", groups="team")
    await it.write("PUT", "/access/users/new@pve", comment="second", email="new@example.org")
    read = await it.data("/access/users/new@pve")
    assert (read["comment"], read["email"], read["groups"]) == ("second", "new@example.org", ["team"])
    full = {user["userid"]: user for user in await it.data("/access/users", full=1)}
    assert full["new@pve"]["groups"] == "team"
    await it.write("PUT", "/access/acl", path="/", roles="PVEAuditor", users="new@pve")
    await it.write("DELETE", "/access/users/new@pve")
    assert await it.refusal("GET", "/access/users/new@pve") == (500, "no such user ('new@pve')")
    assert "new@pve" not in {entry["ugid"] for entry in await it.data("/access/acl")}


async def test_a_group_gives_its_members_what_it_holds(it: Session) -> None:
    await it.write("PUT", "/access/acl", path="/vms", roles="PVEVMAdmin", groups="team")
    await it.post("/access/users", userid="new@pve", password="new-password", groups="team")
    async with signed_in(it.node, "new@pve", "new-password") as member:
        assert await member.run("/nodes/pve1/lxc/101/status/stop") == "OK"
        assert [user["userid"] for user in await member.data("/access/users")] == ["new@pve"]


async def test_roles_are_listed_read_and_added(it: Session) -> None:
    roles = {role["roleid"]: role for role in await it.data("/access/roles")}
    assert roles["PVEAuditor"]["special"] == 1
    assert "VM.Allocate" in roles[OPERATOR_ROLE]["privs"].split(",")
    await it.post("/access/roles", roleid="Looker", privs="VM.Audit")
    assert await it.data("/access/roles/Looker") == {"VM.Audit": 1}
    assert await it.data("/access/roles/NoAccess") == {}
    assert (await it.refusal("GET", "/access/roles/none"))[0] == 500
    assert (await it.refusal("POST", "/access/roles", roleid="Looker"))[0] == 500


async def test_a_token_is_listed_changed_and_made_once(it: Session) -> None:
    token = "/access/users/operator@pve/token/ci"
    await it.post(token, comment="first", expire=0)
    assert (await it.refusal("POST", token))[0] == 400
    await it.write("PUT", token, comment="second", privsep=0)
    assert (await it.data(token))["comment"] == "second"
    assert [entry["tokenid"] for entry in await it.data("/access/users/operator@pve/token")] == ["ci"]
    assert (await it.refusal("GET", token + "x"))[0] == 500


async def test_an_acl_needs_a_known_role_and_somebody(it: Session) -> None:
    assert (await it.refusal("PUT", "/access/acl", path="/", roles="none", users="operator@pve"))[0] == 500
    assert (await it.refusal("PUT", "/access/acl", path="/", roles="PVEAuditor"))[0] == 400
    assert (await it.refusal("PUT", "/access/acl", path="/", roles="PVEAuditor", users="ghost@pve"))[0] == 500


async def test_users_change_their_password_with_the_old_one(it: Session) -> None:
    async with signed_in(it.node, "viewer@pve") as viewer:
        form = {"userid": "viewer@pve", "password": "the-next-one"}
        assert (await viewer.refusal("PUT", "/access/password", **form))[0] == 401
        await viewer.write("PUT", "/access/password", **form, **{"confirmation-password": "sandbox"})
    async with signed_in(it.node, "viewer@pve", "the-next-one") as viewer:
        await viewer.data("/version")


async def test_only_who_may_audit_access_reads_the_rights_of_others(it: Session) -> None:
    asked = {"userid": "operator@pve", "path": "/vms/101"}
    assert "VM.Console" in (await it.data("/access/permissions", **asked))["/vms/101"]
    await it.post("/access/users", userid="new@pve", password="new-password")
    async with signed_in(it.node, "new@pve", "new-password") as nobody:
        answer = await nobody.http.get("/access/permissions", params=asked)
        assert answer.reason_phrase == "Permission check failed (/access, Sys.Audit)"
        assert await nobody.data("/access/permissions") == {}
        assert (await nobody.data("/access/permissions", path="/vms/101")) == {"/vms/101": {}}


async def test_exactly_these_privileges_may_be_granted_for_a_test(it: Session) -> None:
    it.node.api.grant("new@pve", "/vms/101", "VM.Audit", "VM.PowerMgmt")
    assert set(it.node.api.privileges("new@pve", "/vms/101")) == {"VM.Audit", "VM.PowerMgmt"}
    assert not it.node.api.privileges("new@pve", "/vms/102")


async def test_a_token_never_sees_its_tasks_in_the_cluster_list(it: Session) -> None:
    it.node.api.grant("new@pve", "/vms", "VM.Audit", "VM.PowerMgmt")
    it.node.api.directory.users["new@pve"].password = "new-password"
    made = await it.post("/access/users/new@pve/token/ci", privsep=0)
    header = {"Authorization": f"PVEAPIToken=new@pve!ci={made['value']}", "Cookie": ""}
    answer = await it.http.post("/nodes/pve1/lxc/101/status/stop", headers=header)
    upid = answer.json()["data"]
    assert (await it.http.get("/cluster/tasks", headers=header)).json()["data"] == []
    assert (await it.http.get(f"/nodes/pve1/tasks/{upid}/status", headers=header)).json()["data"]["tokenid"] == "ci"
    async with signed_in(it.node, "new@pve", "new-password") as owner:
        assert [task["upid"] for task in await owner.data("/cluster/tasks")] == [upid]
    listed = await it.data("/nodes/pve1/tasks", userfilter="new@")
    assert [(task["user"], task["tokenid"]) for task in listed] == [("new@pve", "ci")]


async def test_storages_count_what_their_guests_take(it: Session) -> None:
    await it.data("/cluster/resources")
    storages = {item["storage"]: item for item in await it.data("/nodes/pve1/storage")}
    assert storages["local-lvm"]["used"] > 10 * 1024**3
    assert storages["local-lvm"]["used"] + storages["local-lvm"]["avail"] == storages["local-lvm"]["total"]


async def test_a_guest_moves_to_another_node(it: Session) -> None:
    assert await it.run("/nodes/pve1/lxc/101/migrate", target="pve2", restart=1) == "OK"
    assert (await it.data("/nodes/pve2/lxc/101/status/current"))["status"] == "running"
    assert it.node.node_of(101) == "pve2"


async def test_notes_end_with_a_line_break(it: Session) -> None:
    await it.write("PUT", "/nodes/pve1/lxc/101/config", description="kept by us")
    assert (await it.data("/nodes/pve1/lxc/101/config"))["description"] == "kept by us\n"


async def test_all_that_a_user_holds_has_the_members_of_pools_and_no_empty_path(it: Session) -> None:
    """As in the recording of PVE 9.2.11: CT 105 in a pool is listed besides ``/vms``."""
    await it.post("/access/users", userid="new@pve", password="new-password")
    await it.write("PUT", "/access/acl", path="/vms", roles="PVEVMUser", users="new@pve")
    await it.write("PUT", "/access/acl", path="/vms/112", roles="NoAccess", users="new@pve")
    async with signed_in(it.node, "new@pve", "new-password") as member:
        held = await member.data("/access/permissions")
    assert "VM.Console" in held["/vms/101"]
    assert {"/vms/112", "/"}.isdisjoint(held)
