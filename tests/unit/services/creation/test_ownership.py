"""Where a container is, which job owns it, and how PVE refuses changes of its notes. PVE is a double."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lxc_dashboard.db.models import Phase
from lxc_dashboard.errors import ApiError, ConflictError, DashboardError, PhaseFailedError, PrivilegeError
from lxc_dashboard.proxmox.schemas import LxcConfig, Resource
from lxc_dashboard.services.creation import ownership
from lxc_dashboard.services.creation.ownership import Claim
from lxc_dashboard.services.creation.steps import finalize, notes
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from tests.unit.services.creation.doubles import always
from tests.unit.services.creation.wish import SPEC

VMID = 101
NODE = Resource("node", node="pve1", status="online")
MACHINE = Resource("qemu", node="pve1", vmid=VMID)
CONTAINER = Resource("lxc", node="pve1", vmid=VMID)


def pve(*resources: Resource, free: bool = False) -> Any:
    """A PVE whose node lists no containers. ``free``: it reports the vmid as free."""
    cluster = SimpleNamespace(
        has_no_guest=always(False), resources=always([NODE, *resources]), vmid_is_free=always(free)
    )
    return SimpleNamespace(
        cluster=cluster, lxc=SimpleNamespace(find=always(None)), tasks=SimpleNamespace(list=always([]))
    )


async def test_a_virtual_machine_with_its_vmid_is_not_the_container() -> None:
    assert await ownership.locate(pve(MACHINE), "pve1", VMID) is None


async def test_a_container_that_goes_while_it_is_looked_for_is_gone() -> None:
    assert await ownership.locate(pve(CONTAINER, free=True), "pve1", VMID) is None


async def test_a_container_that_no_node_shows_is_not_called_gone() -> None:
    with pytest.raises(ConflictError, match="not to be found"):
        await ownership.locate(pve(CONTAINER), "pve1", VMID)


async def test_a_lock_that_no_create_has_set_is_not_the_runs() -> None:
    claim = Claim(uuid4(), "root@pam", VMID, Checkpoint(begun={"create.container": ["U1"]}))
    assert not await ownership.lock_is_ours(pve(CONTAINER), claim, "pve1")


@pytest.mark.parametrize(
    "refusal", [ApiError(500, "unable to write '/etc/pve/x'"), PrivilegeError("VM.Config.Options", "/vms/101")]
)
async def test_notes_that_pve_refuses_for_good_are_not_written_again_and_again(refusal: DashboardError) -> None:
    job_id = uuid4()
    config = LxcConfig.of({"description": notes.while_creating("", job_id), "digest": "d"})
    ctx: Any = SimpleNamespace(
        job_id=job_id,
        userid="root@pam",
        spec=SPEC,
        revision=None,
        guest=SimpleNamespace(vmid=VMID, node="pve1"),
        client=SimpleNamespace(lxc=SimpleNamespace(config=always(config), set_config=always(refusal))),
    )
    with pytest.raises(type(refusal)):
        await finalize.write_labels(ctx)


async def test_a_container_whose_notes_name_another_job_is_not_the_runs() -> None:
    config = LxcConfig.of({"description": notes.while_creating("", uuid4())})
    ctx: Any = SimpleNamespace(
        job_id=uuid4(),
        guest=SimpleNamespace(vmid=VMID, node="pve1"),
        client=SimpleNamespace(lxc=SimpleNamespace(config=always(config))),
    )
    with pytest.raises(PhaseFailedError, match="not the container that this job has made"):
        await ownership.ensure_ours(ctx, Phase.FINALIZING, "notes")
