"""A form that asks for several containers: one spec for all, and each error at its field."""

from __future__ import annotations

from typing import Any

import pytest

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form import batch, validation
from lxc_dashboard.services.creation.form.batch import Several
from lxc_dashboard.services.creation.form.spec import IpMode, IpSettings

FORM: dict[str, Any] = {
    "node": "pve1",
    "ostemplate": "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst",
    "storage": "local-lvm",
    "bridge": "vmbr0",
    "ipv4_mode": "dhcp",
    "hostname": "",
    "hostname_pattern": "web-{01..20}",
}
STATIC = {"ipv4_mode": "static", "ipv4_range": "10.0.0.1-40/24", "ipv4_gateway": "10.0.0.1"}


def test_the_first_of_them_stands_for_all() -> None:
    spec = batch.validate(FORM | STATIC)
    assert (spec.hostname, spec.vmid) == ("web-01", None)
    assert spec.ipv4 == IpSettings(IpMode.STATIC, "10.0.0.2/24", "10.0.0.1")
    assert batch.count(FORM) == 20


def test_without_a_pattern_it_is_one_container_as_ever() -> None:
    form = FORM | {"hostname_pattern": " ", "hostname": "web", "ipv4_range": "nonsense"}
    assert batch.validate(form) == validation.validate(form)
    assert Several.of(form) is None
    assert batch.count(form) == 1


def test_a_range_counts_only_where_addresses_are_static() -> None:
    assert Several.of(FORM | {"ipv4_range": "nonsense"}) == Several("web-{01..20}")
    assert batch.validate(FORM | {"ipv4_range": "nonsense"}).ipv4.mode is IpMode.DHCP
    assert Several.of(FORM | STATIC) == Several("web-{01..20}", "10.0.0.1-40/24")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"hostname_pattern": "web"}, {"hostname_pattern"}),
        ({"vmid": "105"}, {"vmid"}),
        ({"ipv4_mode": "static"}, {"ipv4_range"}),
        (STATIC | {"ipv4_range": "nonsense"}, {"ipv4_range"}),
        (STATIC | {"ipv4_gateway": "10.9.0.1/24"}, {"ipv4_gateway"}),
        ({"ipv6_mode": "static", "ipv6_range": "10.0.0.1-9/24"}, {"ipv6_range"}),
        ({"hostname_pattern": "{1..101}", "cores": "0", "vmid": "1"}, {"hostname_pattern", "cores", "vmid"}),
    ],
)
def test_each_fault_is_told_with_the_rest(changes: dict[str, Any], wrong: set[str]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        batch.validate(FORM | changes)
    assert set(refused.value.fields) == wrong


def test_a_pattern_that_is_none_yet_counts_as_one() -> None:
    assert batch.count(FORM | {"hostname_pattern": "web-{1.."}) == 1
