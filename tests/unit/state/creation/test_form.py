"""How the wizard combines its form, the template and what a node offers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import PackageManager, SourceKind
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form import readers
from lxc_dashboard.services.creation.form.choices import (
    ApplianceChoice,
    BridgeChoice,
    Choices,
    NodeChoice,
    OsTemplateChoice,
    StorageChoice,
    defaults,
    host_name,
)
from lxc_dashboard.services.creation.form.validation import validate
from lxc_dashboard.services.creation.preflight.findings import Finding, FindingSeverity
from lxc_dashboard.services.templates.model import (
    Bucket,
    PackageEntry,
    Script,
    TemplateConfig,
    TemplateDetail,
    TemplateSummary,
)
from lxc_dashboard.state.creation import form as wizard
from lxc_dashboard.state.creation.form import ExtraRow, PackageRow, ScriptRow

GIB = 1024**3
DEBIAN = OsTemplateChoice("local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst", "debian-13", "local")
DEBIAN = replace(DEBIAN, name="debian-13-standard_13.1-2_amd64.tar.zst")
ALPINE = OsTemplateChoice("download:local:vztmpl/alpine-3.22.tar.xz", "alpine-3.22.tar.xz", "local")
OFFERED = Choices(
    node="pve1",
    nodes=(NodeChoice("pve1", True, 28 * GIB, 32 * GIB), NodeChoice("pve2", False)),
    storages=(StorageChoice("fast", "zfspool", 90 * GIB, 100 * GIB), StorageChoice("slow", "dir", GIB, GIB)),
    bridges=(BridgeChoice("vmbr0"), BridgeChoice("vmbr1", True)),
    ostemplates=(DEBIAN, ALPINE),
    template_storages=(StorageChoice("local", "dir", GIB, GIB),),
    appliances=(ApplianceChoice("wordpress.tar.gz", "wordpress", "debian-12", "turnkeylinux", "WordPress"),),
    next_vmid=100,
)
CONFIG = TemplateConfig(
    app="Web",
    tags=("web", "nginx"),
    cpu=2,
    ram_mib=700,
    disk_gib=4,
    swap_mib=0,
    os="debian",
    version="13",
    nesting=True,
)
ID = UUID("01a20ae5-30aa-739f-abd0-a0eb36cdf133")


def summary(name: str = "My_Web server", config: TemplateConfig = CONFIG) -> TemplateSummary:
    return TemplateSummary(
        id=ID,
        name=name,
        description="",
        config=config,
        source_name="shipped",
        source_kind=SourceKind.FOLDER,
        revision_id=ID,
        revision_number=1,
        scripts=0,
        files=0,
        packages=0,
        warnings=0,
        missing_since=None,
        updated_at=datetime.now(UTC),
    )


def raw(form: dict[str, str], **changes: Any) -> dict[str, object]:
    parts: dict[str, Any] = {"revision_id": "", "packages": [], "extras": [], "scripts": []}
    return wizard.raw_of(form, **(parts | changes))


def test_a_form_begins_with_the_templates_values_and_what_the_node_offers() -> None:
    form = defaults(summary(), OFFERED)
    wanted = {"node": "pve1", "hostname": "my-web-server", "cores": "2", "memory_mib": "700", "swap_mib": "0"}
    wanted |= {"storage": "fast", "bridge": "vmbr0", "ostemplate": DEBIAN.value, "tags": "web nginx", "vmid": ""}
    assert form.items() >= (wanted | {"nesting": "on", "unprivileged": "on", "keyctl": ""}).items()


def test_what_a_form_begins_with_is_a_valid_container() -> None:
    spec = validate(raw(defaults(summary(), OFFERED), revision_id=str(ID)))
    assert (spec.hostname, spec.cores, spec.ostemplate, spec.tags) == (
        "my-web-server",
        2,
        DEBIAN.value,
        ("web", "nginx"),
    )
    assert (spec.nesting, spec.unprivileged, spec.vmid, spec.scripts) == (True, True, None, ())


def test_without_a_template_only_the_hostname_is_left_to_type() -> None:
    form = defaults(None, OFFERED)
    assert form["hostname"] == ""
    assert validate(raw(form | {"hostname": "empty"})).revision_id is None


def test_a_templates_wish_that_the_node_has_not_gives_way() -> None:
    config = replace(CONFIG, storage="gone", bridge="vmbr9", os="plan9")
    form = defaults(summary(config=config), OFFERED)
    assert (form["storage"], form["bridge"], form["ostemplate"]) == ("fast", "vmbr0", DEBIAN.value)
    config = replace(CONFIG, storage="slow", bridge="vmbr1", os="alpine", version="3.22")
    form = defaults(summary(config=config), OFFERED)
    assert (form["storage"], form["bridge"], form["ostemplate"]) == ("slow", "vmbr1", ALPINE.value)


def test_where_only_downloads_are_offered_the_first_is_taken_and_where_nothing_is_nothing() -> None:
    assert defaults(None, replace(OFFERED, ostemplates=(ALPINE,)))["ostemplate"] == ALPINE.value
    bare = defaults(None, Choices(node="pve1", nodes=()))
    assert (bare["ostemplate"], bare["storage"], bare["bridge"]) == ("", "", "vmbr0")


@given(st.text(max_size=200))
def test_any_name_becomes_a_host_name_or_nothing(name: str) -> None:
    found = host_name(name)
    assert found == "" or readers.hostname(found) == found


def test_another_node_changes_only_what_it_does_not_have() -> None:
    form = defaults(summary(), OFFERED) | {"storage": "slow", "bridge": "vmbr1"}
    other = replace(OFFERED, node="pve3", storages=OFFERED.storages[:1], ostemplates=(ALPINE,))
    fallback = defaults(None, other)
    assert wizard.replace_missing(form | {"node": "pve3"}, other, fallback) == {
        "storage": "fast",
        "ostemplate": ALPINE.value,
    }
    assert wizard.replace_missing(form, other, fallback)["node"] == "pve3"


def test_a_node_that_has_what_the_template_names_gives_it_where_nobody_chose_otherwise() -> None:
    config = replace(CONFIG, storage="nvme", bridge="vmbr9")
    form = initial = defaults(summary(config=config), OFFERED)
    has_it = replace(OFFERED, node="pve3", storages=(*OFFERED.storages, StorageChoice("nvme", "zfspool", GIB, GIB)))
    assert wizard.fit_to_node(form, initial, has_it, config)[1].items() >= {"storage": "nvme"}.items()
    changes, chosen = wizard.fit_to_node(form | {"storage": "slow"}, initial, has_it, config)
    assert ("storage" in chosen, changes["storage"]) == (False, "nvme"), "what was chosen stays, to be put back"
    assert "bridge" not in changes, "it has not that either"


def test_on_another_node_an_untouched_os_template_is_one_of_the_templates_system() -> None:
    other = OsTemplateChoice("nfs:vztmpl/debian-13-standard_13.2-1_amd64.tar.zst", "debian-13-standard_13.2-1", "nfs")
    there = replace(OFFERED, node="pve3", ostemplates=(ALPINE, other))
    initial = defaults(summary(), OFFERED)
    assert wizard.fit_to_node(initial, initial, there, CONFIG)[1]["ostemplate"] == other.value


def test_an_os_template_that_was_found_by_searching_stays_where_it_can_be_fetched() -> None:
    fallback = defaults(None, OFFERED)
    form = {**fallback, "ostemplate": "download:local:vztmpl/wordpress.tar.gz"}
    assert wizard.replace_missing(form, OFFERED, fallback) == {}
    elsewhere = replace(OFFERED, template_storages=())
    assert wizard.replace_missing(form, elsewhere, fallback) == {"ostemplate": DEBIAN.value}


def test_what_was_typed_stays_where_the_node_does_not_say_what_it_has() -> None:
    form = defaults(summary(), OFFERED) | {"bridge": "vmbr7", "storage": "typed", "ostemplate": "typed"}
    silent = Choices(node="pve1", nodes=OFFERED.nodes)
    assert wizard.replace_missing(form, silent, defaults(None, silent)) == {}


def test_inputs_are_taken_as_they_are_and_boxes_that_are_not_sent_are_off() -> None:
    form = {"hostname": "a", "cores": "1", "nesting": "on", "fuse": ""}
    assert wizard.merge_inputs(
        form, {}, {"hostname": "b", "fuse": "on", "step": "configure", "password": "secret"}
    ) == {
        "hostname": "b",
        "nesting": "",
        "fuse": "on",
    }


@pytest.mark.parametrize("versions", ["", "{}", "[]", "nonsense", json.dumps({"hostname": "x"})])
def test_an_input_that_shows_what_was_before_has_nothing_to_say(versions: str) -> None:
    form = {"hostname": "of-the-template", "nesting": "on", "cores": "1"}
    found = wizard.merge_inputs(
        form, {"hostname": 2, "nesting": 1}, {"hostname": "old", "cores": "4", "versions": versions}
    )
    assert found == {"cores": "4"}
    current = json.dumps({"hostname": 2, "nesting": 1})
    found = wizard.merge_inputs(form, {"hostname": 2, "nesting": 1}, {"hostname": "new", "versions": current})
    assert found == {"hostname": "new", "nesting": ""}


def test_what_was_chosen_reaches_the_spec() -> None:
    packages = [PackageRow("a", "base", "apt", "nginx"), PackageRow("b", "base", "apt", "curl", on=False)]
    scripts = [ScriptRow("20.sh", "", ""), ScriptRow("10.sh", "", ""), ScriptRow("30.sh", "", "", on=False)]
    form = defaults(summary(), OFFERED) | {"ostemplate": ALPINE.value}
    extras = wizard.add_extras([ExtraRow("apt", "htop")], "apt", " htop  tree ")
    spec = validate(raw(form, revision_id=str(ID), packages=packages, extras=extras, scripts=scripts))
    assert spec.scripts == ("20.sh", "10.sh")
    assert [ref.spec for ref in spec.packages_off] == ["curl"]
    assert [extra.spec for extra in spec.packages_extra] == ["htop", "tree"]
    assert (spec.ostemplate, spec.ostemplate_download) == ("local:vztmpl/alpine-3.22.tar.xz", "alpine-3.22.tar.xz")


def test_a_templates_packages_and_scripts_become_rows() -> None:
    bucket = Bucket("base", PackageManager.APT, (PackageEntry("nginx"), PackageEntry("curl")))
    scripts = (Script("10.sh", "echo", 0, "First"), Script("20.sh", "echo", 1, enabled=False))
    detail = TemplateDetail(summary(), scripts, (), (bucket, replace(bucket, name="more")), (), ())
    assert [row.key for row in wizard.package_rows(detail)] == [
        *("base/apt/nginx", "base/apt/curl", "more/apt/nginx", "more/apt/curl")
    ]
    assert [(row.name, row.on) for row in wizard.script_rows(detail)] == [("10.sh", True), ("20.sh", False)]


def test_scripts_move_as_far_as_they_go() -> None:
    rows = [ScriptRow(name, "", "") for name in "abc"]

    def order(name: str, by: int) -> str:
        return "".join(row.name for row in wizard.move_row(rows, name, by))

    assert [order("a", 1), order("a", -1), order("c", 1), order("c", -1), order("x", 1)] == [
        *("bac", "abc", "abc", "acb", "abc")
    ]


def test_a_row_is_switched_by_its_name_alone() -> None:
    rows = [ScriptRow("a", "", ""), ScriptRow("b", "", "", on=False)]
    assert [row.on for row in wizard.toggle_row(rows, "b", "name")] == [True, True]
    assert [row.on for row in wizard.toggle_row(rows, "x", "name")] == [True, False]


def test_faults_lead_to_the_steps_and_fields_where_they_are_mended() -> None:
    assert wizard.steps_of(["scripts", "hostname", "packages"]) == ["configure", "packages", "scripts"]
    assert wizard.steps_of(["revision_id"]) == ["template"]
    assert wizard.steps_of([]) == []
    assert wizard.shown_faults({"ostemplate_download": "gone", "vmid": "taken"}) == {
        "ostemplate": "gone",
        "vmid": "taken",
    }


def test_findings_name_the_step_that_mends_them_and_only_errors_mark_a_field() -> None:
    error, warning = FindingSeverity.ERROR, FindingSeverity.WARNING
    findings = [
        Finding(error, "storage", Message(text="full")),
        Finding(error, "", Message(text="no VM.Allocate")),
        Finding(warning, "hostname", Message(text="twice")),
        Finding(error, "packages", Message(text="do not fit")),
    ]
    assert [wizard.finding_row(finding).step for finding in findings] == ["configure", "", "configure", "packages"]
    assert wizard.faults_of(findings) == {"storage": "full", "packages_extra": "do not fit"}
