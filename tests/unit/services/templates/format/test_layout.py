from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.format.conf import parse_conf
from lxc_dashboard.services.templates.format.layout import folded, written
from lxc_dashboard.services.templates.format.tree import MAX_NAME_BYTES
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    PackageEntry,
    Script,
    TemplateConfig,
    TemplateContent,
)
from lxc_dashboard.services.templates.sources.folder import discover
from tests.trees import WriteTree
from tests.unit.services.templates.contents import configs, contents

KEYS = [
    "TEMPLATE_APP",
    "TEMPLATE_TAGS",
    "TEMPLATE_DESCRIPTION",
    "TEMPLATE_OS",
    "TEMPLATE_VERSION",
    "TEMPLATE_STORAGE",
    "TEMPLATE_BRIDGE",
    "TEMPLATE_CPU",
    "TEMPLATE_RAM",
    "TEMPLATE_DISK",
    "TEMPLATE_SWAP",
    "TEMPLATE_UNPRIVILEGED",
    "TEMPLATE_NESTING",
    "TEMPLATE_KEYCTL",
    "TEMPLATE_FUSE",
    "TEMPLATE_NETWORK",
]
PRINT_VALUES = 'source "$1"; shift; for name in "$@"; do printf "%s\\0" "${!name-}"; done'
A_FILE = FileEntry("site.conf", "/etc/nginx", FilePolicy.DEFAULT, b"x")


def conf_of(config: TemplateConfig) -> bytes:
    return written(TemplateContent("web", config))["template.conf"].data


def said_by_bash(data: bytes) -> list[str]:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        command = ["bash", "--norc", "--noprofile", "-c", PRINT_VALUES, "bash", file.name, *KEYS]
        run = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, check=True)
    assert run.stderr == b""
    return run.stdout.decode().split("\0")[:-1]


def refusal(content: TemplateContent) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        written(content)
    return caught.value


@example(TemplateConfig(app='it\'s $HOME `id` \\ "x"', description="one \\\n'two'"))
@given(configs)
def test_template_conf_says_the_same_to_our_parser_and_to_bash(config: TemplateConfig) -> None:
    data = conf_of(config)
    read, warnings = parse_conf(data)
    assert read == replace(config, config_path="")
    assert warnings == ()
    texts = [
        config.app,
        ";".join(config.tags),
        config.description,
        config.os,
        config.version,
        config.storage,
        config.bridge,
    ]
    numbers = [config.cpu, config.ram_mib, config.disk_gib, config.swap_mib]
    flags = [int(flag) for flag in (config.unprivileged, config.nesting, config.keyctl, config.fuse, config.network)]
    assert said_by_bash(data) == texts + [str(number) for number in (*numbers, *flags)]


@given(contents())
def test_a_folder_says_all_but_what_only_a_manifest_can(content: TemplateContent) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path, file in written(content).items():
            target = Path(folder, "web", path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.data)
            target.chmod(0o755 if file.executable else 0o644)
        discovery = discover(Path(folder))
    assert discovery.refused == ()
    (read,) = discovery.found
    assert read.config == replace(content.config, config_path="")
    assert {script.name: script.content for script in read.scripts} == {s.name: s.content for s in content.scripts}
    assert [(f.name, f.target_dir, f.policy, f.content) for f in read.files] == [
        (f.name, f.target_dir, f.policy, f.content) for f in content.files
    ]
    assert read.buckets == content.buckets


def test_files_stand_where_the_format_says_and_scripts_as_they_are() -> None:
    script = "#!/bin/bash\n# Says hello\necho 'hello'\n"
    content = TemplateContent(
        "web",
        TemplateConfig(app="Web"),
        scripts=(Script("10-hello.sh", script, 0),),
        files=(replace(A_FILE, policy=FilePolicy.BACKUP), replace(A_FILE, name="run", mode=0o755)),
        buckets=(Bucket("base", PackageManager.APT, (PackageEntry("nginx=1.26"), PackageEntry("curl"))),),
    )
    found = written(content)
    assert found["container-configs/scripts/10-hello.sh"].data == script.encode()
    assert {path: file.data for path, file in found.items() if "/scripts/" not in path and "/" in path} == {
        "container-configs/packages/base.apt": b"nginx=1.26\ncurl\n",
        "container-configs/files/site.conf": b"x",
        "container-configs/files/site.conf.path": b"/etc/nginx\n",
        "container-configs/files/site.conf.policy": b"backup\n",
        "container-configs/files/run": b"x",
        "container-configs/files/run.path": b"/etc/nginx\n",
    }
    assert {path.rpartition("/")[2] for path, file in found.items() if file.executable} == {"10-hello.sh", "run"}
    assert list(found) == sorted(found)


def test_files_whose_names_meet_stand_in_folders_of_their_own() -> None:
    files = tuple(replace(A_FILE, name=name) for name in ("a", "A", "a.path", "more-1"))
    found = written(TemplateContent("web", TemplateConfig(app="Web"), files=files))
    paths = [path.removeprefix("container-configs/files/") for path in found if not path.endswith(".conf")]
    assert {"a", "a.path", "more-1-/A", "more-1-/A.path", "more-2/a.path", "more-2/a.path.path", "more-1"} <= set(paths)
    assert len({folded(path) for path in found}) == len(found)


@pytest.mark.parametrize("check", ["a | b", "ends in \\", "a\\\\", 'say "#x"'])
def test_custom_packages_keep_bars_backslashes_and_timeouts(check: str) -> None:
    package = PackageEntry("tool", check, "curl x | bash|timeout_s=9", 60)
    bucket = Bucket("own", PackageManager.CUSTOM, (package, replace(package, spec="other", timeout_s=300)))
    written(TemplateContent("web", TemplateConfig(app="Web"), buckets=(bucket,)))


@pytest.mark.parametrize(
    ("changes", "file", "why"),
    [
        ({"config": TemplateConfig(app="two\nlines")}, "web/template.conf:1", "TEMPLATE_APP"),
        ({"config": TemplateConfig(app="Web", description="end ")}, "web/template.conf", "description"),
        ({"config": TemplateConfig(app="Web", description="a\x07")}, "web/template.conf:2", "control character"),
        ({"config": TemplateConfig(app="Web", cpu=0)}, "web/template.conf:2", "TEMPLATE_CPU"),
        ({"scripts": (Script("run", "true\n", 0),)}, "web/container-configs/scripts", "must end in .sh"),
        ({"scripts": (Script("a/b.sh", "true\n", 0),)}, "web/container-configs/scripts", "plain text without /"),
        ({"scripts": (Script("a.sh", "\0", 0),)}, "web/container-configs/scripts/a.sh:1", "NUL"),
        ({"scripts": (Script("a.sh", "", 0), Script("A.sh", "", 1))}, "web/container-configs/scripts/A.sh", "case"),
        ({"scripts": (Script("a.sh", "", 0),) * 2}, "web/container-configs/scripts/a.sh", "twice"),
        ({"files": (replace(A_FILE, name="../x"),)}, "web/container-configs/files", "plain text without /"),
        ({"files": (replace(A_FILE, name="a\\.."),)}, "web/container-configs/files/a\\..", "leads out"),
        ({"files": (replace(A_FILE, name="x" * MAX_NAME_BYTES),)}, "web/container-configs/files", "bytes long"),
        ({"files": (replace(A_FILE, target_dir="/a\n/b"),)}, "web/container-configs/files/site.conf", "must be"),
        ({"files": (replace(A_FILE, target_dir="etc"),)}, "web/container-configs/files/site.conf", "must be"),
        ({"buckets": (Bucket("", PackageManager.APT),)}, "web/container-configs/packages", "must be a file's name"),
        (
            {"buckets": (Bucket("b", PackageManager.APT, (PackageEntry("curl"), PackageEntry("a #b"))),)},
            "web/container-configs/packages",
            "'a #b'",
        ),
        (
            {"buckets": (Bucket("b", PackageManager.CUSTOM, (PackageEntry("x", "a\\|b", "c"),)),)},
            "web/container-configs/packages",
            "'x'",
        ),
    ],
)
def test_what_no_folder_can_say_is_refused_by_its_place(changes: dict[str, object], file: str, why: str) -> None:
    content = replace(TemplateContent("web", TemplateConfig(app="Web")), **changes)  # type: ignore[arg-type] # by name
    error = refusal(content)
    assert (f"{error.file}:{error.line}" if error.line else error.file) == file
    assert why in error.message


def test_the_shipped_templates_are_written_as_their_parser_reads_them(write_tree: WriteTree) -> None:
    shipped = discover(Path(__file__).parents[5] / "templates").found
    assert shipped
    root = write_tree({f"{one.name}/{path}": file.data for one in shipped for path, file in written(one).items()})
    again = {content.name: content for content in discover(root).found}
    for content in shipped:
        assert again[content.name].config == replace(content.config, config_path="")
        assert again[content.name].scripts == content.scripts
        assert again[content.name].buckets == content.buckets
