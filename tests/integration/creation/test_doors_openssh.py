"""SSH into the guest itself, with the OpenSSH server of Debian."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.creation import access, service
from pve_sandbox.guests.host import run_in
from pve_sandbox.guests.running_guest import RunningGuest
from tests.integration.creation.conftest import register
from tests.integration.creation.counting import check_exact, counting, let_go

if TYPE_CHECKING:
    from lxc_dashboard.settings import Settings
    from pve_sandbox.guests.host import GuestHost
    from pve_sandbox.node import SandboxNode
    from tests.integration.creation.conftest import Lab

INSTALLED_WITHIN_S = 200.0
SSHD_LOG = "/root/sshd.log"
# The package must not start sshd: the last line starts it with a log of accepted keys.
INSTALL = f"""set -e
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
fetch='-o Acquire::Retries=1 -o Acquire::http::Timeout=10'
apt-get $fetch --error-on=any update && apt-get $fetch install -y --no-install-recommends openssh-server
mkdir -p /run/sshd
/usr/sbin/sshd -E {SSHD_LOG} -o LogLevel=VERBOSE
"""
pytestmark = [pytest.mark.full, pytest.mark.timeout(420)]


@pytest.fixture
async def rt(settings: Settings, sandbox: SandboxNode, guests: GuestHost) -> AsyncIterator[Runtime]:
    """The endpoint has no SSH door."""
    if guests.kind.startswith("rootless"):
        pytest.skip("guests of this kind have no address that this machine reaches")
    async with Runtime.open(settings) as runtime:
        await register(runtime, sandbox)
        yield runtime


@pytest.fixture
def _no_server_of_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    async def leave_the_port(_guest: RunningGuest, listener: socket.socket) -> None:
        listener.close()

    monkeypatch.setattr(RunningGuest, "_serve_ssh", leave_the_port)
    monkeypatch.setattr(access, "SERVER_WAIT_S", INSTALLED_WITHIN_S)


async def start_sshd(lab: Lab, vmid: int) -> None:
    try:
        status, output = await run_in(lab.guests, vmid, ["sh", "-c", INSTALL], timeout_s=INSTALLED_WITHIN_S)
    except TimeoutError:
        status, output = 1, b"the installation did not end"
    if status:
        pytest.skip(f"openssh-server cannot be installed in a guest here: {output.decode(errors='replace')[-300:]}")


@pytest.mark.usefixtures("_no_server_of_the_sandbox")
async def test_a_real_openssh_server_is_entered_cut_off_and_left_clean(lab: Lab) -> None:
    job_id = await lab.request(counting("one", "two", held=True))
    vmid = (await service.get_job(lab.rt, lab.session, job_id)).vmid
    work = lab.work(job_id)
    await lab.until_said(job_id, "Its address is")
    await start_sshd(lab, vmid)

    await lab.until_said(job_id, "one line 10")
    keys = await lab.in_guest(vmid, "cat", "/root/.ssh/authorized_keys")
    assert keys.count("ssh-ed25519 ") == 1
    mine = (await lab.in_guest(vmid, "ssh-keygen", "-lf", "/root/.ssh/authorized_keys")).split()[1]
    await lab.in_guest(vmid, "pkill", "-KILL", "-f", "^sshd(-session)?: root")
    await let_go(lab, job_id, "one", "two")
    async with asyncio.timeout(INSTALLED_WITHIN_S):
        await work

    await check_exact(lab, job_id, "one", "two")
    let_in = re.findall(r"Accepted publickey for root .* (SHA256:\S+)", await lab.in_guest(vmid, "cat", SSHD_LOG))
    assert set(let_in) == {mine}
    assert len(let_in) > 1  # the job connected again after the cut
    host_key = (await lab.in_guest(vmid, "ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub")).split()[1]
    assert any(host_key in event.message for event in await lab.events(job_id))
    assert (await lab.in_guest(vmid, "sh", "-c", "ls -A /root/.ssh 2>/dev/null || :")).strip() == ""
