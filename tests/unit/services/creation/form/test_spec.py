"""Which specs are valid, and which parameters PVE gets for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form.command import pve_parameters
from lxc_dashboard.services.creation.form.spec import (
    ContainerSpec,
    ExtraPackage,
    IpMode,
    IpSettings,
    Mount,
    PackageRef,
    PasswordMode,
)
from lxc_dashboard.services.creation.form.validation import check_password, validate

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBB7kKkxxbmGnI8Y6mZr8m3i1bHk0V7W9Qq2vYbC4e1x me@home"
REVISION = "0192f0c8-1111-7000-8000-000000000000"
LEAST: dict[str, Any] = {
    "node": "pve1",
    "ostemplate": "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst",
    "hostname": "web-01",
    "storage": "local-lvm",
    "bridge": "vmbr0",
}
FULL: dict[str, Any] = LEAST | {
    "vmid": "120",
    "password_mode": "generated",
    "ssh_keys": f"# mine\n{KEY}\n\n{KEY}",
    "cores": "4",
    "memory_mib": "2048",
    "swap_mib": "0",
    "disk_gib": "16",
    "vlan": "30",
    "ipv4_mode": "static",
    "ipv4_address": "10.99.0.120/24",
    "ipv4_gateway": "10.99.0.1",
    "ipv6_mode": "auto",
    "nameserver": "9.9.9.9, 2620:fe::fe",
    "searchdomain": "example.org",
    "mtu": "1400",
    "firewall": "on",
    "unprivileged": "true",
    "nesting": "1",
    "tags": "Web; edge,web",
    "onboot": True,
    "start_order": 3,
    "pause_after_create": "on",
    "description": "Two\nlines",
    "revision_id": REVISION,
    "packages_off": [{"bucket": "base", "manager": "apt", "spec": "vim"}],
    "packages_extra": [{"manager": "pip", "spec": "httpx[http2]>=0.28"}],
    "scripts": ["20-b.sh", "10-a.sh"],
    "mounts": [{"source": "local-lvm", "path": "/srv/data", "size_gib": "8", "backup": "on"}],
}


def faults(**changes: Any) -> dict[str, str]:
    with pytest.raises(InvalidInputError) as raised:
        validate(LEAST | changes)
    return raised.value.fields


def test_the_least_is_enough_and_unprivileged() -> None:
    spec = validate(LEAST)
    assert spec.unprivileged
    assert spec.vmid is None
    assert (spec.ipv4.mode, spec.ipv6.mode) == (IpMode.DHCP, IpMode.NONE)
    assert not spec.enters_guest


def test_mount_points_are_volumes_or_paths_of_the_node() -> None:
    mounts = (Mount("local-lvm", "/srv/data", 8, backup=True), Mount("/tank/media", "/media", read_only=True))
    spec = replace(validate(LEAST), mounts=mounts)
    values = pve_parameters(spec, 101, None)
    assert (values["mp0"], values["mp1"]) == ("local-lvm:8,mp=/srv/data,backup=1", "/tank/media,mp=/media,ro=1")
    assert ContainerSpec.from_json(spec.to_json()) == spec


def test_text_of_a_form_becomes_a_spec() -> None:
    spec = validate(FULL)
    assert spec.ssh_keys == (KEY,)
    assert spec.tags == ("web", "edge")
    assert spec.nameserver == "9.9.9.9 2620:fe::fe"
    assert spec.revision_id == UUID(REVISION)
    assert spec.packages_off == (PackageRef("base", PackageManager.APT, "vim"),)
    assert spec.packages_extra == (ExtraPackage(PackageManager.PIP, "httpx[http2]>=0.28"),)
    assert spec.scripts == ("20-b.sh", "10-a.sh")


def test_pve_is_asked_for_exactly_that() -> None:
    assert pve_parameters(validate(FULL), 120, "s3cret") == {
        "vmid": 120,
        "ostemplate": LEAST["ostemplate"],
        "hostname": "web-01",
        "unprivileged": True,
        "cores": 4,
        "memory": 2048,
        "swap": 0,
        "rootfs": "local-lvm:16",
        "net0": "name=eth0,bridge=vmbr0,firewall=1,gw=10.99.0.1,ip=10.99.0.120/24,ip6=auto,mtu=1400,tag=30,type=veth",
        "features": "nesting=1",
        "onboot": True,
        "password": "s3cret",
        "ssh-public-keys": KEY,
        "nameserver": "9.9.9.9 2620:fe::fe",
        "searchdomain": "example.org",
        "tags": "web;edge",
        "startup": "order=3",
        "description": "Two\nlines",
        "mp0": "local-lvm:8,mp=/srv/data,backup=1",
    }


@pytest.mark.parametrize("unprivileged", [True, False])
def test_unprivileged_always_stands_in_it(unprivileged: bool) -> None:
    spec = validate(LEAST | {"unprivileged": unprivileged})
    assert pve_parameters(spec, 120, None)["unprivileged"] is unprivileged


def test_a_feature_that_is_off_is_not_named() -> None:
    assert "features" not in pve_parameters(validate(LEAST), 120, None)
    spec = validate(LEAST | {"nesting": True, "fuse": True})
    assert pve_parameters(spec, 120, None)["features"] == "fuse=1,nesting=1"


def test_a_zero_is_sent() -> None:
    values = pve_parameters(validate(LEAST | {"start_order": 0, "swap_mib": 0}), 120, None)
    assert (values["startup"], values["swap"]) == ("order=0", 0)


def test_tags_wait_for_the_end_where_rights_come_through_a_pool() -> None:
    values = pve_parameters(validate(LEAST | {"pool": "lab", "tags": "a"}), 120, None)
    assert values["pool"] == "lab"
    assert "tags" not in values


def test_no_secret_and_no_empty_value_is_sent() -> None:
    values = pve_parameters(validate(LEAST), 120, None)
    assert not {"password", "ssh-public-keys", "tags", "description", "nameserver"} & values.keys()


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(InvalidInputError) as raised:
        validate({})
    assert raised.value.fields.keys() == LEAST.keys()


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("hostname", ["", "-a", "a-", "a_b", "a..b", "x" * 64, ".".join(["a" * 32, "b" * 32]), "10.0.0.1", "a b", "ä"]),
        ("vmid", ["99", "1000000000", "abc", "1.5", True, "-120"]),
        ("cores", ["0", "x", "99999999999999"]),
        ("memory_mib", ["15", "1e3"]),
        ("disk_gib", ["0", "-1", "x"]),
        ("vlan", ["0", "4095"]),
        ("mtu", ["100", "70000"]),
        ("bridge", ["", "vmbr0;x", "x" * 16, "1br"]),
        ("storage", ["", "a", "-x", "a b"]),
        (
            "ostemplate",
            [
                "",
                "debian",
                "local:iso/x.iso",
                "local:vztmpl/../x",
                "local:vztmpl/..",
                "local:vztmpl/a,b",
                "local:vztmpl/a\nb",
                "l:vztmpl/a",
                "local:vztmpl/" + "a" * 243,
            ],
        ),
        ("tags", ["-a", "a!b", "a/b"]),
        ("pool", ["a b", "a/b/c/d"]),
        ("nameserver", ["dns.example.org", "1.2.3.4.5", "fd00::1%eth0", "fe80::1%", "fe80::1%a b", "febf::1%eth0"]),
        ("searchdomain", ["a_b", "-a.org", "a.org,-b.org"]),
        ("unprivileged", ["perhaps", 7]),
        ("password_mode", ["always"]),
        ("ssh_keys", ["not a key", "ssh-ed25519", "ssh-ed25519 AAAAC3Nz me", "-----BEGIN OPENSSH PRIVATE KEY-----"]),
        ("revision_id", ["7"]),
        ("description", ["x" * 7801]),
        ("packages_off", [[{"bucket": "b", "manager": "yum", "spec": "x"}], "text", [7]]),
        (
            "packages_extra",
            [
                [{"manager": "custom", "spec": "x"}],
                [{"manager": "apt", "spec": "-y"}],
                [{"manager": "apt", "spec": "a; rm"}],
                [{"manager": "apt", "spec": "nginx-"}],
                [{"manager": "apt", "spec": "a" * 256}],
            ],
        ),
        ("scripts", [["a", "a"], "a"]),
        ("ipv4_mode", ["auto", "bootp"]),
    ],
)
def test_a_wrong_value_is_named_by_its_field(field: str, values: list[Any]) -> None:
    for value in values:
        assert field in faults(**{field: value}), value


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ipv4_mode": "static"}, "ipv4_address"),
        ({"ipv4_mode": "static", "ipv4_address": "10.0.0.5"}, "ipv4_address"),
        ({"ipv4_mode": "static", "ipv4_address": "10.0.0.0/24"}, "ipv4_address"),
        ({"ipv4_mode": "static", "ipv4_address": "10.0.0.255/24"}, "ipv4_address"),
        ({"ipv4_mode": "static", "ipv4_address": "fd00::1/64"}, "ipv4_address"),
        ({"ipv4_mode": "static", "ipv4_address": "10.0.0.5/7"}, "ipv4_address"),
        ({"ipv6_mode": "static", "ipv6_address": "fd00::5/7"}, "ipv6_address"),
        ({"ipv6_mode": "static", "ipv6_address": "fd00::5%eth0/64"}, "ipv6_address"),
        ({"ipv6_mode": "static", "ipv6_address": "fd00::5%a,tag=7/64"}, "ipv6_address"),
        ({"ipv6_mode": "static", "ipv6_address": "fd00::5/64", "ipv6_gateway": "fe80::1%eth0"}, "ipv6_gateway"),
        ({"ipv4_mode": "static", "ipv4_address": "10.0.0.5/24", "ipv4_gateway": "10.0.0.5"}, "ipv4_gateway"),
        ({"ipv4_mode": "static", "ipv4_address": "10.0.0.5/24", "ipv4_gateway": "fe80::1"}, "ipv4_gateway"),
        ({"ipv6_mode": "static", "ipv6_address": "10.0.0.5/24"}, "ipv6_address"),
        ({"scripts": ["a.sh"]}, "scripts"),
        ({"packages_off": [{"bucket": "b", "manager": "apt", "spec": "x"}]}, "packages_off"),
        ({"ostemplate_download": "other.tar.zst"}, "ostemplate_download"),
    ],
)
def test_fields_that_do_not_go_together_are_named(changes: dict[str, Any], field: str) -> None:
    assert list(faults(**changes)) == [field]


def test_unusual_and_right_is_taken() -> None:
    unusual: list[dict[str, Any]] = [
        {"ipv4_mode": "static", "ipv4_address": "10.0.0.5/31"},
        {"ipv4_mode": "static", "ipv4_address": "10.0.0.5/32"},
        {"ipv6_mode": "static", "ipv6_address": "fd00::5/64", "ipv6_gateway": "fe80::1"},
        {"ipv4_mode": "static", "ipv4_address": "10.5.5.5/32", "ipv4_gateway": "10.0.0.1"},
        {"ipv4_mode": "none", "ipv6_mode": "dhcp"},
        {"hostname": "Web-01.Example.org"},
        {"hostname": ".".join(["a" * 32, "b" * 31])},
        {"ostemplate": "local:vztmpl/my~own (2) système@home.tar.zst"},
        {"ostemplate": "local:vztmpl/" + "a" * 242},
        {"packages_extra": [{"manager": "apk", "spec": "nginx-"}]},
    ]
    assert all(validate(LEAST | changes) for changes in unusual)


def test_name_servers_and_domains_are_parted_as_pve_parts_them() -> None:
    spec = validate(LEAST | {"nameserver": "FE80::1%eth0;9.9.9.9, fd00::1", "searchdomain": "a.org, b.org;c  d"})
    assert spec.nameserver == "fe80::1%eth0 9.9.9.9 fd00::1"
    assert spec.searchdomain == "a.org b.org c d"


@given(
    st.dictionaries(
        st.sampled_from(sorted(FULL)),
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text())),
    )
)
def test_whatever_comes_is_a_spec_or_named_faults(changes: dict[str, Any]) -> None:
    try:
        spec = validate(FULL | changes)
    except InvalidInputError:
        return
    assert ContainerSpec.from_json(spec.to_json()) == spec


def test_json_of_another_version_is_read() -> None:
    spec = validate(FULL)
    values = spec.to_json() | {"later": 1}
    del values["mtu"]
    assert ContainerSpec.from_json(values) == replace(spec, mtu=None)
    assert ContainerSpec.from_json({key: LEAST[key] for key in LEAST}).ipv4 == IpSettings(IpMode.DHCP)


@pytest.mark.parametrize("password", [None, "", "four", "ä" * 251, "tab\there"])
def test_a_given_password_is_checked_and_never_shown(password: str | None) -> None:
    with pytest.raises(InvalidInputError) as raised:
        check_password(PasswordMode.GIVEN, password)
    assert list(raised.value.fields) == ["password"]
    assert not password or password not in str(raised.value)
    check_password(PasswordMode.NONE, password)
    check_password(PasswordMode.GIVEN, "correct horse")
    check_password(PasswordMode.GIVEN, "x" * 500)


@pytest.mark.parametrize("field", ["description", "ssh_keys", "searchdomain", "pool"])
def test_half_a_character_is_refused_beside_its_field(field: str) -> None:
    """A browser sends half a character if it cuts a text within an emoji. PostgreSQL does not store it."""
    assert field in faults(**{field: f"{KEY} \ud83d"})
