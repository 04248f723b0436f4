"""The content of a base: the machine's files and settings, and Debian's packages."""

from __future__ import annotations

import fcntl
import json
import os
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from pve_sandbox.guests.host import GuestSpec
from pve_sandbox.guests.kind import GuestRecord
from pve_sandbox.guests.rootfs import base
from pve_sandbox.guests.rootfs.base import Base, load_base, unused_bases
from pve_sandbox.guests.rootfs.debian import BaseArchive, Control, Database

PASSWD = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/false\nada:x:1000:1000::/home/ada:/bin/bash\n+::::::\n"
GROUP = "root:x:0:\nadm:x:4:ada\nada:x:1000:\n"
CONTROL = """Package: probe
Architecture: amd64
Multi-Arch: same
Version: 1
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small root folder."""
    folder = tmp_path / "machine"
    files = {
        "etc/passwd": PASSWD,
        "etc/passwd-": PASSWD,
        "etc/group": GROUP,
        "etc/shadow": "root:secret:::::::\n",
        "etc/subuid": "ada:100000:65536\n",
        "etc/open": "open",
        "etc/skel/.profile": "profile",
        "etc/private": "secret",
        "etc/closed/inner": "secret",
        "usr/bin/program": "program",
        "usr/share/doc/program/README": "text",
        "usr/share/project/data": "secret",
        "home/ada/letter": "secret",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "usr/bin/program").chmod(0o4755)
    for name, mode in {"etc/private": 0o600, "etc/shadow": 0o640, "etc/closed": 0o700}.items():
        (folder / name).chmod(mode)
    (folder / "bin").symlink_to("usr/bin")
    (folder / "usr/bin/alias").symlink_to("program")
    return folder


def written(root: Path, write: Callable[[BaseArchive], None]) -> tarfile.TarFile:
    target = BytesIO()
    with BaseArchive(target, [root / "usr/share/project"], root) as archive:
        write(archive)
    return tarfile.open(fileobj=BytesIO(target.getvalue()))


def text_of(tar: tarfile.TarFile, name: str) -> str:
    file = tar.extractfile(name)
    assert file
    return file.read().decode()


def test_a_copy_of_the_machine_holds_its_system_and_nothing_of_its_people(root: Path) -> None:
    with written(root, lambda archive: base.write_system(archive, root)) as tar:
        assert text_of(tar, "usr/bin/program") == "program"
        assert tar.getmember("usr/bin/program").mode == 0o4755
        assert tar.getmember("usr/bin/alias").linkname == "program"
        assert tar.getmember("bin").linkname == "usr/bin"
        assert text_of(tar, "etc/open") == "open"
        assert text_of(tar, "root/.profile") == "profile"
        everything = "".join(text_of(tar, member.name) for member in tar if member.isfile())
        assert "secret" not in everything
        assert "ada" not in everything
        assert text_of(tar, "etc/passwd").splitlines() == PASSWD.splitlines()[:2]
        assert text_of(tar, "etc/shadow").startswith("root:*:")


def test_a_copy_of_the_machine_keeps_the_folders_of_what_is_left_out(root: Path) -> None:
    with written(root, lambda archive: base.write_system(archive, root)) as tar:
        assert tar.getmember("usr/share/doc/program").isdir()
        assert "usr/share/doc/program/README" not in tar.getnames()


def test_dpkg_knows_the_files_and_triggers_of_a_package_that_was_unpacked(root: Path) -> None:
    package = BytesIO()
    with tarfile.open(fileobj=package, mode="w") as tar:
        for name, content in {"./lib/probe.so": b"x", "./bin/probe": b"y", "./etc/probe.conf": b"z"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, BytesIO(content))
    control = Control(
        CONTROL, {"triggers": b"interest-noawait ldconfig # x\ninterest /usr/share/probe\nactivate other\n"}
    )

    def write(archive: BaseArchive) -> None:
        database = Database()
        with tarfile.open(fileobj=BytesIO(package.getvalue())) as source:
            database.add(control, *archive.unpack(source, {"etc/probe.conf"}))
        database.write(archive)

    with written(root, write) as tar:
        assert text_of(tar, "usr/bin/probe") == "y"  # the machine's bin is a link
        database = "var/lib/dpkg"
        assert text_of(tar, f"{database}/info/probe:amd64.list") == "/.\n/lib/probe.so\n/bin/probe\n/etc/probe.conf\n"
        status = text_of(tar, f"{database}/status")
        assert "Status: install ok unpacked\n" in status
        assert "Conffiles:\n /etc/probe.conf fbade9e36a3f36d3d676c1b808451dd7\n" in status
        assert text_of(tar, f"{database}/triggers/ldconfig") == "probe:amd64/noawait\n"
        assert text_of(tar, f"{database}/triggers/File") == "/usr/share/probe probe:amd64\n"


def made(folder: Path, name: str, id_map: str = "0") -> Base:
    (folder / name).mkdir(parents=True)
    (folder / name / "base.json").write_text(json.dumps({"source": "test", "made": "today", "id_map": id_map}))
    found = load_base(folder / name)
    assert found
    return found


def test_bases_that_no_guest_lies_over_are_named_for_removal(tmp_path: Path) -> None:
    bases = tmp_path / "bases"
    old, open_one, in_use = made(bases, "old"), made(bases, "open"), made(bases, "used")
    guests = tmp_path / "guests"
    (guests / "101").mkdir(parents=True)
    GuestRecord(GuestSpec(101, "web-01"), "10.77.5.111/24", base="used").save(guests / "101")
    for unused in (old, in_use):
        os.close(unused.hold(guests))
    held = open_one.hold(tmp_path / "others")
    made(bases, "another-users", "1000")
    (bases / "killed.left").mkdir()
    assert {path.name for path in unused_bases(bases, "0")} == {"old.left", "killed.left"}
    assert not old.folder.exists()  # a killed removal leaves no incomplete base
    fcntl.flock(held, fcntl.LOCK_UN)
    os.close(held)
    assert {path.name for path in unused_bases(bases, "0")} == {"old.left", "killed.left", "open.left"}
