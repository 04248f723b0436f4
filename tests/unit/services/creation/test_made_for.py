"""The system that a template requires, compared with the chosen one and with those that a node has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.access import NoWay
from lxc_dashboard.services.creation.form.choices import Choices, OsTemplateChoice, system_missing
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.creation.preflight import checks
from lxc_dashboard.services.creation.preflight.findings import Question
from lxc_dashboard.services.templates.model import TemplateConfig, TemplateContent
from tests.worded import cause

DEBIAN = "debian-13-standard_13.1-2_amd64.tar.zst"
SPEC = ContainerSpec("pve1", "", "web", "local-lvm")
NOBODY = cast("Any", None)  # not used


def told(name: str, os: str, version: str) -> list[tuple[str, str, str]]:
    spec = replace(SPEC, ostemplate=f"local:vztmpl/{name}")
    content = TemplateContent("web", TemplateConfig("Web", os=os, version=version))
    question = Question(NOBODY, NOBODY, NOBODY, "root@pam", spec, None, NoWay(Message()), content)
    return [(f.severity.value, f.field, cause(f)) for f in checks.system(question)]


@pytest.mark.parametrize(
    ("name", "os", "version"),
    [
        (DEBIAN, "debian", "13"),
        (DEBIAN, "debian", ""),
        (DEBIAN, "", "13"),
        (DEBIAN, "mine", "1"),
        ("alpine-3.22-default_20250617_amd64.tar.xz", "alpine", "3.22"),
        ("alpine-3.22-default_20250617_amd64.tar.xz", "alpine", "3"),
        ("debian-mine.tar.zst", "debian", "13"),
        ("golden.tar.zst", "debian", "13"),
    ],
)
def test_the_system_that_the_template_is_made_for_or_one_that_nobody_knows_is_not_told(
    name: str, os: str, version: str
) -> None:
    assert told(name, os, version) == []


@pytest.mark.parametrize(("os", "version"), [("debian", "12"), ("alpine", "3.22"), ("ubuntu", ""), ("debian", "1")])
def test_another_system_than_the_templates_is_a_warning(os: str, version: str) -> None:
    wanted = f"{os} {version}".strip()
    cause = f"The template is made for {wanted}, and {DEBIAN} is another system"
    assert told(DEBIAN, os, version) == [("warning", "ostemplate", cause)]


def test_without_a_template_there_is_nothing_to_tell() -> None:
    question = Question(NOBODY, NOBODY, NOBODY, "root@pam", SPEC, None, NoWay(Message()), None)
    assert checks.system(question) == []


@pytest.mark.parametrize(
    ("os", "version", "missing"),
    [("debian", "13", ""), ("", "", ""), ("debian", "12", "debian 12"), ("alpine", "", "alpine")],
)
def test_a_system_that_a_node_has_not_is_named(os: str, version: str, missing: str) -> None:
    offered = Choices("pve1", (), ostemplates=(OsTemplateChoice(f"local:vztmpl/{DEBIAN}", DEBIAN, "local"),))
    assert system_missing(offered, TemplateConfig("Web", os=os, version=version)) == missing


def test_a_storage_and_a_bridge_that_the_template_names_and_that_are_not_taken_are_noted() -> None:
    spec = replace(SPEC, bridge="vmbr0")
    config = TemplateConfig("Web", storage="tank", bridge="vmbr9")
    for wanted, said in (
        (config, ["storage tank, and local-lvm is used", "bridge vmbr9, and vmbr0 is used"]),
        (TemplateConfig("Web", storage="local-lvm", bridge="vmbr0"), []),
        (TemplateConfig("Web"), []),
    ):
        question = Question(
            NOBODY, NOBODY, NOBODY, "root@pam", spec, None, NoWay(Message()), TemplateContent("web", wanted)
        )
        found = [(f.severity.value, cause(f)) for f in checks.wishes(question)]
        assert found == [("note", f"The template names {cause}") for cause in said]
