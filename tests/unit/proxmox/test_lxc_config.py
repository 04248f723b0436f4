from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.proxmox.schemas import LxcConfig, property_string, split_property_string
from tests.unit.proxmox.replay import RECORDED

KEY = st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=8)
VALUE = st.text(
    st.characters(codec="ascii", categories=["L", "N"], include_characters=":/.-+= "), min_size=1, max_size=20
)


@given(st.dictionaries(KEY.filter(lambda key: key != "volume"), VALUE))
def test_a_property_string_reads_back(values: dict[str, str]) -> None:
    assert split_property_string(property_string(values)) == values


def test_a_property_string_is_written_as_pve_reads_it() -> None:
    assert property_string({"volume": "local:8", "size": "8G", "acl": True, "ro": False, "mp": None}) == (
        "local:8,size=8G,acl=1,ro=0"
    )
    assert split_property_string("local:8,size=8G") == {"volume": "local:8", "size": "8G"}
    assert split_property_string("") == {}


def test_a_recorded_config_is_read() -> None:
    config = LxcConfig.of(RECORDED["lxc_config_120"].data)
    assert (config.hostname, config.ostype, config.lock) == ("app1", "debian", "")
    assert (config.cores, config.memory_mib, config.swap_mib) == (1, 256, 0)
    assert config.unprivileged
    assert config.tags == ("dash", "lab")
    assert config.features == {"nesting": "1"}
    assert config.rootfs == {"volume": "btr:120/vm-120-disk-0.raw", "size": "1G"}
    assert config.description == "hello\nworld\n"
    assert config.nets[0]["bridge"] == "vmbr0"
    assert config.nets[0]["ip"] == "10.99.0.120/24"
    assert config.mount_points == {}
    assert len(config.digest) == 40


@pytest.mark.parametrize(
    ("found", "unprivileged", "cores"),
    [
        ({"unprivileged": True, "cores": "4"}, True, 4),
        ({"unprivileged": "1", "cores": 4.0}, True, 4),
        ({"unprivileged": 0, "cores": None}, False, None),
        ({"unprivileged": "no", "cores": "many"}, False, None),
        ({}, False, None),
    ],
)
def test_a_config_of_another_double_says_the_same(
    found: dict[str, object], unprivileged: bool, cores: int | None
) -> None:
    config = LxcConfig.of(found)
    assert (config.unprivileged, config.cores) == (unprivileged, cores)


def test_numbered_keys_are_told_from_their_neighbours() -> None:
    config = LxcConfig.of(
        {"net0": "name=eth0", "net10": "name=eth1", "mp0": "a:1,mp=/x", "nets": "x", "unused0": "b:2"}
    )
    assert set(config.nets) == {0, 10}
    assert config.mount_points == {0: {"volume": "a:1", "mp": "/x"}}
