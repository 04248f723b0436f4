"""Rules of the guests' host that need no guest."""

from __future__ import annotations

import ipaddress
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pve_sandbox.guests.host import GuestSpec
from pve_sandbox.guests.kind import GuestRecord, choose_address
from pve_sandbox.guests.namespaces import kernel
from pve_sandbox.guests.network import netlink
from pve_sandbox.guests.network.relay import is_refused, nameservers

GATEWAY = ipaddress.IPv4Interface("10.77.5.1/24")


@given(st.sets(st.integers(100, 999_999), max_size=40))
def test_given_addresses_are_all_different(vmids: set[int]) -> None:
    taken: set[str] = set()
    for vmid in vmids:
        address = choose_address(GuestSpec(vmid, "x"), GATEWAY, taken)
        assert address not in taken
        assert ipaddress.IPv4Interface(address).ip in GATEWAY.network
        taken.add(address)


def test_a_guest_keeps_the_address_of_its_vmid_where_it_is_free() -> None:
    assert choose_address(GuestSpec(101, "x"), GATEWAY, set()) == choose_address(GuestSpec(101, "y"), GATEWAY, set())


def test_a_full_network_is_named() -> None:
    taken = {f"10.77.5.{last}/24" for last in range(256)}
    with pytest.raises(ValueError, match="No free address"):
        choose_address(GuestSpec(101, "x"), GATEWAY, taken)


@pytest.mark.parametrize("address", ["10.77.5.1/24", "127.0.0.1", "0.0.0.0", "239.1.1.1/8", "::1", "dhcp"])  # noqa: S104 - never bound
def test_addresses_no_guest_can_have_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        choose_address(GuestSpec(101, "x", address=address), GATEWAY, set())


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    record = GuestRecord(GuestSpec(101, "web-01", environment={"A": "b"}), "10.77.5.111/24")
    record.save(tmp_path)
    assert GuestRecord.load(tmp_path) == record
    assert (tmp_path / "guest.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"spec": {}, "address": "", "fresh": true}', "\0"])
def test_a_record_that_cannot_be_read_is_no_guest(tmp_path: Path, text: str) -> None:
    (tmp_path / "guest.json").write_text(text)
    assert GuestRecord.load(tmp_path) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "169.254.169.254", "0.0.0.0", "224.0.0.1"])  # noqa: S104 - never bound
def test_the_machines_own_addresses_are_refused_to_guests(address: str) -> None:
    assert is_refused(address)


def test_addresses_of_others_are_not_refused() -> None:
    assert not is_refused("192.0.2.200")


def test_nameservers_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("# x\nsearch a\nnameserver 192.0.2.1\n nameserver 2001:db8::1 \nnameserver\noptions x\n")
    assert nameservers(path) == ["192.0.2.1", "2001:db8::1"]
    assert nameservers(tmp_path / "missing") == []


@given(st.binary(max_size=64))
def test_netlink_attributes_are_padded_and_say_their_length(value: bytes) -> None:
    packed = netlink.attribute(7, value)
    length, kind = struct.unpack_from("=HH", packed)
    assert (length, kind, len(packed) % 4, packed[4:length]) == (len(value) + 4, 7, 0, value)


def test_a_refusal_of_the_kernel_is_an_error() -> None:
    refusal = netlink.message(netlink.NLMSG_ERROR, 0, 1, struct.pack("=i", -17) + bytes(16))
    agreement = netlink.message(netlink.NLMSG_ERROR, 0, 2, struct.pack("=i", 0) + bytes(16))
    assert netlink.raise_for_errors(agreement + agreement, "x") == 2
    with pytest.raises(FileExistsError, match="thing"):
        netlink.raise_for_errors(agreement + refusal, "thing")


def test_the_number_of_a_link_is_known_by_its_name() -> None:
    with netlink.RouteSocket() as route:
        assert route.index("lo") == socket.if_nametoindex("lo")
        assert route.index("no-such-link") == 0


def run_filter(program: bytes, architecture: int, number: int) -> int:
    """Interpret the five BPF instructions of the filter."""
    lines = list(struct.iter_unpack("=HBBI", program))
    data, accumulator, place = {0: number, 4: architecture}, 0, 0
    while True:
        code, if_true, if_false, operand = lines[place]
        place += 1
        if code == 0x20:
            accumulator = data[operand]
        elif code == 0x15:
            place += if_true if accumulator == operand else if_false
        else:
            return int(operand)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "riscv64"])
def test_the_filter_matches_only_changes_of_owner_and_user(machine: str) -> None:
    architecture, calls = kernel._CALLS[machine]
    program = kernel.program(machine)
    pretended = {number for number in range(600) if run_filter(program, architecture, number) == 0x00050000}
    assert pretended == set(calls)
    assert {run_filter(program, architecture + 1, number) for number in range(600)} == {0x7FFF0000}
