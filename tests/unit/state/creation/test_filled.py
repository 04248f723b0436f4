"""The fields that a draft, link or preset sets, and the messages about them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.services.creation.form.choices import Choices, defaults
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.templates.model import Bucket, PackageEntry, Script, TemplateConfig, TemplateDetail
from lxc_dashboard.state.creation import mount_rows
from lxc_dashboard.state.creation import summary as kept
from lxc_dashboard.state.creation.form import PackageRow, ScriptRow
from lxc_dashboard.state.creation.mount_rows import MountRow, format_rows
from lxc_dashboard.state.creation.summary import Change, list_changes
from tests.unit.state.creation.test_form import CONFIG, ID, OFFERED, summary

SCRIPTS = [ScriptRow(name, "", "") for name in ("10-a.sh", "20-b.sh", "30-c.sh")]
KEYS = "ssh-ed25519 AAAA eve\nssh-rsa BBBB Company standard"
OWN_SCRIPTS = (Script("10-a.sh", "", 0), Script("20-b.sh", "", 1, enabled=False))
WEB = TemplateDetail(
    summary(),
    OWN_SCRIPTS,
    (),
    (Bucket("web", PackageManager.APT, (PackageEntry("nginx"), PackageEntry("curl"))),),
    (),
    (),
)


def test_scripts_come_back_in_their_order_and_off_where_they_were_off() -> None:
    filled = Filled(scripts=("30-c.sh", "10-a.sh", "20-b.sh"), scripts_off=("10-a.sh",))
    found, told = kept.scripts(SCRIPTS, filled)
    assert [(row.name, row.on) for row in found] == [("30-c.sh", True), ("10-a.sh", False), ("20-b.sh", True)]
    assert told == []


def test_a_script_that_came_since_is_added_and_one_that_went_is_told() -> None:
    found, told = kept.scripts(SCRIPTS, Filled(scripts=("20-b.sh", "15-gone.sh", "10-a.sh")))
    assert [row.name for row in found] == ["20-b.sh", "10-a.sh", "30-c.sh"]
    assert told == ["Scripts that the template no longer has: 15-gone.sh"]


def test_a_script_that_was_off_is_not_missed_when_it_is_gone() -> None:
    assert kept.scripts(SCRIPTS, Filled(scripts=("9.sh",), scripts_off=("9.sh",)))[1] == []


def test_packages_that_were_taken_out_stay_out() -> None:
    rows = [PackageRow("web/apt/nginx", "web", "apt", "nginx"), PackageRow("web/apt/curl", "web", "apt", "curl")]
    found = kept.packages(rows, Filled(packages_off=("web/apt/curl", "web/apt/gone")))
    assert [(row.spec, row.on) for row in found] == [("nginx", True), ("curl", False)]


def test_each_field_that_got_something_else_is_told_with_both_values() -> None:
    form = {"node": "pve1", "storage": "fast", "bridge": "", "pool": "dev"}
    told = kept.fallback_notes(form, {"storage": "local-lvm", "bridge": "vmbr0", "pool": ""})
    assert told == [
        "Storage fast is no longer on pve1: local-lvm is used instead",
        "Pool dev is no longer on pve1: None is used instead",
    ]


WISHED = TemplateConfig(app="web", os="plan", version="9", storage="nvme", bridge="vmbr9")


def test_what_the_node_has_not_of_what_the_template_names_is_told_beside_each_field() -> None:
    told = kept.stand_in_notes(defaults(summary(config=WISHED), OFFERED), OFFERED, WISHED, {})
    assert told == {
        "ostemplate": "The template needs plan 9. Neither pve1 nor PVE's list has it: "
        "debian-13-standard_13.1-2 is selected instead",
        "storage": "The template uses storage nvme, which pve1 does not have: fast is selected instead",
        "bridge": "The template uses bridge vmbr9, which pve1 does not have: vmbr0 is selected instead",
    }


def test_what_the_user_may_not_see_is_told_with_the_privilege_that_shows_it() -> None:
    hidden = replace(OFFERED, hides_storages=True)
    told = kept.stand_in_notes(defaults(summary(config=WISHED), hidden), hidden, WISHED, {})
    assert told["storage"] == (
        "The template uses storage nvme. It is not on pve1, or you lack Datastore.Audit at /storage/nvme. "
        "fast is selected instead"
    )
    assert told["ostemplate"].endswith("You need Datastore.Audit to see a storage")


def test_nothing_is_told_of_a_wish_that_is_met_or_of_what_pve_did_not_say() -> None:
    form = defaults(summary(), OFFERED)
    met = replace(WISHED, os="debian", version="13", storage="slow", bridge="vmbr1")
    assert kept.stand_in_notes(form, OFFERED, met, {}) == {}
    assert kept.stand_in_notes(form, OFFERED, TemplateConfig(app=""), {}) == {}
    assert kept.stand_in_notes(form, Choices("pve1", ()), WISHED, {}) == {}


def test_an_os_template_that_was_found_by_searching_may_be_what_the_template_is_made_for() -> None:
    found = {"ostemplate": "download:local:vztmpl/plan-9-turnkey_1.tar.gz", "storage": "fast", "bridge": "vmbr0"}
    assert "ostemplate" not in kept.stand_in_notes(found, OFFERED, WISHED, {})


def test_what_was_chosen_and_another_node_has_not_is_told_as_long_as_the_other_stands_there() -> None:
    initial = defaults(summary(), OFFERED)
    before = kept.replaced_choices(initial | {"storage": "slow"}, initial, {"storage": "fast", "bridge": "vmbr1"})
    assert before == {"storage": ("slow", "fast")}, "the bridge was nobody's choice"
    there = replace(OFFERED, node="pve3")
    told = kept.stand_in_notes(initial | {"storage": "fast"}, there, TemplateConfig(app=""), before)
    assert told == {"storage": "pve3 does not have slow: fast is selected instead"}
    assert kept.stand_in_notes(initial | {"storage": "nvme"}, there, TemplateConfig(app=""), before) == {}


def test_nothing_is_told_of_what_the_other_node_has_too_or_of_what_was_empty() -> None:
    initial = defaults(summary(), OFFERED)
    assert kept.replaced_choices(initial | {"storage": "slow"}, initial, {"bridge": "vmbr1"}) == {}
    assert kept.replaced_choices(initial | {"storage": ""}, initial, {"storage": "fast"}) == {}


def test_a_mount_point_whose_storage_another_node_has_not_is_told_as_long_as_the_other_stands_there() -> None:
    initial = defaults(summary(), OFFERED)
    listed = mount_rows.format_rows(
        [MountRow("/tank", "/media"), MountRow("slow", "/a"), MountRow("ssd", "/b"), MountRow("")]
    )
    form = initial | {"mounts": listed}
    moved = form | {"mounts": mount_rows.replace_missing(listed, {"slow", "fast"}, "fast")}
    before = kept.replaced_choices(form, initial, {"mounts": moved["mounts"]})
    assert before == {"mounts.2.source": ("ssd", "fast")}
    there, nothing_wished = replace(OFFERED, node="pve3"), TemplateConfig(app="")
    told = kept.stand_in_notes(moved, there, nothing_wished, before)
    assert told == {"mounts.2.source": "pve3 does not have ssd: fast is selected instead"}
    assert kept.stand_in_notes(form, there, nothing_wished, before) == {}
    assert kept.stand_in_notes(initial, there, nothing_wished, before) == {}


def test_that_it_is_privileged_and_its_keys_come_before_the_rest() -> None:
    form = {**defaults(None, OFFERED), "cores": "8", "unprivileged": "", "ssh_keys": KEYS, "onboot": "on"}
    assert list_changes(Filled(form=form), None, OFFERED) == [
        Change("Privileged", "The container's root is the node's root", risky=True),
        Change("SSH public keys", KEYS, risky=True),
        Change("Cores", "8"),
        Change("Start at boot", "On"),
    ]


def test_a_folder_of_the_node_comes_before_the_rest_and_a_volume_does_not() -> None:
    folder, volume = MountRow("/etc", "/mnt/node"), MountRow("local-lvm", "/srv")
    form = {"cores": "8", "ssh_keys": KEYS, "mounts": format_rows([volume, folder])}
    found = list_changes(Filled(form=form), None, OFFERED)
    assert [(change.label, change.risky) for change in found] == [
        ("Mount points", True),
        ("SSH public keys", True),
        ("Cores", False),
    ]
    assert "/etc" in found[0].value
    volumes = list_changes(Filled(form=form | {"mounts": format_rows([volume])}), None, OFFERED)
    assert [change.label for change in volumes if change.risky] == ["SSH public keys"]


def test_what_is_as_by_default_is_not_listed() -> None:
    assert list_changes(Filled(form=defaults(None, OFFERED)), None, OFFERED) == []
    found = list_changes(Filled(form=defaults(summary(), OFFERED), template_id=ID), WEB, OFFERED)
    assert found == [Change("Template", "My_Web server")]


def test_a_privileged_container_is_listed_also_where_its_template_asks_for_it() -> None:
    privileged = replace(WEB, summary=summary(config=replace(CONFIG, unprivileged=False)))
    for form in ({}, defaults(privileged.summary, OFFERED)):
        assert list_changes(Filled(form=form, template_id=ID), privileged, OFFERED)[0].label == text.PRIVILEGED
    made_unprivileged = list_changes(Filled(form={"unprivileged": "on"}, template_id=ID), privileged, OFFERED)
    assert [change.label for change in made_unprivileged] == ["Template"]


def test_what_runs_in_the_guest_is_listed_also_a_script_that_was_off() -> None:
    filled = Filled(
        template_id=ID,
        packages_off=("web/apt/curl", "web/apt/gone"),
        extras=(("apt", "htop"), ("npm", "left-pad")),
        scripts=("20-b.sh", "10-a.sh"),
        scripts_off=("10-a.sh",),
    )
    assert list_changes(filled, WEB, OFFERED)[1:] == [
        Change("Packages added", "apt htop, npm left-pad"),
        Change("Packages left out", "curl"),
        Change("Scripts switched on", "20-b.sh"),
        Change("Scripts switched off", "10-a.sh"),
        Change("Order of scripts", "20-b.sh, 10-a.sh"),
    ]


@pytest.mark.parametrize("name", sorted(defaults(None, OFFERED)))
def test_no_field_is_filled_unseen(name: str) -> None:
    value = "" if name == "unprivileged" else "changed"
    found = list_changes(Filled(form={name: value}), None, OFFERED)
    assert len(found) == 1
    assert found[0].value
