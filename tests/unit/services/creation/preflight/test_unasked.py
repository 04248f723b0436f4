"""If PVE does not list all guests or their addresses, preflight says so. It does not assume free addresses."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import ProxmoxNode, now
from lxc_dashboard.errors import ApiError, NotFoundError, UnreachableError
from lxc_dashboard.proxmox.schemas import GuestStatus, Resource
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import access, batches
from lxc_dashboard.services.creation.access import Way, WayKind
from lxc_dashboard.services.creation.batches import Plan
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings
from lxc_dashboard.services.creation.preflight import neighbourhood
from lxc_dashboard.services.creation.preflight.findings import Finding, Question
from tests.unit.services.creation.doubles import always, database
from tests.unit.services.creation.wish import SPEC
from tests.worded import cause

SESSION = Session(uuid4(), uuid4(), "pve", "root@pam", now())
AWAY = Resource("node", node="pve2", status="offline")
THERE = Resource("lxc", node="pve2", vmid=102, name="db", status="running")
SILENT = UnreachableError("pve1 cannot be reached")


class Pool:
    """The connections to one PVE."""

    def __init__(self, **cluster: object) -> None:
        self.it: Any = SimpleNamespace(
            auth=None,
            cluster=SimpleNamespace(**cluster),
            nodes=SimpleNamespace(network=always([])),
        )

    def client(self, *_: object) -> Any:
        return self.it


def dashboard(pve: Pool) -> Any:
    endpoint = ProxmoxNode(name="pve", host="127.0.0.1", port=8006)
    return SimpleNamespace(
        pve=pve,
        db=database(
            jobs=SimpleNamespace(addresses_in_use=always([])),
            nodes=SimpleNamespace(get=always(endpoint), secrets=lambda _: SimpleNamespace(ssh_key="")),
            templates=SimpleNamespace(revision=always(NotFoundError())),
        ),
    )


def told(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.field, cause(finding)) for finding in findings]


async def test_a_guest_on_a_node_that_is_away_may_have_the_address() -> None:
    pve = Pool(resources=always([AWAY, THERE]))
    spec = replace(SPEC, ipv4=IpSettings(IpMode.STATIC, "10.0.0.5/24", "10.0.0.1"))
    way = Way(WayKind.SSH, "pve1")
    found = await neighbourhood.addresses(Question(dashboard(pve), pve.it, uuid4(), "root@pam", spec, 101, way, None))
    cause = "The addresses of some guests are not known: one of them may have 10.0.0.5"
    assert told(found) == [("ipv4_address", cause)]


@pytest.mark.parametrize(
    ("guests", "unasked", "named"),
    [
        ([Resource("lxc", node="pve1", vmid=7, name="web-1")], 0, True),
        (SILENT, 2, False),
    ],
)
async def test_a_batch_tells_of_names_that_are_taken_and_of_guests_that_could_not_be_asked(
    guests: object, unasked: int, named: bool
) -> None:
    shared = replace(SPEC, revision_id=uuid4())
    planned = Plan(
        "web-{1..2}", shared, (replace(shared, hostname="web-1"), replace(shared, hostname="web-2")), unasked
    )
    found = await batches.check(dashboard(Pool(resources=always(guests))), SESSION, planned)
    fields = [finding.field for finding in found]
    assert ("hostname_pattern" in fields, "ipv4_range" in fields) == (named, bool(unasked))
    assert fields[0] == "revision_id"


async def test_what_is_wrong_with_a_batch_is_a_finding_of_its_field() -> None:
    rt = dashboard(Pool(resources=always(SILENT)))
    assert [found.field for found in (await batches.look(rt, SESSION, "web-[1-2]", SPEC))[1]] == ["hostname_pattern"]
    _, found = await batches.look(rt, SESSION, "web-{1..2}", SPEC, ipv4_range="10.0.0.5-10.0.0.6/24")
    assert [cause(finding) for finding in found] == ["pve1 cannot be reached"]


@pytest.mark.parametrize(
    ("answer", "found_on", "node"),
    [
        (GuestStatus(101, "running"), None, "pve1"),
        (ApiError(500, "CT 101 does not exist"), None, None),
        (ApiError(500, "CT 101 does not exist"), "pve2", "pve2"),
        (SILENT, "pve2", "pve2"),
    ],
)
async def test_a_guest_is_followed_to_the_node_that_it_is_on_by_now(
    answer: object, found_on: str | None, node: str | None
) -> None:
    guest = Resource("lxc", node=found_on, vmid=101) if found_on else None
    client: Any = SimpleNamespace(
        lxc=SimpleNamespace(status=always(answer)),
        cluster=SimpleNamespace(find_guest=always(guest), has_no_guest=always(False)),
    )
    assert (await access.find_door(client, 101, "pve1"))[0] == node


@pytest.mark.parametrize("found_on", [None, "pve1"])
async def test_a_guest_whose_node_does_not_answer_is_not_called_gone(found_on: str | None) -> None:
    guest = Resource("lxc", node=found_on, vmid=101) if found_on else None
    client: Any = SimpleNamespace(
        lxc=SimpleNamespace(status=always(SILENT)), cluster=SimpleNamespace(find_guest=always(guest))
    )
    with pytest.raises(UnreachableError):
        await access.find_door(client, 101, "pve1")
