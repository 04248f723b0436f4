"""Reading a folder of templates: where the parts of a template may be. A broken template does not affect the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.model import Bucket, FileEntry, PackageEntry
from lxc_dashboard.services.templates.sources.folder import Discovery, discover
from lxc_dashboard.text import in_words_of
from tests.trees import WriteTree
from tests.unit.services.templates.sources.folders import CONF, CONFIGS, Files, only, refusal


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
    assert "has no orphan.path" in in_words_of(discovery.refused[1].why)


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
    assert "which is not there" in in_words_of(template.warnings[0].message)
    assert template.warnings[0].line == 2


def test_configs_that_are_nowhere_are_an_error_only_when_named(write_tree: WriteTree) -> None:
    root = write_tree({"web/template.conf": CONF})
    assert "nothing will be installed" in in_words_of(only(discover(root)).warnings[0].message)
    root = write_tree({"web/template.conf": "# first\nTEMPLATE_CONFIG_PATH=gone\n"})
    assert "names gone, which is not there" in in_words_of(refusal(discover(root)).why)
    assert refusal(discover(root)).line == 2


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
    assert in_words_of(refusal(discovery).why) == "is inside the template templates: move it beside that"


@pytest.mark.parametrize("name", ["Template.conf", "template.conf.txt", "template.config", "TEMPLATE_CONF"])
def test_a_template_conf_of_another_name_is_named(write_tree: WriteTree, name: str) -> None:
    root = write_tree({f"web/{name}": CONF, f"{CONFIGS}/scripts/1.sh": "true\n", "other/Template.conf": "x"})
    discovery = discover(root)
    assert (discovery.found, refusal(discovery).file) == ((), f"web/{name}")
    assert "must be called template.conf" in in_words_of(refusal(discovery).why)


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
    assert in_words_of(refusal(discovery).why) == "is a second template web: the first is a/web/template.conf"


@pytest.mark.parametrize("name", ["a b", "-x", "x" * 64, "ä"])
def test_a_folder_name_that_names_no_template_is_refused(write_tree: WriteTree, name: str) -> None:
    assert "is in a folder with an invalid name" in in_words_of(
        refusal(discover(write_tree({f"{name}/template.conf": CONF}))).why
    )


def test_a_missing_root_is_an_error_and_an_empty_one_is_not(tmp_path: Path) -> None:
    assert discover(tmp_path) == Discovery((), ())
    with pytest.raises(TemplateError, match="does not exist"):
        discover(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(TemplateError, match="is no folder"):
        discover(tmp_path / "file")
