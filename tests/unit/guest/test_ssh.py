"""The door ``ssh`` against a real SSH server, and the removal of its key from ``authorized_keys``."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh
import pytest

from lxc_dashboard.errors import HostKeyError, KeyRefusedError, WrongGuestError
from lxc_dashboard.guest import doors
from lxc_dashboard.guest.base import ENVIRONMENT
from lxc_dashboard.guest.doors import SshDoor
from lxc_dashboard.guest.keys import KeyPair, private_key_of

if TYPE_CHECKING:
    from lxc_dashboard.guest.pool import SshPool
    from tests.unit.guest.conftest import Node

MARKER = "0192f0c8-1111-7000-8000-000000000000"
OURS = KeyPair.make("lxc-dashboard creation 1 (temporary)").public
THEIRS = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBB7kKkxxbmGnI8Y6mZr8m3i1bHk0V7W9Qq2vY2n3m4L me"
BEGIN, END = "# --- BEGIN PVE ---", "# --- END PVE ---"


@pytest.fixture
def door(node: Node, pool: SshPool) -> SshDoor:
    return SshDoor(pool, node.address(), 101, marker=None)


async def test_both_outputs_and_the_status_are_the_commands_own(door: SshDoor) -> None:
    result = await door.run(["sh", "-c", "cat; echo err >&2; exit 4"], stdin=b"in\n")
    assert (result.stdout, result.stderr, result.exit_status) == (b"in\n", b"err\n", 4)


async def test_nothing_but_our_environment_enters(door: SshDoor) -> None:
    found = dict(line.split("=", 1) for line in (await door.run(["env"])).text.splitlines())
    assert found.items() >= dict(ENVIRONMENT).items()
    assert found.keys() - ENVIRONMENT.keys() <= {"PWD", "OLDPWD", "SHLVL", "_"}


async def test_a_guest_without_our_marker_is_not_entered(node: Node, pool: SshPool, tmp_path: Path) -> None:
    with pytest.raises(WrongGuestError):
        await SshDoor(pool, node.address(), 101, marker=MARKER).run(["touch", str(tmp_path / "touched")])
    assert not (tmp_path / "touched").exists()


async def test_another_host_key_is_told_with_the_guest_and_nothing_is_sent(node: Node, pool: SshPool) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    with pytest.raises(HostKeyError, match=r"CT 101 at 127\.0\.0\.1 has another SSH host key"):
        await SshDoor(pool, node.address(host_key=other), 101, marker=None).run(["true"])
    assert node.commands == []


async def test_a_key_that_is_refused_is_told_with_the_guest(node: Node, pool: SshPool) -> None:
    address = node.address(private_key=KeyPair.make("other").private)
    with pytest.raises(KeyRefusedError, match=r"CT 101 at .* refuses the key of this creation"):
        await SshDoor(pool, address, 101, marker=None).run(["true"])


async def test_what_is_forgotten_is_closed(node: Node, pool: SshPool, door: SshDoor) -> None:
    await door.run(["true"])
    assert pool.connections(node.address()) == 1
    await pool.forget(node.address())
    assert pool.connections(node.address()) == 0
    assert (await door.run(["echo", "again"])).text == "again\n"


def test_a_made_key_is_whole_and_shows_nothing_of_its_private_half() -> None:
    pair = KeyPair.make("a comment")
    kind, blob, comment = pair.public.split(" ", 2)
    assert (kind, blob, comment) == ("ssh-ed25519", private_key_of(pair.private).get_base64(), "a comment")
    assert "PRIVATE" not in repr(pair)
    assert pair != KeyPair.make("a comment")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([OURS], None),
        ([BEGIN, OURS, END], None),
        (["", BEGIN, OURS, END, ""], None),
        ([BEGIN, THEIRS, OURS, END], [BEGIN, THEIRS, END]),
        ([THEIRS, BEGIN, OURS, END], [THEIRS]),
        ([BEGIN, OURS, END, THEIRS], [THEIRS]),
        ([f'from="10.0.0.1" {OURS}', THEIRS], [THEIRS]),
        ([THEIRS], [THEIRS]),
        ([BEGIN, END, THEIRS], [BEGIN, END, THEIRS]),
    ],
)
def test_only_our_key_and_what_was_made_for_it_goes(tmp_path: Path, before: list[str], after: list[str] | None) -> None:
    keys = tmp_path / ".ssh" / "authorized_keys"
    keys.parent.mkdir()
    keys.write_text("".join(f"{line}\n" for line in before))
    keys.chmod(0o640)
    for _ in range(2):  # a retry may run it again
        take_out(keys)
    if after is None:
        assert not keys.parent.exists()
        return
    assert keys.read_text().splitlines() == after
    assert keys.stat().st_mode & 0o777 == 0o640
    assert list(keys.parent.iterdir()) == [keys]


def test_a_folder_that_holds_something_else_stays(tmp_path: Path) -> None:
    keys = tmp_path / ".ssh" / "authorized_keys"
    keys.parent.mkdir()
    keys.write_text(f"{OURS}\n")
    (keys.parent / "config").touch()
    take_out(keys)
    assert [path.name for path in keys.parent.iterdir()] == ["config"]


def take_out(keys: Path) -> None:
    script = doors._REMOVE.replace(doors._KEYS, str(keys))
    subprocess.run(["/bin/sh", "-c", script, "sh", OURS.split()[1]], check=True)
