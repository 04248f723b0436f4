"""What was sound when it was asked for and is not when its worker comes: nothing is made, and the job says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lxc_dashboard.db.models import CreationState
from lxc_dashboard.sandbox import cluster
from tests.integration.creation.conftest import Lab
from tests.integration.endpoints import sign_in


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
        (without_bridge, "No bridge vmbr0 is seen on pve1"),
        (without_room, "Storage local-lvm has 0.0 GiB free"),
        (without_storage, "local-lvm"),
        (without_rights, "You lack Datastore.AllocateSpace at /storage/local-lvm"),
    ],
)
async def test_what_was_taken_away_meanwhile_is_found_before_anything_is_made(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, take_away: Callable[[Lab, pytest.MonkeyPatch], Any], why: str
) -> None:
    lab.session = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    creation_id = await lab.request(None)
    take_away(lab, monkeypatch)
    job = await lab.finish(creation_id, state=CreationState.FAILED)
    assert job.error
    told = [job.error.message, *[event.message for event in await lab.events(creation_id)]]
    assert any(why in text for text in told), told
    assert [task for task in lab.sandbox.api.tasklog if task["type"] == "vzcreate"] == []
