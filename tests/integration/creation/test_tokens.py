"""Jobs with an API token: they act as the token, with its privileges only, and end when it becomes invalid."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.api.v1 import stream
from lxc_dashboard.db.models import JobState, now
from lxc_dashboard.errors import ConflictError, NotFoundError, PreflightError, PrivilegeError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import tokens
from lxc_dashboard.services.auth.model import ABSOLUTE_LIFETIME, Session
from lxc_dashboard.services.auth.sign_in import Origin
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.jobs import visibility
from lxc_dashboard.settings import Settings
from pve_sandbox.api.access.directory import Token
from tests.integration.creation.conftest import Lab, content_of, spec_of, store
from tests.integration.endpoints import sign_in
from tests.worded import cause, remedy

WAITS = content_of(("10-waits.sh", "#!/bin/sh\necho begun\nuntil test -e /root/go; do sleep 0.05; done\n"))


def new_header(lab: Lab, userid: str = "root@pam", name: str = "ci", *, privsep: int = 0) -> str:
    secret = str(uuid4())
    lab.sandbox.api.directory.users[userid].tokens[name] = Token(secret, privsep=privsep)
    lab.sandbox.api.directory.changed()
    return f"PVEAPIToken={userid}!{name}={secret}"


async def with_token(lab: Lab, userid: str = "root@pam", name: str = "ci", *, privsep: int = 0) -> Session:
    """A session of a program that sends a new token of ``userid``."""
    return await tokens.session_of(lab.rt, new_header(lab, userid, name, privsep=privsep), "", Origin("192.0.2.9"))


def revoke(lab: Lab, session: Session) -> None:
    del lab.sandbox.api.directory.users[session.userid].tokens[session.tokenid.partition("!")[2]]
    lab.sandbox.api.directory.changed()


async def begun(lab: Lab, session: Session) -> UUID:
    """A job of the token whose script is running."""
    job_id = await service.request(lab.rt, session, spec_of(await store(lab.rt, WAITS)))
    lab.work(job_id)
    await lab.until_said(job_id, "begun")
    return job_id


async def test_a_run_acts_with_the_token_to_its_end_and_keeps_no_copy(lab: Lab) -> None:
    caller = await with_token(lab)
    job_id = await service.request(lab.rt, caller, spec_of(None))
    async with lab.rt.db.transaction() as tx:
        sealed = (await tx.jobs.get(job_id)).ticket_enc
    assert sealed
    assert caller.token_secret not in sealed
    job = await lab.finish(job_id)
    assert job.userid == "root@pam"
    creates = [task for task in lab.sandbox.api.tasklog if task["type"] == "vzcreate"]
    assert [task["user"] for task in creates] == ["root@pam!ci"]
    async with lab.rt.db.transaction() as tx:
        assert (await tx.jobs.get(job_id)).ticket_enc is None
        asked = [entry for entry in await tx.audit.list() if entry.action == "creation.request"]
    assert [entry.userid for entry in asked] == ["root@pam!ci"]


async def test_a_token_with_rights_of_its_own_is_refused_with_each_that_it_lacks(lab: Lab) -> None:
    caller = await with_token(lab, privsep=1)
    with pytest.raises(PreflightError) as refused:
        await service.request(lab.rt, caller, spec_of(None, vmid=777))
    said = str(refused.value)
    assert re.search(r"You lack VM\.Allocate, [\w., ]+ at /vms/777", said), said
    assert "You lack Datastore.AllocateSpace at /storage/local-lvm" in said
    assert await service.list_jobs(lab.rt, caller) == []


async def test_what_only_roots_password_may_is_refused_to_roots_token_beforehand(lab: Lab) -> None:
    with pytest.raises(PreflightError, match="Only root@pam may switch on keyctl"):
        await service.request(lab.rt, await with_token(lab), spec_of(None, keyctl=True))


async def test_a_token_that_is_revoked_in_mid_run_ends_the_run_with_its_name_and_a_retry_goes_on(lab: Lab) -> None:
    caller = await with_token(lab)
    job_id = await begun(lab, caller)
    job = await service.get_job(lab.rt, lab.session, job_id)
    revoke(lab, caller)
    await lab.in_guest(job.vmid, "touch", "/root/go")
    job = await lab.until(lambda: _ended(lab, job_id), "the run ends")
    assert job.state is JobState.FAILED
    assert "PVE no longer accepts the API token root@pam!ci" in cause(job.error)
    assert "Retry" in remedy(job.error)
    await service.retry(lab.rt, lab.session, job_id)
    lab.work(job_id)
    done = await lab.until(lambda: _ended(lab, job_id), "the retry ends")
    assert done.state is JobState.DONE
    assert (await lab.log_of(job_id)).count("begun") == 1


async def test_a_run_of_more_than_12_h_ends_too(lab: Lab) -> None:
    caller = await with_token(lab)
    early = replace(caller, signed_in_at=now() - ABSOLUTE_LIFETIME)
    job = await lab.finish(await service.request(lab.rt, early, spec_of(None)), state=JobState.FAILED)
    assert job.error is not None
    assert "for 12 h at most" in cause(job.error)


async def test_a_sign_in_of_its_user_lends_a_tokens_run_nothing(lab: Lab, rt: Runtime) -> None:
    caller = await with_token(lab)
    job_id = await service.request(rt, caller, spec_of(None))
    assert await service.resume_after_sign_in(rt, await sign_in(rt, lab.sandbox)) == 0
    async with rt.db.transaction() as tx:
        held = await tx.tickets.get(job_id)
    assert held is not None
    assert (held.tokenid, held.token_secret, held.ticket) == ("root@pam!ci", caller.token_secret, "")


async def test_a_token_sees_its_own_runs_and_of_its_users_others_what_pve_shows_it(lab: Lab) -> None:
    others = await service.request(lab.rt, lab.session, spec_of(None))
    caller = await with_token(lab, privsep=1)
    assert await service.list_jobs(lab.rt, caller) == []
    with pytest.raises(NotFoundError):
        await service.get_job(lab.rt, caller, others)
    with pytest.raises(NotFoundError):
        await service.cancel(lab.rt, caller, others)
    lab.sandbox.api.grant("root@pam!ci", "/vms", "VM.Audit")
    lab.sandbox.api.directory.changed()
    seen = await service.get_job(lab.rt, replace(caller, id=uuid4()), others)
    assert (seen.may_cancel, seen.may_retry) == (False, False)
    with pytest.raises(PrivilegeError):
        await service.cancel(lab.rt, replace(caller, id=uuid4()), others)
    with pytest.raises(PrivilegeError):
        await service.retry(lab.rt, replace(caller, id=uuid4()), others)
    operator = await with_token(lab, "operator@pve")
    lab.sandbox.api.grant("operator@pve", "/vms", "VM.Audit", "VM.Allocate")
    with pytest.raises(ConflictError):
        await service.retry(lab.rt, operator, others)


async def _ended(lab: Lab, job_id: UUID) -> service.CreationView | None:
    job = await service.get_job(lab.rt, lab.session, job_id)
    return job if job.finished_at is not None else None


async def test_a_reader_who_loses_the_right_to_see_a_run_is_told_so_in_the_middle_of_its_log(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CHECK_EVERY_S", 0.05)
    monkeypatch.setattr(visibility, "HOLDS_FOR_S", 0.001)
    job_id = await lab.request(None)
    reader = await with_token(lab, "viewer@pve")
    look = partial(service.get_job, lab.rt, reader, job_id)
    following = stream.LogStream(lab.rt, reader, job_id, look).follow(0)
    async with asyncio.timeout(60):
        assert await anext(following) == b"\n"
        lab.sandbox.api.directory.acl[:] = [
            entry for entry in lab.sandbox.api.directory.acl if entry.ugid != "viewer@pve"
        ]
        lab.sandbox.api.directory.changed()
        left = [piece async for piece in following]
    assert set(left[:-1]) <= {b"\n"}
    assert json.loads(left[-1]) == {"type": "end", "state": "", "message": "This job does not exist or was removed"}


async def test_without_redis_a_program_orders_a_container_whose_vmid_it_names(
    lab: Lab, settings_with: Callable[..., Settings]
) -> None:
    key = lab.rt.settings.ENCRYPTION_KEY.get_secret_value()
    settings = settings_with(REDIS_URL="redis://127.0.0.1:1/0", ENCRYPTION_KEY=key)
    async with Runtime.open(settings) as without:
        caller = await tokens.session_of(without, new_header(lab), "", Origin("192.0.2.9"))
        job_id = await service.request(without, caller, spec_of(None, vmid=7100))
        assert (await service.get_job(without, caller, job_id)).vmid == 7100
    job = await lab.finish(job_id)
    assert lab.containers_named(job.hostname) == [7100]
