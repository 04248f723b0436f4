from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lxc_dashboard.db.models import FilePolicy
from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.format.files import read_files
from lxc_dashboard.services.templates.format.tree import Entry, Faults, Tree
from lxc_dashboard.services.templates.model import FileEntry, Finding
from lxc_dashboard.text import in_words_of

Files = Mapping[str, str | bytes]
WriteTree = Callable[[Files], Path]
Read = Callable[[Files], tuple[tuple[FileEntry, ...], tuple[Finding, ...]]]


@pytest.fixture
def read(write_tree: WriteTree) -> Read:
    def read(files: Files) -> tuple[tuple[FileEntry, ...], tuple[Finding, ...]]:
        root = write_tree({f"files/{name}": content for name, content in files.items()})
        faults = Faults()
        found = read_files(Tree(root), Entry("files", str(root / "files"), "files", is_dir=True), faults)
        faults.refuse()
        return found

    return read


def test_without_a_policy_what_exists_is_kept(read: Read) -> None:
    ((file,), _) = read({"x": "", "x.path": "/etc"})
    assert (file.policy, file.target, file.mode, file.owner) == (FilePolicy.DEFAULT, "/etc/x", 0o644, "")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/etc\n", "/etc"),
        ("\ufeff/etc/\r\n", "/etc"),
        ("  /etc/nginx//conf.d/./  ", "/etc/nginx/conf.d"),
        ("//srv", "/srv"),
        ("/\n", "/"),
        ("# where\n\n/opt/my app\n", "/opt/my app"),
    ],
)
def test_the_target_is_a_directory(read: Read, path: str, target: str) -> None:
    ((file,), _) = read({"x": "", "x.path": path})
    assert file.target_dir == target


@pytest.mark.parametrize(
    ("sidecars", "file", "line", "why"),
    [
        ({}, "x", 0, "has no x.path"),
        ({"x.path": ""}, "x.path", 0, "is empty"),
        ({"x.path": "/a\n/b\n"}, "x.path", 2, "has a second line"),
        ({"x.path": "etc"}, "x.path", 1, "absolute directory"),
        ({"x.path": "~/x"}, "x.path", 1, "absolute directory"),
        ({"x.path": "\n/etc/../root"}, "x.path", 2, "must not hold .."),
        ({"x.path": "# where\n/etc/nginx # its own\n"}, "x.path", 2, "put the comment on a line of its own"),
        ({"x.path": "/etc", "x.policy": "replace # it"}, "x.policy", 1, "not 'replace # it'"),
        ({"x.path": "/etc", "d/y": "", "d/y.path": "/etc", "d.path": "/srv"}, "d.path", 0, "d, which is a folder"),
        ({"x.path": "/e\x1btc"}, "x.path", 1, "must be one path"),
        ({"x.path": "/" + "a" * 1000}, "x.path", 1, "at most 1000"),
        (
            {"x.path": "/etc", "x.policy": "overwrite"},
            "x.policy",
            1,
            "must be one of replace, default, backup, not 'overwrite'",
        ),
        ({"x.path": "/etc", "y.path": "/etc"}, "y.path", 0, "belongs to a file y that does not exist"),
        ({"x.path": "/etc", "y.policy": "backup"}, "y.policy", 0, "belongs to a file y that does not exist"),
    ],
)
def test_sidecars_that_say_nothing_clear_are_refused(
    read: Read, sidecars: dict[str, str], file: str, line: int, why: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        read({"x": "content", **sidecars})
    assert (caught.value.file, caught.value.line) == (f"files/{file}", line)
    assert why in caught.value.message


@pytest.mark.parametrize("policy", ["replace", "default", "backup", " Backup \r\n"])
def test_each_policy_is_read(read: Read, policy: str) -> None:
    ((file,), _) = read({"x": "", "x.path": "/etc", "x.policy": policy})
    assert file.policy == policy.strip().lower()


def test_a_file_may_be_called_like_a_sidecar(read: Read) -> None:
    files, _ = read(
        {
            "my.service": "[Service]",
            "my.service.path": "/etc/systemd/system",
            "my.path": "[Path]",
            "my.path.path": "/etc/systemd/system",
        }
    )
    assert [(file.name, file.content) for file in files] == [("my.path", b"[Path]"), ("my.service", b"[Service]")]


def test_files_may_stand_in_folders_but_each_name_once(read: Read) -> None:
    files, _ = read(
        {"etc/app/x": "1", "etc/app/x.path": "/etc/app", ".bashrc": "", ".bashrc.path": "/root", ".gitkeep": ""}
    )
    assert [file.target for file in files] == ["/root/.bashrc", "/etc/app/x"]
    with pytest.raises(TemplateError, match="files/x: has the same name as files/etc/app/x"):
        read({"x": "2", "x.path": "/srv"})


def test_a_path_that_names_the_file_itself_is_doubted(read: Read) -> None:
    _, (warning,) = read({"nginx.conf": "", "nginx.conf.path": "/etc/nginx/nginx.conf"})
    assert in_words_of(warning.message).endswith("the file will be /etc/nginx/nginx.conf/nginx.conf")


@pytest.mark.parametrize("target", ["/home/$USER", "/srv/${NAME:-x}", "/opt/$(id -un)", "/opt/`id`"])
def test_a_path_that_bash_would_compute_is_doubted(read: Read, target: str) -> None:
    ((file,), (warning,)) = read({"x": "", "x.path": target})
    assert file.target_dir == target
    assert (warning.file, "is used literally" in in_words_of(warning.message)) == ("files/x.path", True)


def test_a_path_may_hold_a_dollar_and_a_hash_of_its_own(read: Read) -> None:
    ((file,), warnings) = read({"x": "", "x.path": "/srv/c#/a$"})
    assert (file.target_dir, warnings) == ("/srv/c#/a$", ())
