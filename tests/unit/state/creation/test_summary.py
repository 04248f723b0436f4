"""The wizard's summary of the choices so far."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lxc_dashboard import text
from lxc_dashboard.services.creation.form.choices import (
    BridgeChoice,
    Choices,
    NodeChoice,
    OsTemplateChoice,
    StorageChoice,
)
from lxc_dashboard.state.creation import summary
from lxc_dashboard.state.creation.form import ExtraRow, PackageRow, ScriptRow

GIB = 1024**3
OFFERED = Choices(
    node="pve1",
    nodes=(NodeChoice("pve1", True, 28 * GIB, 32 * GIB), NodeChoice("pve2", False), NodeChoice("pve3", True)),
    storages=(StorageChoice("fast", "zfspool", 90 * GIB, 100 * GIB),),
    ostemplates=(
        OsTemplateChoice("local:vztmpl/debian-13_13.1_amd64.tar.zst", "debian-13_13.1_amd64.tar.zst", "local"),
        OsTemplateChoice("download:local:vztmpl/alpine-3.22.tar.xz", "alpine-3.22.tar.xz", "local"),
    ),
)
FORM = {"node": "pve1", "storage": "fast", "hostname": "web", "cores": "2", "memory_mib": "2048", "disk_gib": "8"}


def shown(lines: list[summary.Line]) -> dict[str, str]:
    return {line.label: line.value for line in lines}


def test_the_summary_says_what_is_left_of_node_and_storage() -> None:
    assert shown(summary.summary_lines(FORM, "nginx r3", OFFERED)) == {
        text.TEMPLATE: "nginx r3",
        text.HOSTNAME: "web",
        text.NODE: "pve1",
        text.RESOURCES: "2 cores, 2048 MiB, 8 GiB",
        text.MEMORY: "26.0 of 28.0 GiB free after this",
        text.DISK: "82 of 90 GiB free on fast after this",
    }


@pytest.mark.parametrize("change", [{"memory_mib": "", "disk_gib": "x"}, {"node": "pve3", "storage": "gone"}])
def test_the_summary_claims_nothing_that_is_not_known(change: dict[str, str]) -> None:
    assert summary.cost(OFFERED, FORM | change) == []


def test_more_than_there_is_leaves_nothing() -> None:
    assert shown(summary.cost(OFFERED, FORM | {"memory_mib": "99999999", "disk_gib": "1000"})) == {
        text.MEMORY: "0.0 of 28.0 GiB free after this",
        text.DISK: "0 of 90 GiB free on fast after this",
    }


def test_a_number_that_no_computer_has_is_left_out() -> None:
    mounts = '[{"source":"fast","size_gib":"%s"}]' % ("9" * 400)
    lines = shown(
        summary.summary_lines({**FORM, "memory_mib": "9" * 400, "disk_gib": "9" * 5000, "mounts": mounts}, "", OFFERED)
    )
    assert text.MEMORY not in lines
    assert text.DISK not in lines


def test_one_core_is_one_and_what_is_empty_is_shown_as_such() -> None:
    assert summary.resources(FORM | {"cores": "1"}) == "1 core, 2048 MiB, 8 GiB"
    assert summary.resources({}) == "… cores, … MiB, … GiB"
    assert shown(summary.summary_lines({}, "", None))[text.TEMPLATE] == text.NO_TEMPLATE


def test_options_are_named_as_people_tell_them_apart() -> None:
    assert [option.label for option in summary.node_options(OFFERED)] == [
        "pve1 (28.0 of 32.0 GiB memory free)",
        "pve2 (does not answer)",
        "pve3",
    ]
    assert [option.label for option in summary.storage_options(OFFERED.storages)] == ["fast (zfspool, 90 GiB free)"]
    assert [option.label for option in summary.os_options(OFFERED, download=False)] == ["debian-13_13.1 on local"]
    assert [option.label for option in summary.os_options(OFFERED, download=True)] == ["alpine-3.22"]
    sized = replace(OFFERED, ostemplates=(replace(OFFERED.ostemplates[0], size=123 * 1024**2),))
    assert summary.os_options(sized, download=False)[0].label == "debian-13_13.1 on local (123 MiB packed)"
    bridges = replace(OFFERED, bridges=(BridgeChoice("vmbr0", False), BridgeChoice("vmbr1", True), BridgeChoice("net")))
    assert [option.label for option in summary.bridge_options(bridges)] == ["vmbr0", "vmbr1 (VLAN aware)", "net"]


def test_a_range_is_no_choice_but_the_address_that_was_taken_from_it() -> None:
    form = FORM | {"ipv4_mode": "static", "ipv4_range": "10.0.0.1-9/24", "ipv4_address": "10.0.0.2/24"}
    lines = shown(summary.review_lines(form, "", packages=[], extras=[], scripts=[]))
    assert ("IPv4 range" in lines, lines["IPv4 address"]) == (False, "10.0.0.2/24")


def test_the_review_shows_every_choice_in_words_and_no_password() -> None:
    form = FORM | {
        "ostemplate": OFFERED.ostemplates[1].value,
        "password_mode": "given",
        "password": "secret",
        "ssh_keys": "ssh-ed25519 A a\n\nssh-ed25519 B b\n",
        "ipv4_mode": "dhcp",
        "ipv4_address": "10.0.0.5/24",
        "ipv6_mode": "static",
        "ipv6_address": "fd00::5/64",
        "vmid": "",
        "unprivileged": "on",
        "nesting": "on",
        "onboot": "",
    }
    lines = shown(
        summary.review_lines(
            form,
            "nginx r3",
            packages=[PackageRow("a", "base", "apt", "nginx"), PackageRow("b", "base", "apt", "curl", on=False)],
            extras=[ExtraRow("apt", "htop")],
            scripts=[ScriptRow("10.sh", "", ""), ScriptRow("20.sh", "", "", on=False)],
        )
    )
    assert lines["OS template"] == "alpine-3.22"
    assert (lines["Root password"], lines["SSH public keys"]) == ("Enter one", "2")
    assert (lines["IPv4"], lines["IPv6"], lines["IPv6 address"]) == ("DHCP", "Static", "fd00::5/64")
    assert (lines["CT ID"], lines[text.OPTIONS]) == (text.NEXT_FREE, "Unprivileged, Nesting")
    assert (lines[text.PACKAGES], lines[text.SCRIPTS]) == ("nginx, htop", "10.sh")
    assert "IPv4 address" not in lines
    assert "secret" not in str(lines)


def test_a_privileged_container_is_named_as_one() -> None:
    lines = shown(summary.review_lines({"fuse": "on"}, "", packages=[], extras=[], scripts=[]))
    assert lines[text.OPTIONS] == "Privileged, FUSE"
    assert lines[text.PACKAGES] == lines[text.SCRIPTS] == text.NOTHING


def test_a_node_whose_memory_may_not_be_seen_is_offered_by_its_name() -> None:
    blind = replace(OFFERED, nodes=(NodeChoice("pve1", True),))
    assert [option.label for option in summary.node_options(blind)] == ["pve1"]
    assert text.MEMORY not in shown(summary.summary_lines(FORM, "", blind))
