"""A guest's ports, units, credentials and addresses are read, or left out if invalid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.proxmox.schemas import Interface
from lxc_dashboard.services.creation import access
from lxc_dashboard.services.creation.steps import discovery
from lxc_dashboard.services.creation.steps.start import global_addresses

TCP = """== tcp
  sl  local_address rem_address   st tx_queue
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000
   1: 00000000:0050 00000000:0000 0A 00000000:00000000
   2: 0100007F:0050 00000000:0000 0A 00000000:00000000
   3: 0A00630A:0016 0A006301:C001 01 00000000:00000000
   0: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A
   1: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A
== ss
LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=812,fd=6),("nginx",pid=811,fd=6))
LISTEN 0 244 127.0.0.1:5432 0.0.0.0:* users:(("postgres",pid=700,fd=6))
== units
nginx.service loaded active running A high performance web server
systemd-journald.service loaded active running Journal Service
cron.service loaded active running Regular background program processing daemon
"""


def test_ports_and_units_are_told_from_what_the_kernel_and_systemd_say() -> None:
    found = discovery.parse(TCP)
    ports = {
        each["port"]: (each["address"], each["process"], each["public"]) for each in found if each["kind"] == "port"
    }
    assert ports == {
        80: ("0.0.0.0", "nginx", True),  # noqa: S104 - an address in the guest, not bound here
        443: ("::", "", True),
        631: ("::1", "", False),
        5432: ("127.0.0.1", "postgres", False),
    }
    assert [each["name"] for each in found if each["kind"] == "unit"] == ["nginx.service", "cron.service"]
    assert discovery.parse("") == []


@pytest.mark.parametrize("port", ["http", "1234567", "\u0662\u0662"])
def test_a_process_whose_port_is_no_number_names_none(port: str) -> None:
    socket = f'LISTEN 0 511 0.0.0.0:{port} 0.0.0.0:* users:(("nginx",pid=812,fd=6))'
    assert discovery._process_names([socket, 'LISTEN 0 1 *:22 *:* users:(("sshd",pid=1,fd=3))']) == {22: "sshd"}


def test_credentials_are_read_by_service_and_key() -> None:
    text = "== db\nuser=app\npassword=a=b c\n== empty\n== web\ntoken=x\n"
    assert discovery.parse_credentials(text) == {"db": {"user": "app", "password": "a=b c"}, "web": {"token": "x"}}


@given(st.text(max_size=300), st.text(alphabet="0123456789ABCDEFabcdef:. x", max_size=120))
def test_whatever_a_guest_says_of_its_services_is_read_or_left_out(text: str, socket: str) -> None:
    hostile = f"== tcp\n 0: {socket} 0:0 0A\n{text}\n== ss\n{text}\n== units\n{text}.service a b c {text}"
    for found in discovery.parse(hostile):
        assert "\0" not in str(found.values())
        assert 0 <= found.get("port", 0) <= 65535
    for service, values in discovery.parse_credentials(f"== {text}\n{text}={socket}\n{socket}").items():
        assert service.isprintable()
        assert all(key.isprintable() and "\0" not in value for key, value in values.items())


def test_a_guest_cannot_fill_what_is_kept_of_it() -> None:
    tcp = "\n".join(f" 0: 00000000:{port:04X} 0:0 0A" for port in range(1, 5000))
    units = "\n".join(f"u{number}.service loaded active running {'x' * 900}" for number in range(5000))
    found = discovery.parse(f"== tcp\n{tcp}\n== units\n{units}")
    assert len(found) == discovery.MAX_PORTS + discovery.MAX_UNITS
    assert max(len(each.get("description", "")) for each in found) == discovery.NAME_CHARS
    text = "".join(f"== s{number}\nKEY={'x' * 9000}\n" for number in range(500))
    kept = discovery.parse_credentials(text)
    assert len(kept) == discovery.MAX_CREDENTIALS
    assert len(kept["s0"]["KEY"]) == discovery.VALUE_CHARS
    assert not discovery.parse_credentials("== ../x\na=b\n== \x1b[31m\na=b\n== ok\n1a=b\n")


def test_addresses_that_others_can_reach_ipv4_first() -> None:
    found = [
        Interface("lo", inet="127.0.0.1/8"),
        Interface("eth0", inet="10.0.0.5/24", inet6="fe80::1/64"),
        Interface("eth1", inet6="fd00::5/64", inet="169.254.0.9/16"),
    ]
    assert global_addresses(found) == ["10.0.0.5", "fd00::5"]
    assert global_addresses([]) == []
    bridge = Interface("docker0", inet="172.17.0.1/16")
    assert global_addresses([bridge, *found]) == ["10.0.0.5", "172.17.0.1", "fd00::5"]


def test_a_guest_tells_its_interfaces_itself() -> None:
    said = """1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: eth0@if7    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0
2: eth0@if7    inet6 fe80::1/64 scope link
"""
    told = access.told_by_guest(said)
    assert [interface.name for interface in told] == ["lo", "eth0"]
    assert global_addresses(told) == ["10.0.0.5"]
    assert access.told_by_guest("ip: not found\n") == []
