"""A request that was valid but is invalid when its worker starts: the job creates nothing, and fails or waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.creation.kind import CREATION
from pve_sandbox.api import cluster
from tests.integration.creation.cancelled import cancel
from tests.integration.creation.conftest import Lab
from tests.integration.creation.other_pve import Answer, Change, OtherPve
from tests.integration.endpoints import sign_in
from tests.worded import cause


def without_bridge(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "BRIDGES", ("vmbr1",))


def without_room(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.sandbox.fill_storage("local-lvm")


def without_storage(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(lab.sandbox.api.storages, "local-lvm")


def without_rights(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = lab.sandbox.api.directory
    directory.acl[:] = [entry for entry in directory.acl if entry.ugid != "operator@pve"]
    lab.sandbox.api.grant("operator@pve", "/", "VM.Audit", "Sys.Audit", "SDN.Use", "Datastore.Audit")


@pytest.mark.parametrize(
    ("take_away", "why"),
    [
        (without_bridge, "You see no bridge vmbr0 on pve1"),
        (without_room, "Storage local-lvm has 0.0 GiB free"),
        (without_storage, "local-lvm"),
        (without_rights, "You lack Datastore.AllocateSpace at /storage/local-lvm"),
    ],
)
async def test_what_was_taken_away_meanwhile_is_found_before_anything_is_made(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, take_away: Callable[[Lab, pytest.MonkeyPatch], Any], why: str
) -> None:
    lab.session = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    job_id = await lab.request(None)
    take_away(lab, monkeypatch)
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error
    told = [cause(job.error), *[event.message for event in await lab.events(job_id)]]
    assert any(why in text for text in told), told
    assert [task for task in lab.sandbox.api.tasklog if task["type"] == "vzcreate"] == []


def with_node(status: str) -> Change:
    """List every node with this status and change no other answer, as during a restart of pvestatd."""

    def change(answer: Answer) -> None:
        if answer.path == "/nodes":
            for node in answer.body["data"]:
                node["status"] = status

    return change


@pytest.mark.parametrize(
    ("status", "told"),
    [("offline", "Node pve1 is offline"), ("unknown", "PVE does not know the state of node pve1")],
)
async def test_a_node_that_is_not_online_in_that_moment_is_waited_for(
    lab: Lab, other: OtherPve, status: str, told: str
) -> None:
    job_id = await lab.request(None)
    other.changes.append(with_node(status))
    work = lab.work(job_id)
    await lab.until_said(job_id, f"{told}: trying again")
    assert not lab.sandbox.api.tasklog
    other.changes.clear()
    await work
    async with lab.rt.db.transaction() as tx:
        assert (await tx.jobs.get(job_id)).state == JobState.DONE.value


async def test_a_node_that_stays_offline_fails_the_job_with_that_cause(
    lab: Lab, other: OtherPve, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await lab.request(None)
    other.changes.append(with_node("offline"))
    monkeypatch.setattr(CREATION, "patience_s", 0.5)
    job = await lab.finish(job_id, state=JobState.FAILED)
    assert job.error
    assert cause(job.error) == "Node pve1 is offline"
    assert not lab.sandbox.api.tasklog


async def test_a_job_that_waits_for_its_node_is_cancelled(lab: Lab, other: OtherPve) -> None:
    job_id = await lab.request(None)
    other.changes.append(with_node("offline"))
    lab.work(job_id)
    await lab.until_said(job_id, "Node pve1 is offline: trying again")
    await cancel(lab, job_id)
    assert not lab.sandbox.api.tasklog
