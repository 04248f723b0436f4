"""An act on a container: done, shown and audited, once, and by who may."""

from __future__ import annotations

import asyncio

import pytest

from lxc_dashboard.errors import ApiError, ConflictError, PrivilegeError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.sandbox.node import SandboxNode
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.containers import lifecycle
from lxc_dashboard.services.containers.lifecycle import Act, Guest
from tests.integration.monitor.conftest import SignIn
from tests.integration.monitor.viewers import Seen, hub_of, looking


async def test_an_act_of_ours_is_done_shown_and_audited(rt: Runtime, sign_in: SignIn) -> None:
    seen = Seen()
    async with hub_of(rt, seen) as hub:
        session = await sign_in(rt, "operator@pve")
        await looking(hub, session, seen)
        vmid, row = next((vmid, row) for vmid, row in seen.rows.items() if row["name"] == "web-01")
        said = await lifecycle.act(rt, session, Guest(int(vmid), row["node"], "web-01"), Act.STOP)
        assert said == f"Stopped CT {vmid} web-01"
        await seen.until(lambda: seen.rows[vmid]["status"] == "stopped")
    async with rt.db.transaction() as tx:
        (entry,) = await tx.audit.list(action="container.stop")
    assert (entry.userid, entry.result, entry.subject) == ("operator@pve", "ok", f"CT {vmid} web-01")


async def test_what_ha_does_later_is_waited_for(rt: Runtime, sandbox: SandboxNode, sign_in: SignIn) -> None:
    session = await sign_in(rt, "root@pam")
    held = next(guest for guest in sandbox.api.cts if guest.status == "running")
    held.ha_state, sandbox.api.ha_delay = "started", 1 / sandbox.api.time_scale
    guest = Guest(held.vmid, held.node, "kept")
    for act, said, status in ((Act.STOP, "Stopped", "stopped"), (Act.START, "Started", "running")):
        assert await lifecycle.act(rt, session, guest, act) == f"{said} CT {held.vmid} kept"
        assert held.status == status


async def test_an_act_without_the_privilege_is_refused_by_pve_and_audited(rt: Runtime, sign_in: SignIn) -> None:
    session = await sign_in(rt, "viewer@pve")
    with pytest.raises(PrivilegeError) as caught:
        await lifecycle.act(rt, session, Guest(101, "pve2", "x"), Act.STOP)
    assert caught.value.privilege == "VM.PowerMgmt"
    async with rt.db.transaction() as tx:
        (entry,) = await tx.audit.list(action="container.stop")
    assert entry.result == "refused"


async def test_the_same_button_twice_acts_once(rt: Runtime, sign_in: SignIn) -> None:
    session = await sign_in(rt, "root@pam")
    client = await acting.client(rt, session)
    stopped = next(guest for guest in await client.cluster.resources("vm") if guest.status == "stopped")
    guest = Guest(stopped.vmid, stopped.node, "twice")
    results = await asyncio.gather(
        lifecycle.act(rt, session, guest, Act.START),
        lifecycle.act(rt, session, guest, Act.START),
        return_exceptions=True,
    )
    assert [isinstance(result, str) for result in results].count(True) == 1
    assert any(isinstance(result, ConflictError | ApiError) for result in results)
