"""Reading a template's configuration: each key sets its field, and nothing else does."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.format.assignments import read_assignments
from lxc_dashboard.services.templates.format.conf import parse_conf
from lxc_dashboard.services.templates.model import TemplateConfig
from lxc_dashboard.text import in_words_of
from tests.unit.services.templates.format.confs import config

FULL = r"""
# A whole one
export TEMPLATE_APP="Web 'server'"
TEMPLATE_TAGS='web;http; web' # each once
TEMPLATE_DESCRIPTION="Serves ${WHAT:-${X:-static}} pages" # and more
TEMPLATE_CONFIG_PATH=lxc/./web//container-configs/
TEMPLATE_CPU=${TEMPLATE_CPU:-2}
TEMPLATE_RAM="${TEMPLATE_RAM:-2048}"   # MiB
TEMPLATE_DISK=20
TEMPLATE_SWAP=0
TEMPLATE_OS=debian TEMPLATE_VERSION='13'
TEMPLATE_STORAGE=local-lvm
TEMPLATE_BRIDGE=vmbr0
TEMPLATE_UNPRIVILEGED=1   # 0 would be privileged
TEMPLATE_NESTING=yes
TEMPLATE_KEYCTL=TRUE
TEMPLATE_FUSE=no
"""


def test_every_key_is_read_into_its_field() -> None:
    assert config(FULL) == TemplateConfig(
        app="Web 'server'",
        tags=("web", "http"),
        description="Serves static pages",
        config_path="lxc/web/container-configs",
        cpu=2,
        ram_mib=2048,
        disk_gib=20,
        swap_mib=0,
        os="debian",
        version="13",
        storage="local-lvm",
        bridge="vmbr0",
        unprivileged=True,
        nesting=True,
        keyctl=True,
        fuse=False,
    )


def test_an_empty_file_asks_for_a_small_unprivileged_container() -> None:
    assert config("") == TemplateConfig(app="fallback")
    assert config("").unprivileged is True


def test_crlf_and_bom_change_nothing() -> None:
    assert config(b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode()) == config(FULL)


def test_a_template_without_any_name_is_refused() -> None:
    with pytest.raises(TemplateError, match="TEMPLATE_APP is missing"):
        parse_conf(b"TEMPLATE_CPU=1\n")


@pytest.mark.parametrize(
    "line",
    [
        "TEMPLATE_UNPRIVILEGED=1 # 0 for privileged",
        'TEMPLATE_UNPRIVILEGED="1" # privileged: "0"',
        "TEMPLATE_UNPRIVILEGED='1' #0",
        "TEMPLATE_UNPRIVILEGED= # 0",
        'TEMPLATE_UNPRIVILEGED="" # TEMPLATE_UNPRIVILEGED=0',
        "# TEMPLATE_UNPRIVILEGED=0",
        "TEMPLATE_UNPRIVILEGED=${TEMPLATE_UNPRIVILEGED:-1} # 0",
        "TEMPLATE_UNPRIVILEGED=1;# TEMPLATE_UNPRIVILEGED=0",
        "TEMPLATE_DESCRIPTION='\nTEMPLATE_UNPRIVILEGED=0\n'",
        "# continued? \\\nTEMPLATE_UNPRIVILEGED=1 # \\\n",
    ],
)
def test_a_comment_or_a_text_never_makes_a_template_privileged(line: str) -> None:
    assert config(line).unprivileged is True


@pytest.mark.parametrize("value", ["0", "'0'", '"0" # why', "no", "False", "${X:-0}", "0;"])
def test_a_template_is_privileged_when_it_says_exactly_so(value: str) -> None:
    assert config(f"TEMPLATE_UNPRIVILEGED={value}\n").unprivileged is False


@given(comment=st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cc", "Cs"])))
def test_no_comment_whatever_changes_the_configuration(comment: str) -> None:
    lines = ["TEMPLATE_UNPRIVILEGED=1", 'TEMPLATE_CPU="2"', "TEMPLATE_TAGS='a;b'"]
    assert config("\n".join(f"{line} #{comment}" for line in lines)) == config("\n".join(lines))


def test_a_distribution_may_be_written_in_any_case() -> None:
    config, _ = parse_conf(b"TEMPLATE_APP=x\nTEMPLATE_OS=Debian\n", file="t/c")
    assert config.os == "debian"


def test_unknown_repeated_and_unused_names_are_warnings() -> None:
    _, warnings = parse_conf(b"BASE=w\nTEMPLATE_APP=$BASE\nTEMPLATE_UNPRIVILIGED=0\nx=1\nTEMPLATE_APP=b\n", file="t/c")
    assert [(w.file, w.line) for w in warnings] == [("t/c", 3), ("t/c", 4), ("t/c", 5)]
    assert "is TEMPLATE_UNPRIVILEGED meant?" in in_words_of(warnings[0].message)
    assert "x is no key" in in_words_of(warnings[1].message)
    assert "assigned again" in in_words_of(warnings[2].message)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TEMPLATE_App", "TEMPLATE_APP"),
        ("template_cpu", "TEMPLATE_CPU"),
        ("TEMPLATE_CORES", "TEMPLATE_CPU"),
        ("TEMPLATE_MEMORY", "TEMPLATE_RAM"),
        ("var_disk", "TEMPLATE_DISK"),
        ("TEMPLATE_RAMM", "TEMPLATE_RAM"),
    ],
)
def test_a_key_as_other_tools_call_it_is_named_by_its_own_name(name: str, meant: str) -> None:
    _, warnings = parse_conf(f"TEMPLATE_APP=x\n{name}=1\n".encode(), file="t/c")
    assert [in_words_of(w.message) for w in warnings] == [
        f"{name} is no key of a template and is ignored: is {meant} meant?"
    ]


@pytest.mark.parametrize(
    "text", ["A=$B\nB=$A\nA=$A$B\n", "A=${B:-${A:-$B}}\nB=${A:-$B}\n", "TEMPLATE_APP=$TEMPLATE_APP\n"]
)
def test_defaults_that_refer_to_each_other_end_empty_as_in_bash(text: str) -> None:
    assert {value.value for value in read_assignments(text.encode(), "f").values.values()} == {""}


def test_a_configuration_survives_json() -> None:
    whole = config(FULL)
    assert TemplateConfig.from_json(whole.to_json()) == whole
    assert TemplateConfig.from_json({"app": "x", "of_a_newer_version": 1}) == TemplateConfig(app="x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        whole.cpu = 3  # type: ignore[misc] # the assignment must fail
