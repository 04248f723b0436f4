from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.proxmox import ProxmoxPool, TokenAuth
from lxc_dashboard.proxmox.schemas import TaskInfo
from lxc_dashboard.proxmox.schemas.tasks import user_of
from tests.unit.proxmox.replay import UPID, Identity, RawServer, data
from tests.unit.proxmox.task_double import client_of

TASKS = [
    {"upid": UPID.replace("120", vmid), "node": "pve1", "type": kind, "id": vmid, "starttime": at, **ended}
    for vmid, kind, at, ended in (
        ("120", "vzstart", 300, {}),
        ("120", "vzcreate", 200, {"endtime": 210, "status": "OK"}),
        ("120", "vzcreate", 100, {"endtime": 110, "status": "unable to create CT 120"}),
        ("121", "vzcreate", 400, {}),
    )
]


async def test_a_listed_task_says_whether_it_runs_and_how_it_ended(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data([*TASKS, TASKS[0] | {"status": "RUNNING"}])) as server:
        tasks = await client_of(pool, server).tasks.list("pve1")
    assert [task.running for task in tasks] == [True, False, False, True, True]
    assert [task.succeeded for task in tasks] == [False, True, False, False, False]


async def test_what_is_no_upid_is_refused_before_a_call(pool: ProxmoxPool, identity: Identity) -> None:
    async with RawServer(identity, lambda _: data(None)) as server:
        calls: list[Awaitable[Any]] = [client_of(pool, server).tasks.stop("OK"), client_of(pool, server).tasks.wait("")]
        for call in calls:
            with pytest.raises(InvalidInputError):
                await call
        assert server.seen == []


def test_a_task_is_of_the_user_who_began_it_by_ticket_or_token() -> None:
    users = ("ann@pve", "ann@pve!ci", "joann@pve", "ann@pve.test")
    assert [TaskInfo("x", user=user).is_of("ann@pve") for user in users] == [True, True, False, False]


@pytest.mark.parametrize("userid", ["a!b@pve", "ann@example.com@oidc", "root@pam!x@pve", "auth0|a=1;b,c@oidc"])
def test_a_users_name_may_hold_what_parts_it_from_a_tokens(userid: str) -> None:
    assert [user_of(authid) for authid in (userid, f"{userid}!ci")] == [userid, userid]
    assert TokenAuth(f"{userid}!ci", "s").userid == userid
    assert TaskInfo("x", user=f"{userid}!ci").is_of(userid)
