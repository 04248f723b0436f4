"""Why a guest cannot be entered by its own SSH server, and what to do."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from lxc_dashboard.errors import GuestError, GuestUnreachableError, PhaseFailedError
from lxc_dashboard.services.creation import access
from lxc_dashboard.services.creation.access import Entrance
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from tests import worded

HOST = "10.0.0.5"


def run(**facts: str) -> Any:
    return SimpleNamespace(
        checkpoint=Checkpoint(facts=dict(facts)), guest=SimpleNamespace(vmid=101, node="pve1", was_seen_within=bool)
    )


@pytest.mark.parametrize(
    ("cause", "told", "advice"),
    [
        (ConnectionRefusedError(), "No SSH server listens on CT 101 at 10.0.0.5:22 after 90 s", "OS template must"),
        (
            OSError(errno.EHOSTUNREACH, "No route to host"),
            "CT 101 at 10.0.0.5:22 is not reached within 90 s: No route to host",
            "A firewall drops it",
        ),
        (None, "The guest says nothing", "OS template must"),
    ],
)
def test_a_server_that_is_not_reached_is_explained_by_its_cause(
    cause: Exception | None, told: str, advice: str
) -> None:
    error = GuestUnreachableError("The guest says nothing")
    error.__cause__ = cause
    failed = access._explained(run(), HOST, error)
    assert worded.cause(failed) == told
    assert advice in worded.remedy(failed)
    assert "register an SSH door for node pve1" in worded.remedy(failed)


async def test_a_guest_without_an_address_is_not_waited_for() -> None:
    nothing: Any = None
    with pytest.raises(PhaseFailedError, match="no address to be entered at"):
        await access.meet_ssh_server(run(address=""), nothing, nothing)


def entrance(way: access.Way) -> Entrance:
    none: Any = SimpleNamespace(ssh=None)
    made = Entrance(none, none, none, run().guest, way=way, key=None)
    made._asked_at = float("inf")  # its privileges were just read
    return made


@pytest.mark.parametrize(
    ("way", "error", "told"),
    [
        (access.Way(access.WayKind.SSH, "pve1"), GuestUnreachableError, "no address yet"),
        (access.Way(access.WayKind.PCT, "pve1"), GuestError, "no way into guests of node pve1"),
    ],
)
async def test_a_way_that_leads_nowhere_yet_is_told(way: access.Way, error: type[GuestError], told: str) -> None:
    with pytest.raises(error, match=told):
        await entrance(way).door("marker")


@pytest.mark.parametrize(
    ("ostemplate", "brings"),
    [
        ("debian-13-standard_13.1-2_amd64.tar.zst", True),
        ("debian-12-turnkey-core_18.1-1_amd64.tar.gz", True),
        ("alpine-3.22-default_20250617_amd64.tar.xz", False),
        ("my-own.tar.zst", None),
    ],
)
def test_whether_an_os_template_brings_an_ssh_server_is_read_from_its_name(
    ostemplate: str, brings: bool | None
) -> None:
    assert access.brings_ssh_server(f"local:vztmpl/{ostemplate}") is brings
