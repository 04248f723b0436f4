"""Creations with other kinds of PVE: older ones, and ones that write the same data differently."""

from __future__ import annotations

import pytest

from lxc_dashboard.proxmox import tasks
from tests.integration.creation.conftest import Lab
from tests.integration.creation.other_pve import OtherPve, ends_late, refused, without, written_otherwise


@pytest.mark.parametrize("is_old", [False, pytest.param(True, marks=pytest.mark.full)], ids=["chunks", "http-1.0"])
async def test_a_template_is_built_however_the_answers_are_written(lab: Lab, other: OtherPve, *, is_old: bool) -> None:
    other.is_old = is_old
    other.changes += [ends_late(tasks.POLLS_WITHOUT_EXITSTATUS - 1), written_otherwise]
    job = await lab.finish(await lab.request(tags=("one", "two")))
    assert await lab.in_guest(job.vmid, "cat", "/root/runs") == "first\nsecond\n"
    assert any(call.startswith("POST /nodes/pve1/lxc") for call in other.asked)


@pytest.mark.parametrize("status", [404, 501])
async def test_where_pve_has_no_call_for_addresses_the_guest_is_asked(lab: Lab, other: OtherPve, status: int) -> None:
    other.changes.append(refused("/interfaces", status, "Method 'GET /nodes/pve1/lxc/100/interfaces' not implemented"))
    job = await lab.finish(await lab.request())
    assert job.result
    assert job.result.address in (await lab.in_guest(job.vmid, "hostname", "-I")).split()

    plain = await lab.finish(await lab.request(None))
    assert plain.result
    assert plain.result.address == ""
    told = [event.message for event in await lab.events(plain.id)]
    assert told.count("This PVE does not tell the addresses of containers") == 1


async def test_a_configuration_without_a_digest_is_written_all_the_same(lab: Lab, other: OtherPve) -> None:
    other.changes.append(without("/nodes/pve1/lxc/100/config", "digest"))
    job = await lab.finish(await lab.request(None))
    assert job.vmid == 100
    guest = lab.sandbox.api.cts.get(100)
    assert guest
    assert "Created by LXC Dashboard" in guest.config["description"]
