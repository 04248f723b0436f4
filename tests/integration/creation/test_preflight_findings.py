"""Preflight's findings about the request, the node, the privileges and the way into the guest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import InvalidInputError, PreflightError
from lxc_dashboard.services.creation import preflight, service
from lxc_dashboard.services.creation.form.spec import ExtraPackage, IpMode, IpSettings, PasswordMode
from lxc_dashboard.services.creation.preflight.findings import FindingSeverity
from lxc_dashboard.services.creation.service import Secrets
from tests.integration.creation.conftest import spec_of
from tests.integration.endpoints import sign_in
from tests.worded import said

if TYPE_CHECKING:
    from tests.integration.creation.conftest import Lab


async def test_a_given_password_must_be_one_that_pve_takes(lab: Lab) -> None:
    spec = spec_of(None, password_mode=PasswordMode.GIVEN)
    for password in (None, "", "four", "x" * 501):
        with pytest.raises(InvalidInputError) as raised:
            await service.request(lab.rt, lab.session, spec, Secrets(password))
        assert list(raised.value.fields) == ["password"]


async def findings(lab: Lab, **changes: object) -> dict[str, str]:
    """The field and cause of each error."""
    spec = replace(spec_of(None), **changes)  # type: ignore[arg-type]  # the caller names fields of the spec
    found = await preflight.check(lab.rt, lab.session, spec)
    return {each.field: said(each) for each in found if each.severity is FindingSeverity.ERROR}


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("node", {"node": "pve9"}),
        ("storage", {"storage": "nowhere"}),
        ("storage", {"storage": "local"}),
        ("bridge", {"bridge": "vmbr77"}),
        ("ostemplate", {"ostemplate": "local:vztmpl/nothing_1_amd64.tar.zst"}),
        ("packages", {"packages_extra": (ExtraPackage(PackageManager.APK, "curl"),)}),
    ],
)
async def test_preflight_names_what_would_go_wrong(lab: Lab, field: str, changes: dict[str, object]) -> None:
    found = await findings(lab, **changes)
    assert list(found) == [field], found


async def test_preflight_of_a_sound_wish_finds_nothing(lab: Lab) -> None:
    assert await findings(lab) == {}


async def test_preflight_names_a_full_storage_and_an_offline_node(lab: Lab) -> None:
    lab.sandbox.fill_storage("local-lvm")
    assert list(await findings(lab)) == ["disk_gib"]
    lab.sandbox.heal()
    lab.sandbox.node_offline("pve1")
    assert "node" in await findings(lab)


async def test_a_viewer_is_told_all_that_is_missing_once_a_path_and_who_can_grant_it(lab: Lab) -> None:
    lab.session = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    with pytest.raises(PreflightError) as raised:
        await lab.request(vmid=7001)
    told = [text.with_remedy(finding.message) for finding in raised.value.findings]
    lacks = [each.partition(". ") for each in told if each.startswith("You lack")]
    at = {cause.rpartition(" at ")[2]: cause for cause, _, _ in lacks}
    assert len(at) == len(lacks), "each path once"
    for privilege in ("VM.Allocate", "VM.PowerMgmt", "VM.Config.CPU", "VM.Console", "VM.Config.Options"):
        assert at["/vms/7001"].count(privilege) == 1
    assert at["/storage/local-lvm"] == "You lack Datastore.AllocateSpace at /storage/local-lvm"
    assert all("Permissions.Modify there, can grant" in lack[-1] for lack in lacks)


async def test_an_operator_creates_and_is_told_what_only_root_may(lab: Lab) -> None:
    lab.session = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    assert list(await findings(lab, keyctl=True)) == ["keyctl"]
    assert set(await findings(lab, unprivileged=False)) == {"unprivileged"}
    assert await findings(lab, nesting=True) == {}
    privileged = await findings(lab, unprivileged=False, nesting=True)
    assert set(privileged) == {"unprivileged", "nesting"}
    assert "Only root@pam may switch on nesting for privileged containers" in privileged["nesting"]
    await lab.finish(await lab.request())


async def test_without_a_way_in_a_template_is_refused_first(lab: Lab) -> None:
    async with lab.rt.db.transaction() as tx:
        await tx.nodes.update(lab.session.endpoint_id, doors={})
    with pytest.raises(PreflightError, match="no way into guests"):
        await lab.request(ipv4=IpSettings(IpMode.NONE))


async def test_a_changed_host_key_is_told_before_anything_is_made(lab: Lab) -> None:
    door = {"host": "127.0.0.1", "port": lab.sandbox.ssh_port, "host_key": "SHA256:" + "A" * 43}
    async with lab.rt.db.transaction() as tx:
        await tx.nodes.update(lab.session.endpoint_id, doors={"*": door})
    with pytest.raises(PreflightError, match="not the pinned one"):
        await lab.request()
