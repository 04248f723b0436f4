from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates import folder as folder_module
from lxc_dashboard.services.templates.fingerprint import Fingerprint
from lxc_dashboard.services.templates.folder import Discovery, Refusal, discover
from lxc_dashboard.services.templates.model import Bucket, FileEntry, PackageEntry, TemplateContent

Files = dict[str, str | bytes]
WriteTree = Callable[[Mapping[str, str | bytes]], Path]
CONF = "TEMPLATE_APP=x\n"
CONFIGS = "web/container-configs"


def only(discovery: Discovery) -> TemplateContent:
    assert discovery.refused == ()
    (template,) = discovery.found
    return template


def refusal(discovery: Discovery) -> Refusal:
    (refused,) = discovery.refused
    return refused


def test_a_whole_template_is_read(write_tree: WriteTree, whole_template: Files) -> None:
    root = write_tree(whole_template)
    (root / CONFIGS / "files/site.conf").chmod(0o755)
    template = only(discover(root))
    assert template.name == "web"
    assert template.config.app == "Web"
    assert [(s.name, s.position, s.description, s.timeout_s, s.optional) for s in template.scripts] == [
        ("2-first.sh", 0, "Looks around", 1800, True),
        ("10-core.sh", 1, "Installs the core", 60, False),
        ("last.sh", 2, "", 1800, False),
    ]
    assert template.files == (
        FileEntry("site.conf", "/etc/nginx", FilePolicy.BACKUP, b"server {}\x00\xff\n", mode=0o755),
    )
    assert template.files[0].target == "/etc/nginx/site.conf"
    assert template.buckets == (
        Bucket("base", PackageManager.APT, (PackageEntry("nginx=1.26.3-3"), PackageEntry("curl"))),
        Bucket("base", PackageManager.PIP, (PackageEntry("a @ git+https://example.org/a#egg=a"),)),
        Bucket(
            "own",
            PackageManager.CUSTOM,
            (PackageEntry("tool", "command -v tool", "curl -f https://x | bash", timeout_s=90),),
        ),
    )
    assert template.warnings == ()


def test_equal_bucket_names_of_two_templates_stay_apart(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "a/template.conf": CONF,
            "a/container-configs/packages/base.apt": "nginx\n",
            "b/template.conf": CONF,
            "b/container-configs/packages/base.apt": "curl\n",
        }
    )
    found = {template.name: template.buckets[0].packages[0].spec for template in discover(root).found}
    assert found == {"a": "nginx", "b": "curl"}


def test_scripts_run_by_number_then_by_name_in_the_c_locale(write_tree: WriteTree) -> None:
    names = ["b.sh", "B.sh", "a.sh", "10-b.sh", "10-B.sh", "9-z.sh", "09-a.sh", "100-a.sh", "é.sh", "00-check.sh"]
    root = write_tree({"web/template.conf": CONF} | {f"{CONFIGS}/scripts/{name}": "true\n" for name in names})
    scripts = only(discover(root)).scripts
    assert [script.name for script in scripts] == [
        "00-check.sh", "09-a.sh", "9-z.sh", "10-B.sh", "10-b.sh", "100-a.sh", "B.sh", "a.sh", "b.sh", "é.sh",
    ]  # fmt: skip
    assert [script.position for script in scripts] == list(range(len(names)))


def test_one_broken_template_hides_no_other(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "a/template.conf": CONF,
            "b/template.conf": "TEMPLATE_APP=$(id)\n",
            "c/template.conf": CONF,
            "d/template.conf": CONF,
            "d/container-configs/files/orphan": "x",
        }
    )
    discovery = discover(root)
    assert [template.name for template in discovery.found] == ["a", "c"]
    assert [(r.name, r.file, r.line) for r in discovery.refused] == [
        ("b", "b/template.conf", 1),
        ("d", "d/container-configs/files/orphan", 0),
    ]
    assert "has no orphan.path" in discovery.refused[1].why


def test_the_configs_stand_where_the_template_says_from_the_root(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "lxc/web/template.conf": "TEMPLATE_APP=x\nTEMPLATE_CONFIG_PATH=shared/web\n",
            "lxc/web/container-configs/scripts/1.sh": "wrong\n",
            "shared/web/scripts/1.sh": "right\n",
        }
    )
    assert only(discover(root)).scripts[0].content == "right\n"


def test_the_configs_may_stand_in_the_folder_that_the_template_names(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "web/template.conf": "TEMPLATE_APP=x\nTEMPLATE_CONFIG_PATH=shared\n",
            "shared/container-configs/scripts/1.sh": "right\n",
        }
    )
    assert only(discover(root)).scripts[0].content == "right\n"


def test_configs_that_are_not_where_the_template_says_are_looked_for_beside_it(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "web/template.conf": "TEMPLATE_APP=x\nTEMPLATE_CONFIG_PATH=lxc/web/container-configs\n",
            f"{CONFIGS}/scripts/1.sh": "right\n",
        }
    )
    template = only(discover(root))
    assert template.scripts[0].content == "right\n"
    assert "which is not there" in template.warnings[0].message


def test_configs_that_are_nowhere_are_an_error_only_when_named(write_tree: WriteTree) -> None:
    root = write_tree({"web/template.conf": CONF})
    assert "nothing will be installed" in only(discover(root)).warnings[0].message
    root = write_tree({"web/template.conf": "TEMPLATE_CONFIG_PATH=gone\n"})
    assert "names gone, which is not there" in refusal(discover(root)).why


def test_a_root_that_is_a_template_itself_is_one(write_tree: WriteTree) -> None:
    root = write_tree({"template.conf": CONF, "container-configs/scripts/1.sh": "true\n", "docs/a/template.conf": CONF})
    template = only(discover(root))
    assert (template.name, len(template.scripts)) == ("templates", 1)


def test_a_template_that_another_one_hides_is_named(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "template.conf": CONF,
            "container-configs/files/template.conf": "x",
            "container-configs/files/template.conf.path": "/srv",
            "web/template.conf": CONF,
            ".git/template.conf": CONF,
        }
    )
    (root / "elsewhere").symlink_to("/")
    discovery = discover(root)
    assert [content.name for content in discovery.found] == ["templates"]
    assert refusal(discovery).file == "web/template.conf"
    assert refusal(discovery).why == "stands inside of the template templates: put it beside that"


@pytest.mark.parametrize("name", ["Template.conf", "template.conf.txt", "template.config", "TEMPLATE_CONF"])
def test_a_template_conf_of_another_name_is_named(write_tree: WriteTree, name: str) -> None:
    root = write_tree({f"web/{name}": CONF, f"{CONFIGS}/scripts/1.sh": "true\n", "other/Template.conf": "x"})
    discovery = discover(root)
    assert (discovery.found, refusal(discovery).file) == ((), f"web/{name}")
    assert "is called template.conf" in refusal(discovery).why


def test_hidden_folders_and_templates_within_templates_are_not_searched(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            ".git/x/template.conf": CONF,
            "node_modules/x/template.conf": CONF,
            "deep/er/web/template.conf": CONF,
            "deep/er/web/in/ner/template.conf": CONF,
        }
    )
    assert only(discover(root)).name == "web"


def test_a_name_is_given_once(write_tree: WriteTree) -> None:
    root = write_tree({"a/web/template.conf": CONF, "b/web/template.conf": CONF})
    discovery = discover(root)
    assert len(discovery.found) == 1
    assert refusal(discovery).why == "is a second template web: the first is a/web/template.conf"


@pytest.mark.parametrize("name", ["a b", "-x", "x" * 64, "ä"])
def test_a_folder_name_that_names_no_template_is_refused(write_tree: WriteTree, name: str) -> None:
    assert "stands in a folder whose name" in refusal(discover(write_tree({f"{name}/template.conf": CONF}))).why


def test_a_missing_root_is_an_error_and_an_empty_one_is_not(tmp_path: Path) -> None:
    assert discover(tmp_path) == Discovery((), ())
    with pytest.raises(TemplateError, match="is not there"):
        discover(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(TemplateError, match="is no folder"):
        discover(tmp_path / "file")


# Links and odd files


@pytest.mark.parametrize(
    "link",
    [
        "web/template.conf",
        CONFIGS,
        f"{CONFIGS}/scripts",
        f"{CONFIGS}/scripts/1.sh",
        f"{CONFIGS}/packages/base.apt",
        f"{CONFIGS}/files/x",
        f"{CONFIGS}/files/x.path",
        f"{CONFIGS}/files/sub",
    ],
)
def test_a_link_that_leads_out_is_refused(write_tree: WriteTree, tmp_path: Path, link: str) -> None:
    root = write_tree(
        {
            "web/template.conf": CONF,
            f"{CONFIGS}/scripts/1.sh": "",
            f"{CONFIGS}/files/x": "",
            f"{CONFIGS}/files/x.path": "/etc",
        }
    )
    outside = tmp_path / "outside"
    outside.mkdir()
    path = root / link
    if path.exists():
        path.rename(outside / "moved")
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(outside / "moved" if (outside / "moved").exists() else outside)
    refused = refusal(discover(root))
    assert refused.why == "is a link that leads out of the templates' folder"
    assert refused.file.startswith("web")


def test_a_linked_template_folder_that_leads_out_is_refused(write_tree: WriteTree, tmp_path: Path) -> None:
    root = write_tree({"a/template.conf": CONF})
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/template.conf").write_text(CONF)
    (root / "b").symlink_to(tmp_path / "outside")
    discovery = discover(root)
    assert [template.name for template in discovery.found] == ["a"]
    assert refusal(discovery).name == "b"


def test_links_within_the_tree_are_followed(write_tree: WriteTree) -> None:
    root = write_tree({"common/scripts/1.sh": "true\n", "common/f.sh": "one\n", "web/template.conf": CONF})
    (root / CONFIGS).mkdir()
    (root / CONFIGS / "scripts").symlink_to("../../common/scripts")
    (root / "common/scripts/2.sh").symlink_to("../f.sh")
    (root / "again").symlink_to("web")
    first = discover(root)
    assert [script.content for script in only(first).scripts] == ["true\n", "one\n"]
    (root / "common/f.sh").write_text("two\n")
    assert only(discover(root, first.fingerprints)).scripts[1].content == "two\n"


def test_circles_and_dead_links_are_refused_and_end(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "a/template.conf": CONF,
            "a/container-configs/files/x": "",
            "b/template.conf": CONF,
            "b/container-configs/scripts/1.sh": "",
            "c/template.conf": CONF,
        }
    )
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to(".")
    (root / "a/container-configs/files/again").symlink_to(".")
    (root / "b/container-configs/scripts/2.sh").symlink_to("gone")
    (root / "c/container-configs").symlink_to("container-configs")
    first = discover(root)
    assert [(refused.name, refused.why) for refused in first.refused] == [
        ("a", "is nested more than 8 folders deep"),
        ("b", "is a link that leads nowhere, or in a circle"),
        ("c", "is a link that leads nowhere, or in a circle"),
    ]
    assert discover(root, first.fingerprints) == first


@pytest.mark.parametrize("path", ["web/template.conf", f"{CONFIGS}/scripts/1.sh", f"{CONFIGS}/files/x"])
def test_a_pipe_is_refused_without_waiting_for_it(write_tree: WriteTree, path: str) -> None:
    root = write_tree({"web/template.conf": CONF, f"{CONFIGS}/scripts/0.sh": "", f"{CONFIGS}/files/x.path": "/etc"})
    (root / path).unlink(missing_ok=True)
    os.mkfifo(root / path)
    assert refusal(discover(root)).why == "is no regular file"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (f"{CONFIGS}/scripts", "must be a folder"),
        (CONFIGS, "must be a folder"),
    ],
)
def test_a_file_where_a_folder_belongs_is_refused(write_tree: WriteTree, path: str, why: str) -> None:
    assert refusal(discover(write_tree({"web/template.conf": CONF, path: ""}))).why == why


@pytest.mark.parametrize("path", ["web/template.conf/x", f"{CONFIGS}/files/x.path/y"])
def test_a_folder_where_a_file_belongs_is_refused(write_tree: WriteTree, path: str) -> None:
    root = write_tree({f"{CONFIGS}/files/x": "", path: ""})
    if not (root / "web/template.conf").exists():
        write_tree({"web/template.conf": CONF})
    assert refusal(discover(root)).why == "is no regular file"


def test_what_is_not_read_is_a_finding_unless_it_is_a_note(write_tree: WriteTree) -> None:
    left = ["script/1.sh", "scripts/1.py", "scripts/sub.sh/1.sh", "packages/a.yum", "packages/sub.apt/x"]
    notes = [
        "README.md",
        ".hidden",
        "scripts/notes.txt",
        "scripts/.1.sh.swp",
        "packages/README.md",
        "packages/.x.apt",
        "files/._x",
    ]
    root = write_tree({"web/template.conf": CONF} | {f"{CONFIGS}/{name}": "" for name in [*left, *notes]})
    template = only(discover(root))
    assert (template.scripts, template.buckets) == ((), ())
    assert sorted(finding.file for finding in template.warnings) == sorted(
        f"{CONFIGS}/{name}"
        for name in ["script", "scripts/1.py", "scripts/sub.sh", "packages/a.yum", "packages/sub.apt"]
    )
    assert {finding.message for finding in template.warnings} == {"is not read: it is no part of a template"}


def test_a_file_name_of_other_bytes_is_refused(write_tree: WriteTree) -> None:
    root = write_tree({"web/template.conf": CONF, f"{CONFIGS}/scripts/0.sh": ""})
    Path(os.fsdecode(os.fsencode(root / CONFIGS / "scripts") + b"/\xff.sh")).touch()
    refused = refusal(discover(root))
    assert "not plain UTF-8" in refused.why
    json.dumps(refused.file).encode()


def test_what_cannot_be_read_is_refused_and_tried_again(write_tree: WriteTree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_tree({"web/template.conf": CONF, f"{CONFIGS}/scripts/1.sh": ""})

    def denied(path: str, _flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", denied)
        first = discover(root)
    assert refusal(first) == Refusal("web/template.conf", 0, "cannot be read: Permission denied", "web")
    assert only(discover(root, first.fingerprints)).name == "web"


# Bounds


@pytest.mark.parametrize(
    ("path", "content", "why"),
    [
        ("web/template.conf", b"#" * (10 << 20), "is larger than the 262,144 bytes"),
        (f"{CONFIGS}/scripts/1.sh", b"#" * ((1 << 20) + 1), "is larger than"),
        (f"{CONFIGS}/packages/a.apt", b"#" * ((256 << 10) + 1), "is larger than"),
        (f"{CONFIGS}/packages/a.apt", "\n".join(f"p{n}" for n in range(2001)), "more than 2,000 packages"),
        (f"{CONFIGS}/files/x.path", b"/" * 9000, "is larger than"),
        (f"{CONFIGS}/files/x", bytes((16 << 20) + 1), "is larger than"),
        (f"{CONFIGS}/scripts/1.sh", b"echo\n\0", "NUL byte"),
        (f"{CONFIGS}/scripts/1.sh", b"echo \xe4\n", "not UTF-8"),
        (f"{CONFIGS}/packages/{'x' * 64}.apt", "nginx\n", "needs a name of at most 63"),
        (f"{CONFIGS}/packages/apt", "nginx\n", "needs a name in front of its manager: base.apt, say"),
    ],
)
def test_what_is_too_large_or_no_text_is_refused(write_tree: WriteTree, path: str, content: bytes, why: str) -> None:
    files: Files = {"web/template.conf": CONF, f"{CONFIGS}/files/x": "", f"{CONFIGS}/files/x.path": "/etc"}
    assert why in refusal(discover(write_tree(files | {path: content}))).why


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({f"{CONFIGS}/scripts/{n}.sh": "" for n in range(201)}, "more than 200 scripts"),
        ({f"{CONFIGS}/packages/{n}.apt": "" for n in range(101)}, "more than 100 lists"),
        (
            {f"{CONFIGS}/files/{n}{end}": "/x" for n in range(501) for end in ("", ".path")},
            "more than 500 files",
        ),
        ({f"{CONFIGS}/scripts/{n}.txt": "" for n in range(5001)}, "above 5,000 files in all"),
        (
            {
                f"{CONFIGS}/files/{n}{end}": body
                for n in range(5)
                for end, body in (("", bytes(15 << 20)), (".path", "/x"))
            },
            "above 67,108,864 bytes in all",
        ),
    ],
)
def test_a_template_of_too_many_parts_is_refused(write_tree: WriteTree, files: Files, why: str) -> None:
    assert why in refusal(discover(write_tree({"web/template.conf": CONF, **files}))).why


def test_a_pass_that_has_read_enough_leaves_the_rest_to_the_next(
    write_tree: WriteTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_tree({"a/template.conf": CONF, "b/template.conf": CONF})
    monkeypatch.setattr(folder_module, "MAX_DISCOVERY_BYTES", 1)
    first = discover(root)
    assert [template.name for template in first.found] == ["a"]
    assert (refusal(first).name, refusal(first).why) == ("b", "is left to the next pass: this one has read enough")
    second = discover(root, first.fingerprints)
    assert (second.unchanged, [template.name for template in second.found]) == (("a",), ["b"])


def test_too_many_templates_and_folders_are_named(write_tree: WriteTree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_tree({"a/template.conf": CONF, "b/template.conf": CONF, "c/x": ""})
    monkeypatch.setattr(folder_module, "MAX_TEMPLATES", 1)
    assert refusal(discover(root)).name == "b"
    monkeypatch.setattr(folder_module, "MAX_SEARCHED_FOLDERS", 2)
    discovery = discover(root)
    assert not discovery.complete
    assert "is not searched" in refusal(discovery).why


# The second pass


def test_an_unchanged_pass_reads_nothing_again(
    write_tree: WriteTree, whole_template: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_tree({**whole_template, "bad/template.conf": "id\n"})
    first = discover(root)
    stored = json.loads(json.dumps({key: mark.to_json() for key, mark in first.fingerprints.items()}))
    known = {key: Fingerprint.from_json(mark) for key, mark in stored.items()}
    assert known == first.fingerprints

    def opened(*_: object) -> int:
        raise AssertionError("an unchanged file was opened")

    monkeypatch.setattr(os, "open", opened)
    second = discover(root, known)
    assert (second.found, second.unchanged) == ((), ("web",))
    assert second.refused == first.refused
    assert second.fingerprints == first.fingerprints


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "web/template.conf").write_text("TEMPLATE_APP=Other\n"),
        lambda root: (root / CONFIGS / "scripts/1.sh").write_text("fals\n"),
        lambda root: (root / CONFIGS / "scripts/1.sh").unlink(),
        lambda root: (root / CONFIGS / "scripts/1.sh").rename(root / CONFIGS / "scripts/2.sh"),
        lambda root: (root / CONFIGS / "files/x").chmod(0o755),
        lambda root: (root / CONFIGS / "files/sub/y").write_text("z"),
        lambda root: (root / CONFIGS / "files/x.policy").write_text("backup"),
        lambda root: ((root / "new").write_text("true\n"), (root / "new").rename(root / CONFIGS / "scripts/1.sh")),
    ],
)
def test_any_change_is_seen(write_tree: WriteTree, change: Callable[[Path], object]) -> None:
    root = write_tree(
        {
            "web/template.conf": CONF,
            f"{CONFIGS}/scripts/1.sh": "true\n",
            f"{CONFIGS}/files/x": "",
            f"{CONFIGS}/files/x.path": "/etc",
            f"{CONFIGS}/files/sub/y": "",
            f"{CONFIGS}/files/sub/y.path": "/etc",
        }
    )
    first = discover(root)
    change(root)
    assert len(discover(root, first.fingerprints).found) == 1


def test_a_mended_template_and_configs_that_appear_are_seen(write_tree: WriteTree) -> None:
    root = write_tree({"a/template.conf": "id\n", "b/template.conf": "TEMPLATE_CONFIG_PATH=late\n"})
    first = discover(root)
    assert len(first.refused) == 2
    write_tree({"a/template.conf": CONF, "late/scripts/1.sh": "true\n"})
    second = discover(root, first.fingerprints)
    assert [template.name for template in second.found] == ["a", "b"]


def test_a_change_under_the_same_size_and_time_is_seen(write_tree: WriteTree) -> None:
    root = write_tree({"web/template.conf": "TEMPLATE_CPU=1\n"})
    first = discover(root)
    conf = root / "web/template.conf"
    before = conf.stat()
    conf.write_text("TEMPLATE_CPU=2\n")
    os.utime(conf, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert only(discover(root, first.fingerprints)).config.cpu == 2
