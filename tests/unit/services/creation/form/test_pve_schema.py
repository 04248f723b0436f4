"""Each form that ``validate`` accepts is valid in PVE's own schema of ``POST /nodes/{node}/lxc``."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
from fakepve import formats, schema
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form.command import pve_parameters
from lxc_dashboard.services.creation.form.spec import PasswordMode
from lxc_dashboard.services.creation.form.validation import check_password, validate
from tests.unit.services.creation.form.test_spec import FULL

PARAMETERS: Final = schema.load().paths["/nodes/{node}/lxc"]["POST"]["parameters"]
# Formats of PVE::LXC::Config, which the double does not have.
_LINK_LOCAL: Final = re.compile(r"(fe80:[^%]+)%([a-zA-Z][a-zA-Z0-9_]{1,20}(?:[:.]\d+)?)")
_STEP_ASIDE: Final = re.compile(r"/\.\.?(?:/|$)|^\.\./")


def _name_server(text: str) -> str | None:
    link_local = _LINK_LOCAL.fullmatch(text)
    found: str | None = formats.check("ip", link_local.group(1) if link_local else text)
    return found


def _mount(text: str) -> str | None:
    return "it steps aside" if _STEP_ASIDE.search(text) else None


@pytest.fixture(autouse=True)
def _pve_lxc_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(formats.NAMED, "lxc-ip-with-ll-iface", _name_server)
    monkeypatch.setitem(formats.NAMED, "pve-lxc-mp-string", _mount)


def words(*usual: str, alphabet: str = "abz019.-_:/%~@+,;=()é \n") -> st.SearchStrategy[str]:
    """The usual values, and others that resemble them."""
    changed = st.tuples(st.sampled_from(usual), st.text(alphabet, max_size=4), st.integers(0, 40)).map(
        lambda parts: parts[0][: parts[2]] + parts[1] + parts[0][parts[2] :]
    )
    return st.one_of(st.sampled_from(usual), changed, st.text(alphabet, max_size=12))


NUMBERS: Final = st.one_of(
    st.integers(-1, 200), st.sampled_from([576, 4094, 4095, 65_535, 8192, 10**6, 10**9 - 1, 10**9])
)
MODES: Final = st.sampled_from(["dhcp", "static", "none", "auto", ""])
FLAGS: Final = st.sampled_from([True, False, "on", "", None])
SSH: Final = FULL["ssh_keys"]
FORMS: Final = st.fixed_dictionaries(
    {},
    optional={
        "node": words("pve1", "pve-2.x"),
        "ostemplate": words(
            "local:vztmpl/debian-13.tar.zst", "a-b_c.d:vztmpl/my (2)~x.tar.gz", "local:vztmpl/" + "a" * 243
        ),
        "hostname": words("web-01.example.org", "a" * 63, "a.b"),
        "vmid": NUMBERS,
        "storage": words("local-lvm", "a_b.c"),
        "ssh_keys": words(SSH, alphabet='A "=\n\t'),
        "cores": NUMBERS,
        "memory_mib": NUMBERS,
        "swap_mib": NUMBERS,
        "disk_gib": NUMBERS,
        "bridge": words("vmbr0", "my_br.7-x"),
        "vlan": NUMBERS,
        "mtu": NUMBERS,
        "ipv4_mode": MODES,
        "ipv4_address": words("10.0.0.5/24", "10.0.0.5/8", "10.0.0.5/32", "10.0.0.5/7", "010.0.0.5/24"),
        "ipv4_gateway": words("10.0.0.1", "192.0.2.1"),
        "ipv6_mode": MODES,
        "ipv6_address": words("fd00::5/64", "::ffff:10.0.0.5/96", "fe80::1%eth0/64", "FD00:0:0::5/8", "fd00::5/7"),
        "ipv6_gateway": words("fe80::1", "fd00::1", "fe80::1%eth0", "::ffff:10.0.0.1"),
        "nameserver": words("9.9.9.9 fd00::1", "fe80::1%eth0", "FE80::1%e_1:7,9.9.9.9"),
        "searchdomain": words("example.org", "a.b, c.d"),
        "firewall": FLAGS,
        "unprivileged": FLAGS,
        "nesting": FLAGS,
        "keyctl": FLAGS,
        "fuse": FLAGS,
        "onboot": FLAGS,
        "tags": words("web;edge", "a_b+c.d-e", "A B,c"),
        "pool": words("lab", "a/b/c"),
        "start_order": NUMBERS,
        "description": st.text(max_size=20) | st.integers(7700, 7900).map(lambda length: "é" * length),
        "mounts": st.lists(
            st.fixed_dictionaries(
                {
                    "source": words("local-lvm", "/tank/media"),
                    "path": words("/srv/data", "/a b/ü"),
                    "size_gib": NUMBERS,
                    "backup": FLAGS,
                    "read_only": FLAGS,
                }
            ),
            max_size=2,
        ),
    },
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(FORMS, st.text(min_size=5, max_size=12))
def test_what_is_taken_here_is_taken_by_pve(changes: dict[str, Any], password: str) -> None:
    """An invalid field gets its valid value back, so that the other fields are still tested."""
    form = {**FULL, "pool": "", **changes}
    try:
        spec = validate(form)
    except InvalidInputError as refused:
        names = {name.partition(".")[0] for name in refused.fields}
        form = {name: FULL.get(name) if name in names else value for name, value in form.items()}
        try:
            spec = validate(form)
        except InvalidInputError:
            assume(False)
    try:
        check_password(PasswordMode.GIVEN, password)
    except InvalidInputError:
        password = "correct horse"
    values = {"node": spec.node, **pve_parameters(spec, spec.vmid or 100, password)}
    _, errors = schema.validate(PARAMETERS, values)
    assert errors == {}
