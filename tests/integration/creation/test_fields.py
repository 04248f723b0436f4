"""PVE's configuration of the container matches the wizard's fields."""

from __future__ import annotations

from dataclasses import replace

from lxc_dashboard.services.creation import preflight
from lxc_dashboard.services.creation.form.spec import Mount
from lxc_dashboard.services.creation.preflight.findings import Finding, FindingSeverity
from tests.integration.creation.conftest import Lab, content_of, spec_of
from tests.integration.endpoints import sign_in
from tests.worded import cause

DATA = Mount("local-lvm", "/srv/data", 3, backup=True)
MEDIA = Mount("/tank/media", "/media", read_only=True)


async def errors(lab: Lab, **changes: object) -> dict[str, Finding]:
    spec = replace(spec_of(None), **changes)  # type: ignore[arg-type]  # the caller names fields of the spec
    found = await preflight.check(lab.rt, lab.session, spec)
    return {finding.field: finding for finding in found if finding.severity is FindingSeverity.ERROR}


async def test_mount_points_are_made_and_there_before_the_scripts_run(lab: Lab) -> None:
    content = content_of(("10-use.sh", "#!/bin/sh\nset -eu\ntouch /srv/data/used /media/seen\n"))
    job = await lab.finish(await lab.request(content, mounts=(DATA, MEDIA)))
    config = await (await lab.pve()).lxc.config(job.node, job.vmid)
    assert config.mount_points == {
        0: {"volume": f"local-lvm:vm-{job.vmid}-disk-1", "backup": "1", "mp": "/srv/data", "size": "3G"},
        1: {"volume": "/tank/media", "mp": "/media", "ro": "1"},
    }
    assert await lab.in_guest(job.vmid, "ls", "/srv/data", "/media")


async def test_network_pool_tags_and_start_order_are_pves_then(lab: Lab) -> None:
    job_id = await lab.request(
        None,
        bridge="vmbr1",
        vlan=30,
        mtu=1400,
        firewall=True,
        nameserver="9.9.9.9 2620:fe::fe",
        searchdomain="example.org lab.example.org",
        onboot=True,
        start_order=3,
        pool="staging",
        tags=("web", "edge"),
    )
    job = await lab.finish(job_id)
    client = await lab.pve()
    config = await client.lxc.config(job.node, job.vmid)
    net = config.nets[0]
    assert {key: net[key] for key in ("bridge", "tag", "mtu", "firewall", "ip")} == {
        "bridge": "vmbr1",
        "tag": "30",
        "mtu": "1400",
        "firewall": "1",
        "ip": "dhcp",
    }
    said = ("nameserver", "searchdomain", "onboot", "startup")
    assert [config.text(name) for name in said] == [
        "9.9.9.9 2620:fe::fe",
        "example.org lab.example.org",
        "1",
        "order=3",
    ]
    assert set(config.tags) == {"web", "edge"}
    guest = await client.cluster.find_guest(job.vmid)
    assert guest
    assert guest.pool == "staging"


async def test_an_operator_is_told_that_only_root_mounts_a_folder_of_the_node(lab: Lab) -> None:
    lab.session = await sign_in(lab.rt, lab.sandbox, "operator@pve")
    found = await errors(lab, mounts=(DATA, MEDIA))
    assert list(found) == ["mounts.1.source"]
    assert "Only root@pam may mount a folder of the node" in cause(found["mounts.1.source"])
    job = await lab.finish(await lab.request(None, mounts=(DATA,)))
    assert (await (await lab.pve()).lxc.config(job.node, job.vmid)).mount_points[0]["mp"] == "/srv/data"


async def test_the_storage_of_a_mount_point_is_checked_as_the_disks_is(lab: Lab) -> None:
    assert list(await errors(lab, mounts=(Mount("nowhere", "/a", 1),))) == ["mounts.0.source"]
    assert list(await errors(lab, mounts=(Mount("local", "/a", 1),))) == ["mounts.0.source"]
    lab.sandbox.fill_storage("local-lvm")
    found = await errors(lab, mounts=(DATA, replace(DATA, path="/b", size_gib=2)))
    assert list(found) == ["mounts.0.size_gib"]
    assert "the disk and mount points are 6 GiB" in cause(found["mounts.0.size_gib"])


async def test_space_is_needed_on_each_storage(lab: Lab) -> None:
    lab.session = await sign_in(lab.rt, lab.sandbox, "viewer@pve")
    spec = replace(spec_of(None), mounts=(Mount("local", "/a", 1), Mount("local", "/b", 1)))
    found = await preflight.check(lab.rt, lab.session, spec)
    lacks = [(finding.field, cause(finding)) for finding in found if "AllocateSpace" in cause(finding)]
    assert lacks == [
        ("mounts.0.source", "You lack Datastore.AllocateSpace at /storage/local"),
        ("storage", "You lack Datastore.AllocateSpace at /storage/local-lvm"),
    ]
