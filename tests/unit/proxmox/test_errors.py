"""Answers and failures without a recording: other versions, imitations of PVE, proxies, broken connections."""

from __future__ import annotations

import gzip
import json

import pytest

from lxc_dashboard import errors
from lxc_dashboard.proxmox import ProxmoxClient, ProxmoxPool, TokenAuth
from lxc_dashboard.proxmox.errors import from_response
from tests.unit.proxmox.replay import HANG_UP, Answer, Identity, RawServer, data, refusal


@pytest.mark.parametrize(
    "message",
    [
        "got timeout\n",
        "can't lock file '/x' - got timeout",
        "command 'lvs' timed out",
        "error during cfs-locked 'storage-x' operation: got lock request timeout",
    ],
)
def test_a_pve_that_was_too_slow_to_tell_is_asked_again_but_not_told_again(message: str) -> None:
    body = json.dumps({"data": None, "message": message}).encode()
    asked = from_response(status=500, reason=message, body=body, node="pve1:8006", path="/x", reading=True)
    assert isinstance(asked, errors.UnreachableError)
    assert asked.user_message == "PVE is too busy to answer"
    assert message.strip() in asked.detail
    told = from_response(status=500, reason=message, body=body, node="pve1:8006", path="/x")
    assert isinstance(told, errors.ApiError)


@pytest.mark.parametrize(
    ("message", "passes"),
    [
        ("unable to open file '/etc/pve/user.cfg' - Transport endpoint is not connected\n", 1),
        ("ipcc_send_rec[1] failed: Connection refused\n", 1),
        ("can't fork: Resource temporarily unavailable", 1),
        ("can't fork: Cannot allocate memory", 1),
        ("cluster not ready - no quorum?\n", 1),
        ("Configuration file 'nodes/pve1/lxc/999.conf' does not exist\n", 0),
        ("storage 'nfs' is not online", 0),
        ("mount error: mount.nfs: Connection refused", 0),
        ("CT is locked (backup)\n", 0),
    ],
)
def test_what_passes_is_asked_again_and_what_stays_is_told(message: str, passes: int) -> None:
    body = json.dumps({"data": None, "message": message}).encode()
    error = from_response(status=500, reason="", body=body, node="pve1:8006", path="/x", reading=True)
    assert error.retryable is bool(passes)
    assert error.user_message == f"{'PVE: ' * passes}{message.strip()}"


def test_what_a_cluster_without_quorum_refuses_is_wanted_again() -> None:
    message = "cluster not ready - no quorum?"
    body = json.dumps({"data": None, "message": f"{message}\n"}).encode()
    refused = from_response(status=500, reason=message, body=body, node="pve1:8006", path="/x")
    assert (refused.retryable, refused.user_message) == (True, f"PVE: {message}")


def privilege_error(message: str) -> errors.PrivilegeError:
    body = json.dumps({"data": None, "message": message}).encode()
    error = from_response(status=403, reason=message, body=body, node="pve1:8006", path="/nodes/pve1/lxc")
    assert isinstance(error, errors.PrivilegeError)
    return error


@pytest.mark.parametrize(
    ("message", "privilege", "path"),
    [
        ("Permission check failed (/vms/100, VM.Allocate)\n", "VM.Allocate", "/vms/100"),
        ("Permission check failed (/vms/100, VM.Config.Disk|VM.Config.CPU)", "VM.Config.Disk or VM.Config.CPU", "/vms/100"),
        ("Permission check failed (/sdn/zones/localnetwork/vmbr0/12, SDN.Use)", "SDN.Use", "/sdn/zones/localnetwork/vmbr0/12"),
        ("Permission check failed (/, Sys.Audit)", "Sys.Audit", "/"),
        ("Permission check failed (/, Sys.Modify for modifying tag 'web')", "Sys.Modify", "/"),
        ("Permission check failed (/pool/lab, VM.Allocate, Pool.Allocate)", "VM.Allocate or Pool.Allocate", "/pool/lab"),
        ("Permission check failed (changing feature flags (except nesting) is only allowed for root@pam)", "", ""),
        ("Permission check failed (user != root@pam)", "", ""),
        ("only root can set 'dev0' config", "", ""),
        ("", "", ""),
    ],
)  # fmt: skip
def test_a_403_names_privilege_and_path_where_pve_does(message: str, privilege: str, path: str) -> None:
    error = privilege_error(message)
    assert (error.privilege, error.path, error.detail) == (privilege, path, message.strip())


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Permission check failed (user != root@pam)\n", "Permission check failed (user != root@pam)"),
        (
            "Permission check failed (URI '/access/password' not available with API token, need proper ticket.\n)\n",
            "Permission check failed (URI '/access/password' not available with API token, need proper ticket. )",
        ),
        (
            "Permission check failed (/, Sys.Modify for modifying tag 'web')",
            "Sys.Modify at / is missing for modifying tag 'web'. An administrator can grant it in PVE",
        ),
        (
            "Permission check failed\n",
            "A privilege at this object is missing. An administrator can grant it in PVE",
        ),
        ("", "A privilege at this object is missing. An administrator can grant it in PVE"),
    ],
)
def test_a_403_shows_what_pve_says_where_it_names_no_privilege(message: str, shown: str) -> None:
    assert privilege_error(message).user_message == shown


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504, 520, 524, 595, 596, 599])
def test_what_stands_for_a_peer_that_is_down_is_unreachable(status: int) -> None:
    error = from_response(status=status, reason="no", body=b"<html>", node="pve1:8006", path="/nodes/pve%202/lxc")
    assert isinstance(error, errors.UnreachableError)
    assert error.user_message == "Node pve 2 does not answer"
    assert error.retryable


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"data":null,"message":"CT 101 already exists\\n"}', "CT 101 already exists"),
        (b"<html>Internal error</html>", "from the status line"),
        (b"\xff\xfe", "from the status line"),
        (b'["no", "object"]', "from the status line"),
        (b'{"message": 5, "errors": "none"}', "from the status line"),
        (b"", "from the status line"),
    ],
)
def test_a_refusal_says_what_the_body_or_the_status_line_says(body: bytes, message: str) -> None:
    error = from_response(status=500, reason="from the status line", body=body, node="pve1:8006", path="/x")
    assert isinstance(error, errors.ApiError)
    assert (error.message, error.user_message, error.fields) == (message, message, {})


@pytest.mark.parametrize("status", [404, 409, 422])
def test_statuses_of_other_doubles_are_refusals_with_their_message(status: int) -> None:
    error = from_response(status=status, reason="", body=b'{"message":"no such guest"}', node="pve1:8006", path="/x")
    assert isinstance(error, errors.ApiError)
    assert (error.status, error.message) == (status, "no such guest")


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("Not implemented", "This PVE does not have /nodes/pve1/tasks: Not implemented"),
        ("", "This PVE does not have /nodes/pve1/tasks: 501"),
        ("Method 'GET /nodes/pve1/tasks' not implemented", "Method 'GET /nodes/pve1/tasks' not implemented"),
    ],
)
def test_a_call_that_pve_does_not_know_is_named(reason: str, shown: str) -> None:
    error = from_response(status=501, reason=reason, body=b"", node="pve1:8006", path="/nodes/pve1/tasks")
    assert error.user_message == shown


def test_a_refusal_without_any_words_still_says_its_status() -> None:
    error = from_response(status=500, reason="", body=b"", node="pve1:8006", path="/x")
    assert error.user_message == "PVE answered 500"


def client_of(pool: ProxmoxPool, server: RawServer, *, get_deadline_s: float = 5.0) -> ProxmoxClient:
    return pool.client(server.endpoint, TokenAuth("root@pam!t", "s"), get_deadline_s=get_deadline_s)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>sign in to the hotel's network</html>"),
        Answer(body=b'{"data": "\xff"}'),
        Answer(body=b'{"data": null}'),
        Answer(body=b"[" * 100_000),
        Answer(),
        data(["a", "list"]),
        data({"no": "version"}),
    ],
)
async def test_a_success_that_is_not_what_was_asked_for_is_an_api_error(
    answer: Answer, pool: ProxmoxPool, identity: Identity
) -> None:
    async with RawServer(identity, lambda _: answer) as server:
        with pytest.raises(errors.ApiError, match="Unexpected answer from PVE"):
            await client_of(pool, server).version()


async def test_a_start_without_a_upid_is_an_api_error(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data("OK")) as server:
        with pytest.raises(errors.ApiError, match="UPID"):
            await client_of(pool, server).lxc.start("pve1", 101)


async def test_a_redirect_is_refused_not_followed(pool: ProxmoxPool, identity: Identity) -> None:
    there = Answer("301 Moved Permanently", headers=(("Location", "https://elsewhere/"),))
    async with RawServer(identity, lambda _: there) as server:
        with pytest.raises(errors.ApiError, match="Moved Permanently"):
            await client_of(pool, server).version()


async def test_a_packed_answer_is_unpacked(pool: ProxmoxPool, identity: Identity) -> None:
    packed = Answer(body=gzip.compress(data({"version": "9.1.4"}).body), headers=(("Content-Encoding", "gzip"),))
    async with RawServer(identity, lambda _: packed) as server:
        assert (await client_of(pool, server).version()).version == "9.1.4"


async def test_a_connection_that_closes_instead_of_an_answer_is_unreachable(
    pool: ProxmoxPool, identity: Identity
) -> None:
    async with RawServer(identity, lambda _: HANG_UP) as server:
        with pytest.raises(errors.UnreachableError) as caught:
            await client_of(pool, server).lxc.start("pve1", 101)
        assert server.calls() == ["POST /nodes/pve1/lxc/101/status/start"]
    assert caught.value.node == server.endpoint.authority
    assert caught.value.path == "/nodes/pve1/lxc/101/status/start"


async def test_nobody_at_the_port_is_unreachable(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: refusal("500 no")) as server:
        client = client_of(pool, server)
    with pytest.raises(errors.UnreachableError):
        await client.version()


def test_a_refusal_that_nests_without_end_is_a_refusal() -> None:
    body = b'{"message":' + b"[" * 100_000
    assert isinstance(
        from_response(status=500, reason="", body=body, node="pve:8006", path="/version"), errors.ApiError
    )
