"""Each exchange recorded from PVE, replayed over HTTPS, gives the right value or the right typed error."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import msgspec

from lxc_dashboard import errors
from lxc_dashboard.proxmox import ProxmoxClient, ProxmoxPool, TicketAuth, TokenAuth, answer_tfa, login
from lxc_dashboard.proxmox.auth import Ticket
from lxc_dashboard.proxmox.decoding import plain
from lxc_dashboard.proxmox.schemas import LogPage, LxcConfig
from tests.unit.proxmox.replay import RECORDED, Exchange, Identity, RawServer, check_all, replaying

Call = Callable[[ProxmoxClient, Exchange, Any], Awaitable[Any]]
ANYTHING = plain(Any)
TICKET = Ticket("root@pam", "PVE:root@pam:6B04B46C::x", "6B04B46C:x", 0.0)

CALLS: dict[str, Call] = {
    "GET /version": lambda c, e, _: c.version() if not e.query else c.get("/version", ANYTHING, e.query),
    "GET /access/domains": lambda c, _e, _: c.access.domains(),
    "GET /cluster/resources": lambda c, e, _: c.cluster.resources(e.query.get("type")),  # type: ignore[arg-type] # as recorded
    "GET /cluster/status": lambda c, _e, _: c.cluster.status(),
    "GET /cluster/tasks": lambda c, _e, _: c.cluster.tasks(),
    "GET /nodes": lambda c, _e, _: c.nodes.list(),
    "GET /pools": lambda c, _e, _: c.pools.list(),
    "GET /nodes/(.+)/status": lambda c, _e, m: c.nodes.status(m[1]),
    "GET /nodes/(.+)/network": lambda c, e, m: c.nodes.network(m[1], e.query.get("type")),
    "GET /nodes/(.+)/storage": lambda c, e, m: c.nodes.storage(m[1], e.query.get("content")),
    "GET /nodes/(.+)/storage/(.+)/content": lambda c, e, m: c.storage.content(m[1], m[2], e.query.get("content")),
    "GET /nodes/(.+)/aplinfo": lambda c, _e, m: c.nodes.aplinfo(m[1]),
    "POST /nodes/(.+)/aplinfo": lambda c, e, m: c.nodes.download_appliance(m[1], **e.form),
    "POST /nodes/(.+)/vzdump": lambda c, e, m: c.vzdump.create(
        m[1],
        int(e.form["vmid"]),
        e.form["storage"],
        mode="stop",
        options={"compress": e.form["compress"]},
    ),
    "GET /nodes/(.+)/tasks": lambda c, e, m: c.tasks.list(
        m[1],
        vmid=int(e.query["vmid"]) if "vmid" in e.query else None,
    ),
    "GET /nodes/(.+)/tasks/(.+)/status": lambda c, _e, m: c.tasks.status(m[2]),
    "GET /nodes/(.+)/tasks/(.+)/log": lambda c, e, m: c.tasks.log(m[2], start=int(e.query.get("start", "0"))),
    "DELETE /nodes/(.+)/tasks/(.+)": lambda c, _e, m: c.tasks.stop(m[2]),
    "GET /nodes/(.+)/lxc": lambda c, _e, m: c.lxc.list(m[1]),
    "GET /nodes/(.+)/lxc/(.+)/config": lambda c, e, m: c.lxc.config(m[1], int(m[2]), current="current" in e.query),
    "PUT /nodes/(.+)/lxc/(.+)/config": lambda c, e, m: c.lxc.set_config(m[1], int(m[2]), e.form),
    "GET /nodes/(.+)/lxc/(.+)/pending": lambda c, _e, m: c.lxc.pending(m[1], int(m[2])),
    "GET /nodes/(.+)/lxc/(.+)/status/current": lambda c, _e, m: c.lxc.status(m[1], int(m[2])),
    "POST /nodes/(.+)/lxc/(.+)/status/(start|stop|reboot)": lambda c, _e, m: getattr(c.lxc, m[3])(m[1], int(m[2])),
    "POST /nodes/(.+)/lxc/(.+)/status/shutdown": lambda c, e, m: c.lxc.shutdown(
        m[1], int(m[2]), timeout_s=int(e.form.get("timeout", "60")), force_stop="forceStop" in e.form
    ),
    "GET /nodes/(.+)/lxc/(.+)/interfaces": lambda c, _e, m: c.lxc.interfaces(m[1], int(m[2])),
    "GET /nodes/(.+)/lxc/(.+)/snapshot": lambda c, _e, m: c.lxc.snapshots(m[1], int(m[2])),
    "POST /nodes/(.+)/lxc/(.+)/snapshot": lambda c, e, m: c.lxc.create_snapshot(m[1], int(m[2]), e.form["snapname"]),
    "POST /nodes/(.+)/lxc/(.+)/snapshot/(.+)/rollback": lambda c, _e, m: c.lxc.rollback(m[1], int(m[2]), m[3]),
    "DELETE /nodes/(.+)/lxc/(.+)/snapshot/(.+)": lambda c, _e, m: c.lxc.delete_snapshot(m[1], int(m[2]), m[3]),
    "POST /nodes/(.+)/lxc/(.+)/clone": lambda c, e, m: c.lxc.clone(m[1], int(m[2]), int(e.form["newid"]), e.form),
    "PUT /nodes/(.+)/lxc/(.+)/resize": lambda c, e, m: c.lxc.resize(m[1], int(m[2]), **e.form),
    "DELETE /nodes/(.+)/lxc/([0-9]+)": lambda c, e, m: c.lxc.delete(m[1], int(m[2]), force=e.query.get("force") == "1"),
    "POST /nodes/(.+)/lxc/(.+)/termproxy": lambda c, _e, m: c.lxc.termproxy(m[1], int(m[2])),
    "GET /nodes/(.+)/lxc/(.+)/rrddata": lambda c, _e, m: c.lxc.rrddata(m[1], int(m[2]), "hour"),
}
"""The typed call for each recorded request. What no typed call would ever send goes out as it was recorded."""


def typed_call(exchange: Exchange) -> tuple[Call, Any]:
    for pattern, call in CALLS.items():
        found = re.fullmatch(pattern.replace("(.+)", "([^/]+)"), f"{exchange.method} {exchange.path}")
        if found is not None:
            return call, [unquote(group) for group in (found[0], *found.groups())]
    return as_recorded, None


async def as_recorded(client: ProxmoxClient, exchange: Exchange, _: Any) -> Any:
    if exchange.method in {"GET", "DELETE"}:
        return await getattr(client, exchange.method.lower())(exchange.path, ANYTHING, exchange.query)
    return await getattr(client, exchange.method.lower())(exchange.path, ANYTHING, exchange.form)


async def replay(pool: ProxmoxPool, identity: Identity, exchange: Exchange) -> tuple[Any, RawServer]:
    async with replaying(identity, exchange.name) as server:
        auth = None if exchange.path == "/access/domains" else TokenAuth("root@pam!test", "secret")
        client = pool.client(server.endpoint, auth)
        call, match = typed_call(exchange)
        try:
            return await call(client, exchange, match), server
        except errors.InvalidInputError:  # the typed call refuses to send it
            return await _error_of(as_recorded(client, exchange, None)), server
        except errors.DashboardError as error:
            return error, server


async def _error_of(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except errors.DashboardError as error:
        return error


def of_status(*statuses: int) -> list[str]:
    return [n for n, e in RECORDED.items() if e.status in statuses and e.path != "/access/ticket"]


async def test_a_recorded_success_becomes_its_value(pool: ProxmoxPool, identity: Identity) -> None:
    async def check(name: str) -> None:
        exchange = RECORDED[name]
        value, server = await replay(pool, identity, exchange)
        if isinstance(value, LogPage):
            assert agrees(value, exchange.body_json)
        else:
            assert agrees(value, exchange.data), f"{value!r} is not {exchange.data!r}"
        assert [unquote(call) for call in server.calls()] == [unquote(f"{exchange.method} {exchange.path}")]

    await check_all(of_status(200), check)


async def test_a_recorded_401_ends_the_session_with_its_reason(pool: ProxmoxPool, identity: Identity) -> None:
    async def check(name: str) -> None:
        error, _ = await replay(pool, identity, RECORDED[name])
        assert isinstance(error, errors.SessionExpiredError)
        assert error.detail == RECORDED[name].reason

    await check_all(of_status(401), check)


async def test_a_recorded_403_names_privilege_and_path(pool: ProxmoxPool, identity: Identity) -> None:
    async def check(name: str) -> None:
        error, _ = await replay(pool, identity, RECORDED[name])
        assert isinstance(error, errors.PrivilegeError)
        message = RECORDED[name].body_json["message"].strip()
        assert error.detail == message
        if "(/" in message:
            assert f"({error.path}, {error.privilege})" in message
        else:
            assert (error.privilege, error.path) == ("", "")

    await check_all(of_status(403), check)


FILESYSTEM_DOWN = [name for name in of_status(500) if name.startswith("pmxcfs_down")]
NO_QUORUM = [name for name in of_status(500) if "no quorum" in RECORDED[name].reason]


async def test_a_recorded_silence_is_unreachable_and_only_a_get_is_repeated(
    pool: ProxmoxPool, identity: Identity
) -> None:
    async def check(name: str) -> None:
        exchange = RECORDED[name]
        error, server = await replay(pool, identity, exchange)
        assert isinstance(error, errors.UnreachableError)
        assert exchange.reason in error.detail
        assert len(server.seen) == (3 if exchange.method == "GET" else 1)

    await check_all(of_status(595) + FILESYSTEM_DOWN + NO_QUORUM, check)


async def test_a_recorded_400_keeps_the_errors_by_field(pool: ProxmoxPool, identity: Identity) -> None:
    async def check(name: str) -> None:
        error, _ = await replay(pool, identity, RECORDED[name])
        assert isinstance(error, errors.ApiError)
        assert error.status == 400
        assert error.fields == {k: v.strip() for k, v in RECORDED[name].body_json["errors"].items()}
        assert all(field in error.user_message for field in error.fields)

    await check_all(of_status(400), check)


async def test_a_recorded_refusal_keeps_the_message_of_pve(pool: ProxmoxPool, identity: Identity) -> None:
    async def check(name: str) -> None:
        exchange = RECORDED[name]
        error, server = await replay(pool, identity, exchange)
        assert isinstance(error, errors.ApiError)
        assert error.status == exchange.status
        said = exchange.body_json["message"] if exchange.body_json is not msgspec.UNSET else exchange.reason
        assert error.message == said.strip()
        assert len(server.seen) == 1

    await check_all([name for name in of_status(500, 501, 506) if name not in FILESYSTEM_DOWN + NO_QUORUM], check)


def test_every_recorded_exchange_is_replayed() -> None:
    replayed = of_status(200, 400, 401, 403, 500, 501, 506, 595)
    assert len(replayed) + len(SIGN_INS) == len(RECORDED)


SIGN_INS = [name for name, exchange in RECORDED.items() if exchange.path == "/access/ticket"]


async def test_a_recorded_sign_in_gives_a_ticket_or_says_why_not(pool: ProxmoxPool, identity: Identity) -> None:
    async def check(name: str) -> None:
        exchange = RECORDED[name]
        async with replaying(identity, name) as server:
            client = pool.client(server.endpoint)
            result = await _error_of(_signing_in(client, exchange))
        if exchange.status == 200 and "NeedTFA" not in exchange.data:
            assert (result.userid, result.ticket) == (exchange.data["username"], exchange.data["ticket"])
            assert result.csrf_token == exchange.data["CSRFPreventionToken"]
            assert result.clustername == exchange.data.get("clustername", "")
        elif exchange.status == 200:
            assert isinstance(result, errors.TfaRequiredError)
            assert (result.challenge, result.kinds) == (exchange.data["ticket"], ("totp",))
        else:
            expected: dict[int, type[errors.DashboardError]] = {
                400: errors.InvalidCredentialsError,
                401: errors.InvalidCredentialsError,
                500: errors.UnreachableError,  # the cluster filesystem was down
                595: errors.UnreachableError,
            }
            assert type(result) is expected[exchange.status]

    await check_all(SIGN_INS, check)


async def _signing_in(client: ProxmoxClient, exchange: Exchange) -> Ticket:
    form = exchange.form
    if "tfa-challenge" in form:
        kind, _, code = form["password"].partition(":")
        return await answer_tfa(client, form["username"], form["tfa-challenge"], kind, code)
    return await login(client, form.get("username", ""), form.get("password", ""))


async def test_a_running_create_shows_only_its_lock(pool: ProxmoxPool, identity: Identity) -> None:
    async with replaying(identity, "lxc_config_while_creating") as server:
        config = await pool.client(server.endpoint, TicketAuth(TICKET)).lxc.config("pve1", 130)
    assert config.lock == "create"
    assert set(config.values) == {"lock", "digest"}


async def test_vmids_taken_anywhere_in_the_cluster_are_not_free(pool: ProxmoxPool, identity: Identity) -> None:
    async with replaying(identity, "cluster2_nextid_taken_other_node") as server:
        assert not await pool.client(server.endpoint).cluster.vmid_is_free(200)
    async with replaying(identity, "nextid_free_555") as server:
        assert await pool.client(server.endpoint).cluster.vmid_is_free(555)
    async with replaying(identity, "nextid") as server:
        assert await pool.client(server.endpoint).cluster.nextid() == 100


def agrees(value: Any, found: Any) -> bool:
    """Whether a typed ``value`` equals the recorded JSON in the fields that its type has."""
    if isinstance(value, LxcConfig):
        return value.values == {k: str(v) for k, v in found.items()}
    if isinstance(value, msgspec.Struct):
        fields = {f.encode_name: f.name for f in msgspec.structs.fields(value)}
        return all(agrees(getattr(value, fields[k]), v) for k, v in found.items() if k in fields)
    if isinstance(value, list):
        kept = [item for item in found or [] if not (isinstance(item, dict) and item.get("name") == "current")]
        return len(value) == len(kept) and all(map(agrees, value, kept))
    if isinstance(value, bool):
        return value == bool(int(found))
    if isinstance(value, int | float):
        return value == float(found)
    return bool(value == found) or value == str(found)
