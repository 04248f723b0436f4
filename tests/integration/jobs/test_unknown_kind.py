"""A job of a kind that only another version of the dashboard knows. It stays queued, and no worker takes it."""

from __future__ import annotations

from structlog.testing import capture_logs

from lxc_dashboard.api.v1.answers import job_of
from lxc_dashboard.db.models import Job, new_id
from lxc_dashboard.db.repositories.leases import update_job
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.jobs.engine import execution as engine
from lxc_dashboard.services.jobs.engine import reaper
from lxc_dashboard.services.jobs.views import job_view
from tests.integration.monitor.conftest import SignIn


async def test_a_job_of_an_unknown_kind_waits_for_a_worker_that_knows_it(rt: Runtime, sign_in: SignIn) -> None:
    session = await sign_in(rt, "root@pam")
    kind = f"future.{new_id().hex[:8]}"
    async with rt.db.transaction() as tx:
        job = Job(id=new_id(), kind=kind, endpoint_id=session.endpoint_id, vmid=101, userid=session.userid)
        await tx.jobs.add(job)
        await update_job(tx.session, job.id, enqueued_at=None)
    with capture_logs() as logs:
        await engine.run(rt, job.id)
        assert [await reaper.reap(rt) for _ in range(2)] == [0, 0]
    assert [entry["kind"] for entry in logs if entry["event"] == "kind of job unknown"] == [kind]
    async with rt.db.transaction() as tx:
        left = await tx.jobs.get(job.id)
    assert (left.state, left.attempt, left.lease_owner) == ("queued", 0, None)
    assert not job_of(job_view(left, None, "", own=True)).known
