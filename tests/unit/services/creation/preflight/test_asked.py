"""What a spec requires: a ticket that is young enough, privileges, a known OS, passwords."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from lxc_dashboard.db.models import CREATE_KIND, Job
from lxc_dashboard.services.creation import request
from lxc_dashboard.services.creation.form.spec import Mount
from lxc_dashboard.services.creation.preflight import rights
from lxc_dashboard.services.creation.preflight.checks import os_family
from lxc_dashboard.services.jobs.engine import ticket
from tests.unit.services.creation.wish import SPEC
from tests.worded import cause


def test_a_tickets_age_is_read_from_itself() -> None:
    present = 1_800_000_000.0
    assert ticket.issued_at(f"PVE:root@pam:{int(present) - 600:08X}::c2ln", present=present) == present - 600
    assert ticket.issued_at(f"PVE:a:b@pam:{int(present) + 99:08X}::c2ln", present=present) == present
    for unclear in ("", "PVE:root@pam:zz::x", f"PVE:root@pam:{int(present) - 99_999:08X}::c2ln"):
        assert ticket.issued_at(unclear, present=present) == present - 3600
    assert abs(ticket.issued_at("") - (time.time() - 3600)) < 60


def test_a_run_without_a_ticket_or_past_12_h_needs_a_sign_in() -> None:
    creation = Job(
        kind=CREATE_KIND,
        step="creating",
        vmid=101,
        endpoint_id=uuid4(),
        container_id=uuid4(),
        userid="root@pam",
        ticket_enc="x",
    )
    assert not ticket.has_ended(creation)
    creation.signed_in_at = datetime(2020, 1, 1, tzinfo=UTC)
    assert ticket.has_ended(creation)


def needs(**changes: object) -> set[tuple[str, str]]:
    spec = replace(SPEC, **changes)  # type: ignore[arg-type]  # a test names what it changes
    return {(need.privilege, need.paths[0]) for need in rights.needed(spec, 101)}


def test_each_wish_needs_its_own_rights() -> None:
    plain = needs()
    assert {("VM.Allocate", "/vms/101"), ("Datastore.AllocateSpace", "/storage/local-lvm")} <= plain
    assert ("SDN.Use", "/sdn/zones/localnetwork/vmbr0") in plain
    assert ("VM.Console", "/vms/101") in needs(revision_id=uuid4()) - plain
    assert ("Sys.Modify", "/") in needs(unprivileged=False) - plain
    [tagged] = [need for need in rights.needed(replace(SPEC, vlan=30), 101) if need.privilege == "SDN.Use"]
    assert tagged.paths == ("/sdn/zones/localnetwork/vmbr0/30",)
    assert ("Datastore.AllocateTemplate", "/storage/local") in needs(ostemplate_download="x") - plain
    far = {("Datastore.AllocateSpace", "/storage/iso"), ("Datastore.AllocateTemplate", "/storage/iso")}
    assert far <= needs(ostemplate="iso:vztmpl/x.tar.zst", ostemplate_download="x.tar.zst") - plain
    assert ("Sys.Modify", "/") in {
        (need.privilege, need.paths[0]) for need in rights.needed(SPEC, 101, guarded_tags=("prod",))
    }
    pooled = next(need for need in rights.needed(replace(SPEC, pool="lab"), 101) if need.privilege == "VM.Allocate")
    assert pooled.paths == ("/vms/101", "/pool/lab")


def test_a_bridge_whose_zone_is_not_told_needs_no_right() -> None:
    assert "SDN.Use" not in {need.privilege for need in rights.needed(SPEC, 101, zone="")}


def test_an_os_template_beside_the_disk_needs_no_right_of_its_own() -> None:
    together = replace(SPEC, ostemplate="local-lvm:vztmpl/x.tar.zst")
    assert [need.paths for need in rights.needed(together, 101) if need.privilege == "Datastore.AllocateSpace"] == [
        ("/storage/local-lvm",)
    ]


def test_what_only_root_may_is_named_by_its_field() -> None:
    mounts = (Mount("local-lvm", "/data", size_gib=4), Mount("/srv/media", "/media"))
    lacks = {lack.field: cause(lack) for lack in rights._only_root(replace(SPEC, fuse=True, mounts=mounts))}
    assert lacks == {
        "fuse": "Only root@pam may switch on fuse for unprivileged containers",
        "mounts.1.source": "Only root@pam may mount a folder of the node, for example /srv/media",
    }


def test_the_os_is_read_from_the_templates_name() -> None:
    assert os_family("local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst") == "debian"
    assert os_family("x:vztmpl/alpine-3.22-default_20250617_amd64.tar.xz") == "alpine"


def test_made_passwords_are_long_and_differ() -> None:
    made = {request.generate_password() for _ in range(100)}
    assert len(made) == 100
    assert {len(password) for password in made} == {24}
