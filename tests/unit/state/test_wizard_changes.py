"""What a preset or a link changes beyond the defaults, as the user sees it before it fills the form."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lxc_dashboard import text
from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.services.creation.form.defaults import defaults
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.templates.model import Bucket, PackageEntry, Script
from lxc_dashboard.services.templates.summaries import TemplateDetail
from lxc_dashboard.state.mount_rows import MountRow, text_of
from lxc_dashboard.state.wizard_changes import Change, changes
from tests.unit.state.test_wizard import CONFIG, ID, OFFERED, summary

KEYS = "ssh-ed25519 AAAA eve\nssh-rsa BBBB Company standard"
SCRIPTS = (Script("10-a.sh", "", 0), Script("20-b.sh", "", 1, enabled=False))
WEB = TemplateDetail(
    summary(), SCRIPTS, (), (Bucket("web", PackageManager.APT, (PackageEntry("nginx"), PackageEntry("curl"))),), (), ()
)


def test_that_it_is_privileged_and_its_keys_come_before_the_rest() -> None:
    form = {**defaults(None, OFFERED), "cores": "8", "unprivileged": "", "ssh_keys": KEYS, "onboot": "on"}
    assert changes(Filled(form=form), None, OFFERED) == [
        Change("Privileged", "The container's root is the node's root", risky=True),
        Change("SSH public keys", KEYS, risky=True),
        Change("Cores", "8"),
        Change("Start at boot", "On"),
    ]


def test_a_folder_of_the_node_comes_before_the_rest_and_a_volume_does_not() -> None:
    folder, volume = MountRow("/etc", "/mnt/node"), MountRow("local-lvm", "/srv")
    form = {"cores": "8", "ssh_keys": KEYS, "mounts": text_of([volume, folder])}
    found = changes(Filled(form=form), None, OFFERED)
    assert [(change.label, change.risky) for change in found] == [
        ("Mount points", True),
        ("SSH public keys", True),
        ("Cores", False),
    ]
    assert "/etc" in found[0].value
    volumes = changes(Filled(form=form | {"mounts": text_of([volume])}), None, OFFERED)
    assert [change.label for change in volumes if change.risky] == ["SSH public keys"]


def test_what_is_as_by_default_is_not_listed() -> None:
    assert changes(Filled(form=defaults(None, OFFERED)), None, OFFERED) == []
    found = changes(Filled(form=defaults(summary(), OFFERED), template_id=ID), WEB, OFFERED)
    assert found == [Change("Template", "My_Web server")]


def test_a_privileged_container_is_listed_also_where_its_template_asks_for_it() -> None:
    privileged = replace(WEB, summary=summary(config=replace(CONFIG, unprivileged=False)))
    for form in ({}, defaults(privileged.summary, OFFERED)):
        assert changes(Filled(form=form, template_id=ID), privileged, OFFERED)[0].label == text.PRIVILEGED
    made_unprivileged = changes(Filled(form={"unprivileged": "on"}, template_id=ID), privileged, OFFERED)
    assert [change.label for change in made_unprivileged] == ["Template"]


def test_what_runs_in_the_guest_is_listed_also_a_script_that_was_off() -> None:
    filled = Filled(
        template_id=ID,
        packages_off=("web/apt/curl", "web/apt/gone"),
        extras=(("apt", "htop"), ("npm", "left-pad")),
        scripts=("20-b.sh", "10-a.sh"),
        scripts_off=("10-a.sh",),
    )
    assert changes(filled, WEB, OFFERED)[1:] == [
        Change("Packages added", "apt htop, npm left-pad"),
        Change("Packages left out", "curl"),
        Change("Scripts switched on", "20-b.sh"),
        Change("Scripts switched off", "10-a.sh"),
        Change("Order of scripts", "20-b.sh, 10-a.sh"),
    ]


@pytest.mark.parametrize("name", sorted(defaults(None, OFFERED)))
def test_no_field_is_filled_unseen(name: str) -> None:
    value = "" if name == "unprivileged" else "changed"
    found = changes(Filled(form={name: value}), None, OFFERED)
    assert len(found) == 1
    assert found[0].value
