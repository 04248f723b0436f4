"""A guest without an address from DHCP: the job says what it waits for, and waits only if it needs the address."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.services.creation import service
from lxc_dashboard.services.templates.model import TemplateConfig
from tests.integration.creation.conftest import BASIC, content_of
from tests.integration.creation.counting import counting, let_go

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.services.templates.model import TemplateContent
    from tests.integration.creation.conftest import Lab

OFFLINE = TemplateConfig(app="probe", network=False)
SCRIPT = ("10-write.sh", "#!/bin/sh\necho x >/root/x\n")
WAITS = "Waiting up to 30 s for an address by DHCP on bridge vmbr0"
GOES_ON = "It has no address yet. The job needs none: going on"
NONE = "It has no address: is there a DHCP server on bridge vmbr0?"


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """The bridge has no DHCP server."""
    lab.sandbox.api.without_dhcp = ("vmbr0",)
    return lab


async def told(lab: Lab, job_id: UUID) -> list[str]:
    return [event.message for event in await lab.events(job_id)]


async def test_a_template_that_needs_no_network_does_not_wait_for_an_address(lab: Lab) -> None:
    job_id = await lab.request(replace(content_of(SCRIPT), config=OFFLINE))
    job = await lab.finish(job_id)
    assert await lab.in_guest(job.vmid, "cat", "/root/x") == "x\n"
    messages = await told(lab, job_id)
    assert WAITS not in messages
    assert messages.count(GOES_ON) == messages.count(NONE) == 1


async def test_a_container_without_a_template_does_not_wait_for_an_address(lab: Lab) -> None:
    job_id = await lab.request(None)
    await lab.finish(job_id)
    messages = await told(lab, job_id)
    assert WAITS not in messages
    assert GOES_ON in messages
    assert NONE not in messages


@pytest.mark.parametrize(
    "content",
    [content_of(SCRIPT), replace(BASIC, config=OFFLINE)],
    ids=["scripts that may need it", "packages"],
)
async def test_what_is_waited_for_is_told_while_it_lasts(lab: Lab, content: TemplateContent) -> None:
    job_id = await lab.request(content)
    work = lab.work(job_id)
    await lab.until_said(job_id, WAITS)
    assert not work.done()
    lab.sandbox.api.without_dhcp = ()
    await work
    messages = await told(lab, job_id)
    assert messages.count(WAITS) == 1
    assert NONE not in messages
    assert any(message.startswith("Its address is ") for message in messages)


async def test_an_address_that_comes_while_the_scripts_run_is_found_at_the_end(lab: Lab) -> None:
    content = replace(counting("slow", lines=1, held=True), config=OFFLINE, buckets=())
    job_id = await lab.request(content)
    work = lab.work(job_id)
    await lab.until_said(job_id, "slow line 1")
    lab.sandbox.api.without_dhcp = ()
    await let_go(lab, job_id, "slow")
    await work
    job = await service.get_job(lab.rt, lab.session, job_id)
    address = (await lab.guests.address(job.vmid)).partition("/")[0]
    assert job.result
    assert job.result.address == address
    messages = await told(lab, job_id)
    assert f"Its address is {address}" in messages
    assert NONE not in messages
