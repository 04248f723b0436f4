"""A guest's console: a real shell behind PVE's websocket. Windows share it; the last one to close logs out."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lxc_dashboard.errors import ConflictError, NotFoundError, PrivilegeError, TlsError
from lxc_dashboard.proxmox.client import ProxmoxClient
from lxc_dashboard.proxmox.console import ConsoleSocket, connect
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.containers.console import console
from lxc_dashboard.services.creation.report import report
from pve_sandbox.demo_cluster import OPERATOR_PRIVILEGES
from tests.integration.creation.conftest import Lab
from tests.integration.endpoints import sign_in

ANSWERS_WITHIN_S = 60
CREATOR = OPERATOR_PRIVILEGES.split()


async def running_guest(lab: Lab) -> int:
    """Create a container whose console is a shell, and return its vmid."""
    job = await lab.finish(await lab.request(None))
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.wait(await client.lxc.stop(job.node, job.vmid))  # else the change is pending
    await client.lxc.set_config(job.node, job.vmid, {"cmode": "shell"})
    await client.tasks.wait(await client.lxc.start(job.node, job.vmid))
    return job.vmid


async def said(terminal: ConsoleSocket, typed: str, wanted: str, then: str = "") -> str:
    """Type, and return what the terminal shows until ``wanted`` appears, and ``then`` after it."""
    await terminal.type(typed.encode())
    shown = ""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            while wanted not in shown or then not in shown.partition(wanted)[2]:
                output = await terminal.read()
                assert output, shown
                shown += output.decode("utf-8", "replace")
    except TimeoutError:
        pytest.fail(f"{wanted!r} did not come: {shown[-500:]!r}")
    return shown


async def test_it_is_a_shell_of_the_asked_size_and_is_audited(lab: Lab) -> None:
    vmid = await running_guest(lab)
    async with console(lab.rt, lab.session, vmid) as terminal:
        await terminal.resize(132, 43)
        await said(terminal, "stty size\n", "43 132")
        await said(terminal, "seq 1 30000 | tail -n 20000; echo $((6*7))th\n", "42th")
        await terminal.keep_alive()
        await said(terminal, "hostname\n", "probe-")
    async with lab.rt.db.transaction() as tx:
        entries = await tx.audit.list(action="container.console")
    assert [(entry.userid, entry.result) for entry in entries] == [("root@pam", "ok")]


async def test_all_windows_share_it_and_the_last_one_logs_out(lab: Lab) -> None:
    vmid = await running_guest(lab)
    async with console(lab.rt, lab.session, vmid) as first:
        await said(first, "PS1=at'-'prompt; SECRET=planted; echo re''ady\n", "ready")
        async with console(lab.rt, lab.session, vmid) as second:
            await said(second, 'echo "<$SECRET>"\n', "<planted>")
        # Wait for the prompt: before it, the shell does not take Ctrl-D as end of input.
        await said(first, 'echo "still <$SECRET>"\n', "still <planted>", then="at-prompt")
    await lab.until(lab.sandbox.api._terminals[vmid].ended.is_set, "its shell has ended")
    async with console(lab.rt, lab.session, vmid) as later:
        await said(later, 'echo "now <$SECRET>"\n', "now <>")


async def test_a_stopped_or_unknown_guest_has_none(lab: Lab) -> None:
    vmid = await running_guest(lab)
    client = await acting.client(lab.rt, lab.session)
    await client.tasks.wait(await client.lxc.stop("pve1", vmid))
    with pytest.raises(ConflictError, match=r"stopped\. Start it first"):
        async with console(lab.rt, lab.session, vmid):
            pytest.fail("it is stopped")
    with pytest.raises(NotFoundError, match="no CT 999"):
        async with console(lab.rt, lab.session, 999):
            pytest.fail("it does not exist")


async def test_the_page_of_ones_own_job_offers_it_to_who_holds_the_right(lab: Lab) -> None:
    lab.sandbox.api.directory.acl[:] = [e for e in lab.sandbox.api.directory.acl if e.ugid != "viewer@pve"]
    lab.sandbox.api.grant("viewer@pve", "/", *CREATOR)
    lab.session = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    job_id = await lab.request(None)
    await lab.finish(job_id)
    assert (await report(lab.rt, lab.session, job_id)).view.may_console
    lab.sandbox.api.directory.acl[:] = [e for e in lab.sandbox.api.directory.acl if e.ugid != "viewer@pve"]
    lab.sandbox.api.grant("viewer@pve", "/", *(privilege for privilege in CREATOR if privilege != "VM.Console"))
    assert not (await report(lab.rt, lab.session, job_id)).view.may_console


async def test_one_without_the_right_is_refused_and_that_is_audited(lab: Lab) -> None:
    vmid = await running_guest(lab)
    viewer = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    with pytest.raises(PrivilegeError, match=r"VM\.Console"):
        async with console(lab.rt, viewer, vmid):
            pytest.fail("viewers only look")
    async with lab.rt.db.transaction() as tx:
        entries = await tx.audit.list(action="container.console")
    assert [(entry.userid, entry.result) for entry in entries] == [("viewer@pve", "refused")]


async def test_a_changed_certificate_is_never_sent_the_ticket(lab: Lab) -> None:
    client = await acting.client(lab.rt, lab.session)
    other = replace(client.endpoint, fingerprint="AB" * 32)
    with pytest.raises(TlsError):
        await connect(ProxmoxClient(other, client._https, client.auth))
