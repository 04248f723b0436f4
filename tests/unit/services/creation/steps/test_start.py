"""The start of a container by the answers of PVE and the guest. Both are doubles."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import PackageManager, Phase
from lxc_dashboard.errors import ApiError, PhaseFailedError, TaskFailedError
from lxc_dashboard.guest.base import CommandResult
from lxc_dashboard.proxmox.schemas import GuestStatus, Interface, LxcConfig
from lxc_dashboard.proxmox.tasks import TaskResult
from lxc_dashboard.services.creation.form.spec import ExtraPackage
from lxc_dashboard.services.creation.steps import notes, start
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from lxc_dashboard.services.templates.model import TemplateConfig, TemplateContent
from tests.unit.services.creation.doubles import Saying, always, database, tells
from tests.unit.services.creation.wish import SPEC

WITHIN_S = 10
UPID = "UPID:pve1:000A1B2C:00D3E4F5:6920C0DE:{kind}:101:root@pam:"


def run(task: TaskResult | TaskFailedError, *, running: bool) -> Any:
    """A job that asked PVE for the start. ``task`` is that task's result, ``running`` the guest's state afterwards."""
    job_id = uuid4()
    told: list[str] = []
    config = LxcConfig.of({"description": notes.while_creating("", job_id)})
    status = GuestStatus(101, "running" if running else "stopped")
    checkpoint = Checkpoint(upid={start.START: "U"}, intent={start.START: []})
    return SimpleNamespace(
        job_id=job_id,
        checkpoint=checkpoint,
        guest=SimpleNamespace(vmid=101, node="pve1", seen=lambda: told.append("seen")),
        container_id=uuid4(),
        client=SimpleNamespace(
            lxc=SimpleNamespace(config=always(config), status=always(status)), tasks=SimpleNamespace(wait=always(task))
        ),
        recorder=SimpleNamespace(step=Phase.STARTING),
        **tells(told),
        told=told,
    )


def ended(kind: str, warnings: int = 0) -> TaskResult:
    return TaskResult(UPID.format(kind=kind), "OK", warnings)


async def test_a_start_with_warnings_tells_of_them() -> None:
    job = run(ended("vzstart", 2), running=True)
    await start._start(job)
    assert job.told == ["Starting CT 101", "seen", "PVE started it with 2 warnings"]


async def test_a_container_that_somebody_has_started_is_not_started_again() -> None:
    job = run(ended("vzstart"), running=True)
    job.checkpoint = Checkpoint()
    await start._start(job)
    assert job.told == ["CT 101 runs already"]
    assert job.checkpoint == Checkpoint()


async def test_a_start_that_failed_of_a_guest_that_runs_all_the_same_is_none() -> None:
    job = run(TaskFailedError("U", "CT is already running"), running=True)
    await start._start(job)
    assert job.told == ["Starting CT 101"]


async def test_a_container_that_somebody_else_has_started_while_ours_was_refused_runs() -> None:
    job = run(TaskFailedError("U", "CT is locked (backup)"), running=True)
    await start._start(job)
    assert job.told == ["Starting CT 101"]


async def test_a_start_that_failed_is_told_with_what_pve_says() -> None:
    with pytest.raises(PhaseFailedError, match="startup for container '101' failed"):
        await start._start(run(TaskFailedError("U", "startup for container '101' failed"), running=False))


async def test_a_start_that_was_handed_to_ha_is_waited_for() -> None:
    job = run(ended("hastart"), running=True)
    await start._start(job)
    assert job.told == ["Starting CT 101"]


async def test_a_guest_that_is_deleted_before_ha_starts_it_is_not_waited_for() -> None:
    job = run(ended("hastart"), running=False)
    looks = Saying(
        GuestStatus(101, "stopped"), ApiError(500, "Configuration file 'nodes/pve1/lxc/101.conf' does not exist")
    )
    job.client.lxc.status, job.client.cluster = looks, SimpleNamespace(has_no_guest=always(True))
    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(PhaseFailedError, match="HA was asked"):
            await start._start(job)


async def test_a_guest_that_ha_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "START_DEADLINE_S", 0.0)
    with pytest.raises(PhaseFailedError, match="HA was asked to start CT 101, which does not run"):
        await start._start(run(ended("hastart"), running=False))


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        (0, b"running\n", "Its init is up"),
        (0, b"degraded\n", "Its init is up; some units of the OS template failed"),
        (1, b"starting\n", "Its init is not up after 0 s (starting): going on"),
        (1, b"", "Its init is not up after 0 s (no answer): going on"),
    ],
)
async def test_how_its_init_stands_is_told(
    monkeypatch: pytest.MonkeyPatch, status: int, said: bytes, told: str
) -> None:
    monkeypatch.setattr(start, "INIT_WAIT_S", 0.0)
    job = run(ended("vzstart"), running=True)
    door: Any = SimpleNamespace(run=always(CommandResult(status, said, b"")))
    await start._wait_for_init(job, door)
    assert job.told == [told]


async def test_an_init_that_is_not_up_yet_is_asked_again() -> None:
    answers = [CommandResult(1, b"starting", b""), CommandResult(0, b"running", b"")]

    async def say(_argv: list[str]) -> CommandResult:
        return answers.pop(0)

    job = run(ended("vzstart"), running=True)
    door: Any = SimpleNamespace(run=say)
    await start._wait_for_init(job, door)
    assert job.told == ["Its init is up"]


@pytest.mark.parametrize(
    ("interfaces", "kept", "told"),
    [
        ([], "", ["It has no address after 0 s: is there a DHCP server on bridge vmbr0?"]),
        ([Interface("eth0", inet6="fd00::5/64")], "fd00::5", ["Its address is fd00::5"]),
        ([Interface("eth0", inet="10.0.0.5/24")], "10.0.0.5", ["Its address is 10.0.0.5"]),
    ],
)
async def test_what_it_has_when_the_time_is_up_is_its_address(
    monkeypatch: pytest.MonkeyPatch, interfaces: list[Interface], kept: str, told: list[str]
) -> None:
    monkeypatch.setattr(start, "ADDRESS_WAIT_S", 0.0)
    job = run(ended("vzstart"), running=True)
    job.spec = replace(SPEC, packages_extra=(ExtraPackage(PackageManager.APT, "curl"),))
    job.by_ssh, job.guest.container_id, job.revision = False, None, None
    job.client.lxc.interfaces = always(interfaces)
    job.rt = SimpleNamespace(db=database(containers=SimpleNamespace(set_address=always(None))))
    await start._find_address(job)
    assert job.checkpoint.facts["address"] == kept
    assert [text for text in job.told if text != "seen"] == told


@pytest.mark.parametrize(
    ("needs_network", "by_ssh", "extra", "waits"),
    [
        (False, False, (), False),
        (True, False, (), True),
        (False, True, (), True),
        (False, False, (ExtraPackage(PackageManager.APT, "curl"),), True),
    ],
    ids=["nothing needs it", "scripts", "entered by SSH", "an added package"],
)
def test_an_address_is_waited_for_where_something_needs_it(
    needs_network: bool, by_ssh: bool, extra: tuple[ExtraPackage, ...], waits: bool
) -> None:
    content = TemplateContent("web", TemplateConfig(app="web", network=needs_network))
    spec = replace(SPEC, packages_extra=extra, revision_id=uuid4())
    job: Any = SimpleNamespace(spec=spec, by_ssh=by_ssh, revision=SimpleNamespace(content=content))
    assert start._needs_address(job) is waits
