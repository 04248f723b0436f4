"""From what was kept to what the wizard shows, as far as it is still there."""

from __future__ import annotations

from dataclasses import replace

from lxc_dashboard.services.creation.form.choices import Choices
from lxc_dashboard.services.creation.form.defaults import defaults
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.templates.model import TemplateConfig
from lxc_dashboard.state import mount_rows, wizard_filled
from lxc_dashboard.state.mount_rows import MountRow
from lxc_dashboard.state.wizard import PackageRow, ScriptRow
from tests.unit.state.test_wizard import OFFERED, summary

SCRIPTS = [ScriptRow(name, "", "") for name in ("10-a.sh", "20-b.sh", "30-c.sh")]


def test_scripts_come_back_in_their_order_and_off_where_they_were_off() -> None:
    filled = Filled(scripts=("30-c.sh", "10-a.sh", "20-b.sh"), scripts_off=("10-a.sh",))
    found, told = wizard_filled.scripts(SCRIPTS, filled)
    assert [(row.name, row.on) for row in found] == [("30-c.sh", True), ("10-a.sh", False), ("20-b.sh", True)]
    assert told == []


def test_a_script_that_came_since_is_added_and_one_that_went_is_told() -> None:
    found, told = wizard_filled.scripts(SCRIPTS, Filled(scripts=("20-b.sh", "15-gone.sh", "10-a.sh")))
    assert [row.name for row in found] == ["20-b.sh", "10-a.sh", "30-c.sh"]
    assert told == ["Scripts that the template no longer has: 15-gone.sh"]


def test_a_script_that_was_off_is_not_missed_when_it_is_gone() -> None:
    assert wizard_filled.scripts(SCRIPTS, Filled(scripts=("9.sh",), scripts_off=("9.sh",)))[1] == []


def test_packages_that_were_taken_out_stay_out() -> None:
    rows = [PackageRow("web/apt/nginx", "web", "apt", "nginx"), PackageRow("web/apt/curl", "web", "apt", "curl")]
    found = wizard_filled.packages(rows, Filled(packages_off=("web/apt/curl", "web/apt/gone")))
    assert [(row.spec, row.on) for row in found] == [("nginx", True), ("curl", False)]


def test_each_field_that_got_something_else_is_told_with_both_values() -> None:
    form = {"node": "pve1", "storage": "fast", "bridge": "", "pool": "dev"}
    told = wizard_filled.fallen_back(form, {"storage": "local-lvm", "bridge": "vmbr0", "pool": ""})
    assert told == [
        "Storage fast is no longer on pve1: local-lvm is used instead",
        "Pool dev is no longer on pve1: None is used instead",
    ]


WISHED = TemplateConfig(app="web", os="plan", version="9", storage="nvme", bridge="vmbr9")


def test_what_the_node_has_not_of_what_the_template_names_is_told_beside_each_field() -> None:
    told = wizard_filled.stand_ins(defaults(summary(config=WISHED), OFFERED), OFFERED, WISHED, {})
    assert told == {
        "ostemplate": "The template needs plan 9. Neither pve1 nor PVE's list has it: "
        "debian-13-standard_13.1-2 is selected instead",
        "storage": "The template uses storage nvme, which pve1 does not have: fast is selected instead",
        "bridge": "The template uses bridge vmbr9, which pve1 does not have: vmbr0 is selected instead",
    }


def test_what_the_user_may_not_see_is_told_with_the_privilege_that_shows_it() -> None:
    hidden = replace(OFFERED, hides_storages=True)
    told = wizard_filled.stand_ins(defaults(summary(config=WISHED), hidden), hidden, WISHED, {})
    assert told["storage"] == (
        "The template uses storage nvme. It is not on pve1, or you lack Datastore.Audit at /storage/nvme. "
        "fast is selected instead"
    )
    assert told["ostemplate"].endswith("You need Datastore.Audit to see a storage")


def test_nothing_is_told_of_a_wish_that_is_met_or_of_what_pve_did_not_say() -> None:
    form = defaults(summary(), OFFERED)
    met = replace(WISHED, os="debian", version="13", storage="slow", bridge="vmbr1")
    assert wizard_filled.stand_ins(form, OFFERED, met, {}) == {}
    assert wizard_filled.stand_ins(form, OFFERED, TemplateConfig(app=""), {}) == {}
    assert wizard_filled.stand_ins(form, Choices("pve1", ()), WISHED, {}) == {}


def test_an_os_template_that_was_found_by_searching_may_be_what_the_template_is_made_for() -> None:
    found = {"ostemplate": "download:local:vztmpl/plan-9-turnkey_1.tar.gz", "storage": "fast", "bridge": "vmbr0"}
    assert "ostemplate" not in wizard_filled.stand_ins(found, OFFERED, WISHED, {})


def test_what_was_chosen_and_another_node_has_not_is_told_as_long_as_the_other_stands_there() -> None:
    initial = defaults(summary(), OFFERED)
    before = wizard_filled.replaced(initial | {"storage": "slow"}, initial, {"storage": "fast", "bridge": "vmbr1"})
    assert before == {"storage": ("slow", "fast")}, "the bridge was nobody's choice"
    there = replace(OFFERED, node="pve3")
    told = wizard_filled.stand_ins(initial | {"storage": "fast"}, there, TemplateConfig(app=""), before)
    assert told == {"storage": "pve3 does not have slow: fast is selected instead"}
    assert wizard_filled.stand_ins(initial | {"storage": "nvme"}, there, TemplateConfig(app=""), before) == {}


def test_nothing_is_told_of_what_the_other_node_has_too_or_of_what_was_empty() -> None:
    initial = defaults(summary(), OFFERED)
    assert wizard_filled.replaced(initial | {"storage": "slow"}, initial, {"bridge": "vmbr1"}) == {}
    assert wizard_filled.replaced(initial | {"storage": ""}, initial, {"storage": "fast"}) == {}


def test_a_mount_point_whose_storage_another_node_has_not_is_told_as_long_as_the_other_stands_there() -> None:
    initial = defaults(summary(), OFFERED)
    kept = mount_rows.text_of(
        [MountRow("/tank", "/media"), MountRow("slow", "/a"), MountRow("ssd", "/b"), MountRow("")]
    )
    form = initial | {"mounts": kept}
    moved = form | {"mounts": mount_rows.refitted(kept, {"slow", "fast"}, "fast")}
    before = wizard_filled.replaced(form, initial, {"mounts": moved["mounts"]})
    assert before == {"mounts.2.source": ("ssd", "fast")}
    there, nothing_wished = replace(OFFERED, node="pve3"), TemplateConfig(app="")
    told = wizard_filled.stand_ins(moved, there, nothing_wished, before)
    assert told == {"mounts.2.source": "pve3 does not have ssd: fast is selected instead"}
    assert wizard_filled.stand_ins(form, there, nothing_wished, before) == {}
    assert wizard_filled.stand_ins(initial, there, nothing_wished, before) == {}
