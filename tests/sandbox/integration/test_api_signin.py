"""Signing in: second factors, tokens, changed privileges, and tickets that expire."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pve_sandbox.api.access import sign_in
from pve_sandbox.demo_cluster import DEMO_PASSWORD, OPERATOR_PRIVILEGES, RECOVERY_KEYS, DemoCluster
from pve_sandbox.node import SandboxNode
from tests.sandbox.integration.api_session import anonymous, signed_in

# RFC 6238, appendix B: the last six digits of the SHA-1 column.
RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
RFC_CODES = {59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037"}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[SandboxNode]:
    async with SandboxNode(tmp_path, time_scale=0, stats_interval_s=0) as running:
        yield running


@pytest.mark.parametrize(("at", "code"), RFC_CODES.items())
def test_one_time_codes_are_those_of_the_standard(at: int, code: str) -> None:
    assert sign_in.code_at(RFC_SECRET, at // sign_in.STEP_S) == code
    assert sign_in.matching_step(RFC_SECRET, code, at, 0) == at // sign_in.STEP_S


@pytest.mark.parametrize(("later_s", "good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_code_is_good_one_step_early_and_one_late(later_s: int, good: bool) -> None:
    code = sign_in.code_at(RFC_SECRET, 1000)
    assert (sign_in.matching_step(RFC_SECRET, code, 1000 * sign_in.STEP_S + later_s, 0) is not None) is good


async def test_a_one_time_code_is_valid_once(node: SandboxNode) -> None:
    async with anonymous(node) as it:
        first = await it.post("/access/ticket", username="tfa@pve", password=DEMO_PASSWORD)
        answer = {"username": "tfa@pve", "tfa-challenge": first["ticket"], "password": "totp:" + node.totp_code()}
        assert (await it.post("/access/ticket", **answer))["ticket"].startswith("PVE:tfa@pve:")
        assert await it.refusal("POST", "/access/ticket", **answer) == (401, "authentication failure")
        answer["password"] = "totp:" + node.totp_code()
        assert (await it.post("/access/ticket", **answer))["username"] == "tfa@pve"


async def test_a_recovery_key_is_valid_once_and_is_missing_from_the_next_challenge(node: SandboxNode) -> None:
    async with anonymous(node) as it:
        first = await it.post("/access/ticket", username="tfa@pve", password=DEMO_PASSWORD)
        assert '"recovery"%3A[0,1,2]' in first["ticket"]
        answer = {"username": "tfa@pve", "tfa-challenge": first["ticket"], "password": "recovery:" + RECOVERY_KEYS[1]}
        await it.post("/access/ticket", **answer)
        assert (await it.refusal("POST", "/access/ticket", **answer))[0] == 401
        again = await it.post("/access/ticket", username="tfa@pve", password=DEMO_PASSWORD)
        assert '"recovery"%3A[0,2]' in again["ticket"]


async def test_a_challenge_of_one_user_does_not_serve_another(node: SandboxNode) -> None:
    async with anonymous(node) as it:
        first = await it.post("/access/ticket", username="tfa@pve", password=DEMO_PASSWORD)
        answer = {"username": "operator@pve", "tfa-challenge": first["ticket"], "password": "totp:" + node.totp_code()}
        assert (await it.refusal("POST", "/access/ticket", **answer))[0] == 401


async def test_a_ticket_renews_itself_until_it_expires(node: SandboxNode) -> None:
    async with anonymous(node) as it:
        first = await it.post("/access/ticket", username="viewer@pve", password=DEMO_PASSWORD)
        node.ticket_issuer.skew_s = 7100
        second = await it.post("/access/ticket", username="viewer@pve", password=first["ticket"])
        assert second["ticket"] != first["ticket"]
        node.ticket_issuer.skew_s = 7300
        again = {"username": "viewer@pve", "password": first["ticket"]}
        assert await it.refusal("POST", "/access/ticket", **again) == (401, "authentication failure")


async def test_expired_tickets_are_invalid(node: SandboxNode) -> None:
    async with signed_in(node) as it:
        await it.data("/version")
        node.expire_tickets()
        assert await it.refusal("GET", "/version") == (401, "permission denied - invalid PVE ticket")


async def test_a_failed_sign_in_comes_late(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0, auth_delay_s=0.2) as node, anonymous(node) as it:
        started = time.monotonic()
        assert (await it.refusal("GET", "/version"))[0] == 401
        assert time.monotonic() - started >= 0.2


async def test_a_token_has_its_own_rights_within_those_of_its_user(node: SandboxNode) -> None:
    token = "/access/users/operator@pve/token/ci"
    async with signed_in(node) as root, anonymous(node) as it:
        made = await root.post(token, privsep=1)
        assert made["full-tokenid"] == "operator@pve!ci"
        it.http.headers["Authorization"] = f"PVEAPIToken=operator@pve!ci={made['value']}"
        assert await it.data("/nodes/pve1/lxc") == []
        refused = await it.refusal("POST", "/nodes/pve1/lxc/101/status/stop")
        assert refused == (403, "Permission check failed (/vms/101, VM.PowerMgmt)")
        await root.write("PUT", "/access/acl", path="/vms/101", roles="Administrator", tokens="operator@pve!ci")
        assert [guest["vmid"] for guest in await it.data("/nodes/pve1/lxc")] == [101]
        held = await it.data("/access/permissions", path="/vms/101")
        assert set(held["/vms/101"]) == set(OPERATOR_PRIVILEGES.split())
        await root.write("DELETE", token)
        assert (await it.refusal("GET", "/version"))[0] == 401


async def test_a_token_without_separation_is_its_user(node: SandboxNode) -> None:
    async with signed_in(node) as root, anonymous(node) as it:
        made = await root.post("/access/users/viewer@pve/token/look", privsep=0)
        it.http.headers["Authorization"] = f"PVEAPIToken=viewer@pve!look={made['value']}"
        assert len(await it.data("/nodes/pve1/lxc")) == 4


async def test_rights_are_given_and_taken_through_the_acl(node: SandboxNode) -> None:
    async with signed_in(node) as root:
        await root.post("/access/users", userid="new@pve", password="new-password")
        async with signed_in(node, "new@pve", "new-password") as it:
            assert await it.data("/cluster/resources", type="vm") == []
            entry = {"path": "/pool/platform", "roles": "PVEVMUser", "users": "new@pve"}
            await root.write("PUT", "/access/acl", **entry)
            seen = {guest["name"] for guest in await it.data("/cluster/resources", type="vm")}
            assert seen == {"git", "runner-01", "runner-02"}
            held = await it.data("/access/permissions", path="/vms/108")
            assert held["/vms/108"]["VM.Console"] == 0  # held through a pool, and not propagated
            await root.write("PUT", "/access/acl", **entry, delete=1)
            assert await it.data("/cluster/resources", type="vm") == []


async def test_no_access_below_takes_back_what_is_held_above(node: SandboxNode) -> None:
    async with signed_in(node) as root, signed_in(node, "viewer@pve") as it:
        await root.write("PUT", "/access/acl", path="/vms/101", roles="NoAccess", users="viewer@pve")
        assert 101 not in {guest["vmid"] for guest in await it.data("/cluster/resources", type="vm")}
        refused = await it.refusal("GET", "/nodes/pve1/lxc/101/config")
        assert refused == (403, "Permission check failed (/vms/101, VM.Audit)")


async def test_a_disabled_user_is_out_at_once(node: SandboxNode) -> None:
    async with signed_in(node) as root, signed_in(node, "viewer@pve") as it:
        await root.write("PUT", "/access/users/viewer@pve", enable=0)
        assert (await it.refusal("GET", "/version"))[0] == 401


async def test_the_operator_has_what_the_product_needs_and_no_more(node: SandboxNode) -> None:
    async with signed_in(node, "operator@pve") as it:
        assert set((await it.data("/access/permissions", path="/"))["/"]) == set(OPERATOR_PRIVILEGES.split())
        assert await it.run("/nodes/pve1/lxc/101/status/stop") == "OK"
        refused = await it.refusal("PUT", "/access/acl", path="/", roles="Administrator", users="operator@pve")
        assert refused == (403, "Permission check failed (/, Permissions.Modify)")
        privileged = {"vmid": 300, "ostemplate": "local:vztmpl/x.tar.zst", "unprivileged": 0}
        assert (await it.refusal("POST", "/nodes/pve1/lxc", **privileged))[1].endswith("(/, Sys.Modify)")


async def test_passwords_given_at_the_start_count(tmp_path: Path) -> None:
    async with SandboxNode(tmp_path, time_scale=0):
        pass
    demo = DemoCluster(root_password="another-one")
    async with SandboxNode(tmp_path, time_scale=0, demo=demo) as node, signed_in(node, password="another-one") as it:
        assert (await it.data("/version"))["repoid"] == "sandbox"
