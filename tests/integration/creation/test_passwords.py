"""Root passwords that users gave: used once, never shown, and deleted when no retry can need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.errors import ConflictError, NotFoundError
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.services.creation import credentials, service
from lxc_dashboard.services.creation.form.spec import PasswordMode
from lxc_dashboard.services.creation.report import ROOT_PASSWORD, report
from lxc_dashboard.services.creation.service import Secrets
from lxc_dashboard.services.jobs.engine import reaper
from tests.integration.creation.conftest import content_of, spec_of, store
from tests.integration.creation.failed import stop_the_create
from tests.integration.endpoints import sign_in

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.creation.conftest import Lab

GIVEN = "correct horse"
FLAKY = content_of(("10-flaky.sh", "#!/bin/sh\n[ -e /root/mended ]\n"))


async def kept_password(lab: Lab, job_id: UUID) -> str | None:
    async with lab.rt.db.transaction() as tx:
        creation = await tx.jobs.get(job_id)
        return tx.containers.root_password(await tx.containers.get(creation.own_container_id))


async def test_a_given_password_is_forgotten_as_soon_as_the_container_is_created(lab: Lab) -> None:
    spec = spec_of(await store(lab.rt, FLAKY), password_mode=PasswordMode.GIVEN)
    job_id = await service.request(lab.rt, lab.session, spec, Secrets(GIVEN))
    assert await kept_password(lab, job_id) == GIVEN
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert await kept_password(lab, job_id) is None
    assert "root:$" in await lab.in_guest(job.vmid, "grep", "^root:", "/etc/shadow")
    await lab.in_guest(job.vmid, "touch", "/root/mended")
    await service.retry(lab.rt, lab.session, job_id)
    await lab.finish(job_id)


async def test_a_given_password_is_never_revealed(lab: Lab) -> None:
    spec = spec_of(None, password_mode=PasswordMode.GIVEN)
    job_id = await service.request(lab.rt, lab.session, spec, Secrets(GIVEN))
    job = await lab.finish(job_id)
    async with lab.rt.db.transaction() as tx:
        await tx.containers.set_root_password(job.container_id, GIVEN)
    with pytest.raises(NotFoundError):
        await credentials.reveal(lab.rt, lab.session, job_id, ROOT_PASSWORD)
    assert ROOT_PASSWORD not in (await report(lab.rt, lab.session, job_id)).credentials


async def failed_before_it_was_created(lab: Lab) -> UUID:
    """A job with a given password whose create task was stopped in PVE."""
    lab.sandbox.hang_task("vzcreate")
    spec = spec_of(None, password_mode=PasswordMode.GIVEN)
    job_id = await service.request(lab.rt, lab.session, spec, Secrets(GIVEN))
    await stop_the_create(lab, job_id)
    return job_id


async def test_a_retry_that_creates_again_has_the_given_password(lab: Lab) -> None:
    job_id = await failed_before_it_was_created(lab)
    assert await kept_password(lab, job_id) == GIVEN
    await reaper.reap(lab.rt)
    await service.retry(lab.rt, lab.session, job_id)
    job = await lab.finish(job_id)
    assert await kept_password(lab, job_id) is None
    assert "root:$" in await lab.in_guest(job.vmid, "grep", "^root:", "/etc/shadow")


async def test_a_given_password_of_a_run_that_nobody_retries_is_forgotten_and_no_container_made_without_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await failed_before_it_was_created(lab)
    monkeypatch.setattr(reaper, "GIVEN_PASSWORD_OF_FAILED_S", 0.0)
    await reaper.reap(lab.rt)
    assert await kept_password(lab, job_id) is None
    with pytest.raises(ConflictError, match="no longer kept"):
        await service.retry(lab.rt, lab.session, job_id)


async def test_a_given_password_of_a_run_that_was_cancelled_without_its_user_is_forgotten(lab: Lab) -> None:
    lab.sandbox.hang_task("vzcreate")
    spec = spec_of(None, password_mode=PasswordMode.GIVEN)
    job_id = await service.request(lab.rt, lab.session, spec, Secrets(GIVEN))
    work = lab.work(job_id)
    await lab.until_said(job_id, "Creating CT")
    operator = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    await sessions.end(lab.rt, lab.session)
    await work
    assert await kept_password(lab, job_id) == GIVEN
    await service.cancel(lab.rt, operator, job_id)
    await lab.work(job_id)
    job = await service.get_job(lab.rt, operator, job_id)
    assert (job.state, job.exists) == (JobState.CANCELLED, True)
    assert await kept_password(lab, job_id) is None


async def test_what_a_failed_run_left_is_destroyed_with_the_password_that_was_given(lab: Lab) -> None:
    job_id = await failed_before_it_was_created(lab)
    await lab.destroy(job_id)
    assert await kept_password(lab, job_id) is None
