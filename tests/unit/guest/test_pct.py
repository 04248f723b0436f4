"""The door ``pct``, with steps and files, against a real SSH server. Its guests are this machine."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lxc_dashboard.errors import CommandFailedError, GuestError, GuestUnreachableError, HostKeyError, WrongGuestError
from lxc_dashboard.guest import files
from lxc_dashboard.guest.base import ENVIRONMENT, MARKER_FILE
from lxc_dashboard.guest.doors import PctDoor, address_of, conversation, request
from lxc_dashboard.guest.files import GuestFile, Placement
from lxc_dashboard.guest.pool import SshPool
from lxc_dashboard.guest.supervisor import Step

if TYPE_CHECKING:
    from tests.unit.guest.conftest import Node

# A ``pct`` that moves the guest's marker to another path.
MARKED_PCT = f"""#!/bin/sh
shift 5
for word; do
    case $word in marker_file={MARKER_FILE}*) word="marker_file={{marker}}${{{{word#marker_file={MARKER_FILE}}}}}" ;; esac
    set -- "$@" "$word"
    shift
done
exec "$@"
"""


@pytest.fixture
async def door(node: Node, pool: SshPool) -> PctDoor:
    return PctDoor(pool, node.address(), 101, marker=None)


async def test_both_outputs_and_the_status_are_the_commands_own(door: PctDoor) -> None:
    result = await door.run(["sh", "-c", "echo out; echo err >&2; exit 4"])
    assert (result.stdout, result.stderr, result.exit_status) == (b"out\n", b"err\n", 4)


async def test_arguments_arrive_as_they_are(door: PctDoor) -> None:
    nasty = ["a b", "$(id)", "`id`", "'", '"', "\\", "*", "", "-n", "x\ny", "é", ";", "&&"]
    result = await door.run(["printf", "%s\\n", *nasty])
    assert result.stdout.decode() == "".join(f"{argument}\n" for argument in nasty)


async def test_nothing_but_our_environment_enters(door: PctDoor) -> None:
    result = await door.run(["env"])
    found = dict(line.split("=", 1) for line in result.text.splitlines())
    assert found.items() >= dict(ENVIRONMENT).items()
    assert found.keys() - ENVIRONMENT.keys() <= {"PWD", "OLDPWD", "SHLVL", "_"}


async def test_the_call_on_the_node_is_pct_exec_without_its_environment(door: PctDoor, node: Node) -> None:
    await door.run(["true"])
    assert shlex.split(node.commands[0])[:9] == [
        "env",
        "LC_ALL=C",
        "pct",
        "exec",
        "101",
        "--keep-env",
        "0",
        "--",
        "/usr/bin/env",
    ]


SLOW = 'while IFS= read -r line; do sleep 0.3; echo "$line"; done'


@pytest.mark.parametrize(
    "late",
    [f'"$0.plain" "$@" | {SLOW}', f'{{ "$0.plain" "$@" 2>&1 >&3 | {SLOW} >&2; }} 3>&1'],
    ids=["stdout", "stderr"],
)
async def test_neither_output_waits_for_the_other(door: PctDoor, node: Node, late: str) -> None:
    """The node may send one output long before the other. Neither loses any data."""
    shim = node.folder / "pct"
    shim.rename(node.folder / "pct.plain")
    shim.write_text(f"#!/bin/sh\n{late}\n")
    shim.chmod(0o755)
    for _ in range(2):
        result = await door.run(["sh", "-c", "echo out; echo err >&2"])
        assert (result.stdout, result.stderr) == (b"out\n", b"err\n")


async def test_what_the_node_prints_before_the_guest_is_entered_is_not_the_commands(door: PctDoor, node: Node) -> None:
    shim = node.folder / "pct"
    shim.write_text(shim.read_text().replace("shift 5", "shift 5; echo Welcome; echo Beware >&2"))
    result = await door.run(["echo", "out"])
    assert (result.stdout, result.stderr) == (b"out\n", b"")


async def test_another_user_than_root_asks_sudo(node: Node, pool: SshPool) -> None:
    command = PctDoor(pool, node.address(user="lxcd"), 101, marker=None).command()
    assert shlex.split(command)[:6] == ["sudo", "-n", "LC_ALL=C", "pct", "exec", "101"]


async def test_a_guest_without_our_marker_is_not_entered(node: Node, pool: SshPool, tmp_path: Path) -> None:
    door = PctDoor(pool, node.address(), 101, marker="0192f0c8-1111-7000-8000-000000000000")
    with pytest.raises(WrongGuestError):
        await door.run(["touch", str(tmp_path / "touched")])
    assert not (tmp_path / "touched").exists()


async def test_what_pct_says_is_the_cause(node: Node, pool: SshPool) -> None:
    with pytest.raises(GuestUnreachableError, match=r"CT 404 cannot be entered: .*404\.conf' does not exist"):
        await PctDoor(pool, node.address(), 404, marker=None).run(["true"])


async def test_a_command_that_hangs_is_given_up(door: PctDoor) -> None:
    with pytest.raises(GuestUnreachableError, match="within 1 s"):
        await door.run(["sleep", "60"], timeout_s=1)


async def test_endless_output_is_refused(door: PctDoor) -> None:
    with pytest.raises(GuestError, match="larger than 1024 KiB"):
        await door.run(["yes"], limit_bytes=1024 * 1024)


def file_of(folder: Path, content: bytes = b"new\n", **changes: object) -> GuestFile:
    values: dict[str, object] = {
        "directory": str(folder), "name": "app.conf", "content": content, "policy": "replace", "stamp": "20261124-101500",
    }  # fmt: skip
    return GuestFile(**(values | changes))  # type: ignore[arg-type]  # a test names what it changes


async def test_a_file_arrives_byte_for_byte_with_its_mode(door: PctDoor, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    assert await files.place(door, file_of(tmp_path, content, mode=0o640)) is Placement.WRITTEN
    assert (tmp_path / "app.conf").read_bytes() == content
    assert (tmp_path / "app.conf").stat().st_mode & 0o7777 == 0o640
    assert await files.read(door, str(tmp_path / "app.conf")) == content
    assert [path.name for path in tmp_path.iterdir() if path.name != "bin"] == ["app.conf"]


async def test_a_mode_that_gives_its_owners_rights_to_others_arrives_too(door: PctDoor, tmp_path: Path) -> None:
    """The mode is set after the owner, because a change of owner resets it."""
    assert await files.place(door, file_of(tmp_path, mode=0o4755)) is Placement.WRITTEN
    assert (tmp_path / "app.conf").stat().st_mode & 0o7777 == 0o4755


@pytest.mark.parametrize("linked", [False, True], ids=["directory", "link to it"])
async def test_a_file_belongs_to_its_directorys_owner(door: PctDoor, tmp_path: Path, *, linked: bool) -> None:
    if os.geteuid():
        pytest.skip("only root gives files away")
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    os.chown(folder, 4321, 1234)
    link.symlink_to(folder)
    assert await files.place(door, file_of(link if linked else folder)) is Placement.WRITTEN
    placed = (folder / "app.conf").stat()
    assert (placed.st_uid, placed.st_gid) == (4321, 1234)


@pytest.mark.parametrize(
    ("policy", "said"),
    [("replace", Placement.WRITTEN), ("default", Placement.KEPT), ("backup", Placement.SAVED)],
)
@pytest.mark.parametrize("leads", [True, False], ids=["to a file", "nowhere"])
async def test_a_link_in_the_files_place_is_treated_as_what_exists_and_never_followed(
    door: PctDoor, tmp_path: Path, policy: str, said: Placement, *, leads: bool
) -> None:
    elsewhere, target = tmp_path / "elsewhere", tmp_path / "app.conf"
    if leads:
        elsewhere.write_bytes(b"old\n")
    target.symlink_to(elsewhere)
    assert await files.place(door, file_of(tmp_path, policy=policy)) is said
    assert target.is_symlink() == (policy == "default")
    assert policy == "default" or target.read_bytes() == b"new\n"
    assert elsewhere.read_bytes() == b"old\n" if leads else not elsewhere.exists()
    backup = tmp_path / "app.conf.backup-20261124-101500"
    assert backup.is_symlink() == (policy == "backup")


async def test_an_equal_file_is_left_alone(door: PctDoor, tmp_path: Path) -> None:
    target = tmp_path / "app.conf"
    target.write_bytes(b"new\n")
    before = target.stat()
    assert await files.place(door, file_of(tmp_path)) is Placement.SAME
    assert target.stat().st_ino == before.st_ino


@pytest.mark.parametrize(
    ("policy", "said", "content"),
    [
        ("replace", Placement.WRITTEN, b"new\n"),
        ("default", Placement.KEPT, b"old\n"),
        ("backup", Placement.SAVED, b"new\n"),
    ],
)
async def test_what_exists_is_treated_by_policy(
    door: PctDoor, tmp_path: Path, policy: str, said: Placement, content: bytes
) -> None:
    (tmp_path / "app.conf").write_bytes(b"old\n")
    assert await files.place(door, file_of(tmp_path, policy=policy)) is said
    assert (tmp_path / "app.conf").read_bytes() == content
    backup = tmp_path / "app.conf.backup-20261124-101500"
    assert backup.exists() == (policy == "backup")
    if policy == "backup":
        assert backup.read_bytes() == b"old\n"
        assert await files.place(door, file_of(tmp_path, policy=policy)) is Placement.SAME


@pytest.mark.parametrize("policy", ["replace", "default", "backup"])
async def test_a_missing_file_is_written_by_every_policy(door: PctDoor, tmp_path: Path, policy: str) -> None:
    assert await files.place(door, file_of(tmp_path, policy=policy)) is Placement.WRITTEN


async def test_an_owner_that_does_not_exist_yet_holds_the_file_back(door: PctDoor, tmp_path: Path) -> None:
    assert await files.place(door, file_of(tmp_path, owner="nobody-of-this-name")) is Placement.UNOWNED
    assert [path.name for path in tmp_path.iterdir() if path.name != "bin"] == []


async def test_a_missing_directory_holds_the_file_back(door: PctDoor, tmp_path: Path) -> None:
    assert await files.place(door, file_of(tmp_path / "later")) is Placement.HELD
    assert not (tmp_path / "later").exists()


async def test_a_directory_in_the_way_is_named(door: PctDoor, tmp_path: Path) -> None:
    (tmp_path / "app.conf").mkdir()
    with pytest.raises(CommandFailedError, match=r"app\.conf") as caught:
        await files.place(door, file_of(tmp_path))
    assert caught.value.output_tail == f"{tmp_path}/app.conf is a directory\n"


@pytest.mark.parametrize("below", ["", "/a/b"])
async def test_a_file_in_the_place_of_a_directory_is_named(door: PctDoor, tmp_path: Path, below: str) -> None:
    (tmp_path / "plain").write_text("")
    with pytest.raises(CommandFailedError) as caught:
        await files.place(door, file_of(tmp_path / f"plain{below}"))
    assert caught.value.output_tail == f"{tmp_path}/plain is not a directory\n"


async def test_what_a_guest_says_of_a_file_that_it_cannot_write_is_kept(door: PctDoor) -> None:
    with pytest.raises(CommandFailedError) as caught:
        await files.place(door, file_of(Path("/proc")))
    assert "/proc/.lxc-dashboard-" in caught.value.output_tail


async def test_a_file_that_is_not_there_cannot_be_read(door: PctDoor, tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError):
        await files.read(door, str(tmp_path / "none"))


@pytest.mark.parametrize(
    "changes", [{"directory": "relative"}, {"name": "../up"}, {"name": ""}, {"name": ".."}, {"name": "a\0b"}]
)
def test_a_path_that_could_leave_its_directory_is_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    with pytest.raises(GuestError):
        file_of(tmp_path, **changes)  # type: ignore[arg-type]  # ``changes`` has no content


@pytest.mark.parametrize("name", ["../x", "a b", "", "-x", "a/b", "x" * 300])
def test_a_step_has_a_name_that_a_folder_can_have(name: str) -> None:
    with pytest.raises(GuestError):
        Step(name, "script.sh", b"", 10)


DOORS: dict[str, dict[str, str | int]] = {
    "pve1": {"host": "10.0.0.1", "port": 2222, "host_key": "ssh-ed25519 AAAA"},
    "*": {"host": "10.0.0.9", "host_key": "SHA256:x"},
}


def test_a_node_has_its_own_door_else_the_common_one() -> None:
    own, common = (address_of(DOORS, node, user="root", private_key="k") for node in ("pve1", "pve7"))
    assert own
    assert common
    assert (own.host, own.port) == ("10.0.0.1", 2222)
    assert (common.host, common.port) == ("10.0.0.9", 22)
    assert "k" not in repr(own).split("private_key")[-1] or "private_key" not in repr(own)


def test_without_a_door_or_a_key_there_is_none() -> None:
    assert address_of({}, "pve1", user="root", private_key="k") is None
    assert address_of(DOORS, "pve1", user="root", private_key=None) is None


def test_a_door_whose_host_key_was_never_confirmed_stays_shut() -> None:
    with pytest.raises(HostKeyError, match="pve1"):
        address_of({"pve1": {"host": "10.0.0.1"}}, "pve1", user="root", private_key="k")


async def test_twenty_entries_at_once(door: PctDoor) -> None:
    results = await asyncio.gather(*(door.run(["echo", str(n)]) for n in range(20)))
    assert [result.text.strip() for result in results] == [str(n) for n in range(20)]


# One conversation for all commands.


async def test_commands_one_after_the_other_enter_once(door: PctDoor, node: Node, tmp_path: Path) -> None:
    for number in range(5):
        assert (await door.run(["sh", "-c", f"cat; exit {number}"], stdin=b"x" * 70_000)).exit_status == number
        await files.place(door, file_of(tmp_path, f"{number}\n".encode()))
    assert len(node.commands) == 1


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, 1_000_000])
async def test_input_that_a_command_leaves_unread_is_not_the_next_request(door: PctDoor, node: Node, size: int) -> None:
    content = b"a request of mine 1 1\n" * size
    assert (await door.run(["true"], stdin=content[:size])).exit_status == 0
    assert (await door.run(["cat"], stdin=content[:size])).stdout == content[:size]
    assert len(node.commands) == 1


async def test_output_without_a_final_newline_ends_where_the_command_ends(door: PctDoor) -> None:
    content = os.urandom(300_000)
    for _ in range(3):
        result = await door.run(["sh", "-c", "cat; printf err >&2"], stdin=content)
        assert (result.stdout, result.stderr) == (content, b"err")


async def test_a_marker_that_changes_between_two_commands_ends_the_conversation(
    node: Node, pool: SshPool, tmp_path: Path
) -> None:
    (node.folder / "pct").write_text(MARKED_PCT.format(marker=tmp_path / "id"))
    (tmp_path / "id").write_text("mine\n")
    door = PctDoor(pool, node.address(), 101, marker="mine")
    assert (await door.run(["true"])).exit_status == 0
    (tmp_path / "id").write_text("other\n")
    with pytest.raises(WrongGuestError, match="carries other"):
        await door.run(["touch", str(tmp_path / "touched")])
    assert not (tmp_path / "touched").exists()


async def test_a_conversation_that_was_lost_while_idle_is_opened_anew(door: PctDoor, node: Node) -> None:
    await door.run(["true"])
    for process in tuple(node.running):
        os.killpg(process.pid, signal.SIGKILL)
    assert (await door.run(["echo", "again"])).text == "again\n"
    node.cut()
    assert (await door.run(["echo", "again"])).text == "again\n"
    assert len(node.commands) == 3


async def test_a_conversation_that_is_lost_under_a_command_fails_it(door: PctDoor, node: Node, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with pytest.raises(GuestUnreachableError):
        await door.run(["sh", "-c", f"echo run >>{runs}; kill -KILL $PPID"])
    assert runs.read_text() == "run\n", "a command that began is not sent again"
    assert (await door.run(["echo", "again"])).text == "again\n"


async def test_a_command_that_is_left_alone_takes_its_conversation_with_it(door: PctDoor, node: Node) -> None:
    async with door.stream(["sh", "-c", "echo begun; exec sleep 60"]) as stream:
        assert await stream.read() == (b"begun\n", b"")
        assert (await door.run(["echo", "beside"])).text == "beside\n"
    assert (await door.run(["echo", "next"])).text == "next\n"
    assert len(node.commands) == 2


async def test_a_door_that_is_closed_leaves_no_shell_in_the_guest(door: PctDoor, node: Node) -> None:
    await door.run(["true"])
    await door.close()
    async with asyncio.timeout(10):
        while shells := [process for process in node.running if process.returncode is None]:
            await asyncio.sleep(0.01)
    assert shells == []


async def test_a_request_that_is_cut_off_runs_nothing(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    whole = request("n" * 16, "", ["touch", str(touched)], b"")
    process = await asyncio.create_subprocess_exec(*conversation(), stdin=asyncio.subprocess.PIPE)
    await process.communicate(whole[:-1])
    assert not touched.exists()
