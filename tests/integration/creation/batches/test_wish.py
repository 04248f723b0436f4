"""Batches: many containers from one form, all of them or none."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from lxc_dashboard.db.models import JobState, new_id
from lxc_dashboard.errors import ConflictError, InvalidInputError, NotFoundError, PreflightError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import batches, request, service
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings, PasswordMode, Secrets
from lxc_dashboard.services.creation.preflight import neighbours
from lxc_dashboard.services.jobs.engine import reaper
from tests.integration.creation.batches.asking import NO_NETWORK, ask, view
from tests.integration.creation.conftest import Lab, spec_of
from tests.integration.endpoints import sign_in
from tests.worded import cause

STATIC = IpSettings(IpMode.STATIC, "10.9.0.10/24", "10.9.0.1")


async def rows(lab: Lab) -> int:
    return len(await service.list_jobs(lab.rt, lab.session))


async def test_each_name_becomes_a_container_with_its_own_vmid_and_address(lab: Lab) -> None:
    lab.sandbox.api.cts[0].config["net0"] = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=10.9.0.11/24,type=veth"
    batch_id = await ask(
        lab, "app-{01..03}", ipv4=STATIC, ipv4_range="10.9.0.10-10.9.0.29/24", ipv6_range="fd09::10-2f/64"
    )
    found = await view(lab, batch_id)
    assert [(each.job.hostname, each.address) for each in found.jobs] == [
        ("app-01", "10.9.0.10"),
        ("app-02", "10.9.0.12"),
        ("app-03", "10.9.0.13"),
    ]
    specs = [each.job.spec for each in found.jobs if each.job.spec]
    assert [spec.ipv6.address for spec in specs] == ["fd09::10/64", "fd09::11/64", "fd09::12/64"]
    assert {spec.ipv4.gateway for spec in specs} == {"10.9.0.1"}
    await asyncio.gather(*(lab.finish(each.job.id) for each in found.jobs))
    found = await view(lab, batch_id)
    assert {each.job.state for each in found.jobs} == {JobState.DONE}
    for each in found.jobs:
        assert lab.containers_named(each.job.hostname) == [each.job.vmid]
        guest = lab.sandbox.api.cts.get(each.job.vmid)
        assert guest
        assert f"ip={each.address}/24" in guest.config["net0"]


async def test_it_is_audited_once_for_all_and_once_for_each(lab: Lab) -> None:
    batch_id = await ask(lab)
    async with lab.rt.db.transaction() as tx:
        whole = await tx.audit.list(action="batch.request")
        each = await tx.audit.list(action="creation.request")
    assert [(entry.subject, entry.detail) for entry in whole] == [
        ("web-{1..3}", {"batch": str(batch_id), "containers": 3})
    ]
    assert len(each) == 3


async def test_the_same_batch_asked_for_twice_at_once_is_made_once(lab: Lab) -> None:
    wanted = new_id()
    assert await asyncio.gather(*(ask(lab, batch_id=wanted) for _ in range(3))) == [wanted] * 3
    assert await ask(lab, batch_id=wanted) == wanted
    assert await rows(lab) == 3


async def test_somebody_elses_batch_id_is_refused(lab: Lab) -> None:
    wanted = await ask(lab)
    lab.session = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    with pytest.raises(ConflictError):
        await ask(lab, batch_id=wanted)


async def test_a_hundred_are_stored_at_once_with_a_hundred_vmids(lab: Lab) -> None:
    batch_id = await ask(lab, "n{001..100}")
    found = await view(lab, batch_id)
    assert [each.job.hostname for each in found.jobs] == [f"n{number:03d}" for number in range(1, 101)]
    assert len({each.job.vmid for each in found.jobs}) == 100


async def test_two_batches_of_one_range_at_once_share_no_address(lab: Lab) -> None:
    ids = await asyncio.gather(
        *(ask(lab, f"{name}{{1..5}}", ipv4=STATIC, ipv4_range="10.9.0.10-40/24") for name in ("a", "b"))
    )
    given = [each.address for batch_id in ids for each in (await view(lab, batch_id)).jobs]
    assert len(set(given)) == 10


async def test_one_look_at_everybodys_addresses_does_for_both_families_and_all_checks(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    async def counted(client: Any) -> neighbours.Seen:
        made.append(client)
        return await look(client)

    look = neighbours.addresses_seen
    monkeypatch.setattr(neighbours, "addresses_seen", counted)
    six = IpSettings(IpMode.STATIC, "fd09::5/64", "fd09::1")
    ranges = {"ipv4_range": "10.9.0.10-40/24", "ipv6_range": "fd09::10-40/64"}
    for _ in range(2):
        planned, _found = await batches.look(
            lab.rt, lab.session, "web-{1..3}", spec_of(None, ipv4=STATIC, ipv6=six), **ranges
        )
        assert planned is not None
    assert len(made) == 1


async def test_addresses_that_go_to_others_each_time_are_said_beside_the_range(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(*_: object, **__: object) -> None:
        raise InvalidInputError({"ipv4_address": "10.9.0.10 is the address of CT 101 other"})

    monkeypatch.setattr(request, "reserve_all", lose)
    with pytest.raises(InvalidInputError) as refused:
        await ask(lab, "web-{1..2}", ipv4=STATIC, ipv4_range="10.9.0.10-40/24")
    assert refused.value.fields == {"ipv4_range": "10.9.0.10 is the address of CT 101 other"}


@pytest.mark.parametrize(
    ("pattern", "given", "field"),
    [
        ("web", {}, "hostname_pattern"),
        ("web-{1..101}", {}, "hostname_pattern"),
        ("web-{1..3}", {"ipv4": STATIC}, "ipv4_range"),
        ("web-{1..3}", {"ipv4": STATIC, "ipv4_range": "10.9.0.10-11/24"}, "ipv4_range"),
        ("web-{1..3}", {"ipv4": STATIC, "ipv4_range": "fd00::1-9/64"}, "ipv4_range"),
        ("web-{1..3}", {"ipv6_range": "nonsense"}, "ipv6_range"),
        ("web-{1..3}", {"vmid": 500}, "vmid"),
        ("web-{1..3}", {"password_mode": PasswordMode.GIVEN}, "password"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_stored(
    lab: Lab, pattern: str, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await ask(lab, pattern, **given)
    assert list(refused.value.fields) == [field]
    assert await rows(lab) == 0


async def test_what_all_share_is_found_once_and_what_is_ones_own_by_its_name(lab: Lab) -> None:
    there = lab.sandbox.api.cts[0].config["hostname"]
    spec = replace(spec_of(None, ipv4=NO_NETWORK, disk_gib=100_000), bridge="vmbr9")
    planned = await batches.plan(lab.rt, lab.session, f"{{{there},other}}", spec)
    found = await batches.check(lab.rt, lab.session, planned)
    assert [finding.field for finding in found if finding.severity == "error"] == ["bridge"]
    told = [cause(finding) for finding in found if finding.severity == "warning"]
    assert len([cause for cause in told if there in cause]) == 1
    assert [cause for cause in told if "what 2 containers ask of it is 200000 GiB" in cause]
    with pytest.raises(PreflightError):
        await batches.request_batch(lab.rt, lab.session, f"{{{there},other}}", spec)
    assert await rows(lab) == 0


async def test_a_web_process_that_dies_while_it_stores_leaves_all_or_none(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, left = request._store, [None, None]

    async def die_at_the_third(*args: Any, **given: Any) -> None:
        if not left:
            raise asyncio.CancelledError
        left.pop()
        await whole(*args, **given)

    wanted = new_id()
    monkeypatch.setattr(request, "_store", die_at_the_third)
    with suppress(asyncio.CancelledError):
        await ask(lab, batch_id=wanted)
    with pytest.raises(NotFoundError):
        await view(lab, wanted)
    assert await rows(lab) == 0
    monkeypatch.setattr(request, "_store", whole)
    await ask(lab, batch_id=wanted)
    assert sorted(each.job.vmid for each in (await view(lab, wanted)).jobs) == [100, 103, 104]


async def test_a_web_process_that_dies_before_it_enqueues_loses_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: Any) -> None:
        raise asyncio.CancelledError

    wanted = new_id()
    with monkeypatch.context() as dying, suppress(asyncio.CancelledError):
        dying.setattr(request, "enqueue", die)
        await ask(lab, batch_id=wanted)
    assert len((await view(lab, wanted)).jobs) == 3
    assert await ask(lab, batch_id=wanted) == wanted
    await lab.until(lambda: reaper.reap(lab.rt), "handed out by the reaper")


async def test_passwords_are_made_one_for_each(lab: Lab) -> None:
    found = await view(lab, await ask(lab, password_mode=PasswordMode.GENERATED))
    async with lab.rt.db.transaction() as tx:
        passwords = {tx.containers.root_password(await tx.containers.get(each.job.container_id)) for each in found.jobs}
    assert len(passwords) == 3
    assert None not in passwords


async def test_a_given_password_is_that_of_all(lab: Lab) -> None:
    found = await view(lab, await ask(lab, password_mode=PasswordMode.GIVEN, secrets=Secrets("hunter22")))
    async with lab.rt.db.transaction() as tx:
        for each in found.jobs:
            assert tx.containers.root_password(await tx.containers.get(each.job.container_id)) == "hunter22"


async def test_an_os_template_that_all_of_them_ask_for_is_downloaded_once(lab: Lab) -> None:
    client = await acting.client(lab.rt, lab.session)
    name = next(each.template for each in await client.nodes.aplinfo("pve1"))
    volumes = lab.sandbox.api.storages["local"]["volumes"]
    volumes.pop(f"vztmpl/{name}", None)
    spec = spec_of(None, ipv4=NO_NETWORK, ostemplate=f"local:vztmpl/{name}", ostemplate_download=name)
    batch_id = await batches.request_batch(lab.rt, lab.session, "load-{1..3}", spec)
    jobs = [each.job for each in (await view(lab, batch_id)).jobs]
    await asyncio.gather(*(lab.finish(job.id) for job in jobs))
    tasks = await client.tasks.list("pve1", typefilter="download", limit=100)
    assert [task.id for task in tasks] == [name]
