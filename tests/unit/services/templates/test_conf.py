from __future__ import annotations

import dataclasses
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.assignments import MAX_CONF_BYTES, read_assignments
from lxc_dashboard.services.templates.conf import parse_conf
from lxc_dashboard.services.templates.model import TemplateConfig

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


def config(text: str | bytes) -> TemplateConfig:
    data = text if isinstance(text, bytes) else text.encode()
    return parse_conf(data, app="fallback")[0]


def refusal(text: str | bytes) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        config(text)
    return caught.value


def outcome(data: bytes) -> TemplateConfig | TemplateError:
    try:
        return config(data)
    except TemplateError as error:
        return error


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


@pytest.mark.parametrize(
    "value", ["0#", '"0"#comment', "'0 '", "00", "off", "-1", "0.0", "n", "'0 # no'", "null", "\\ 0"]
)
def test_anything_else_is_refused_with_file_line_and_key(value: str) -> None:
    error = refusal(f"# first\n\nTEMPLATE_UNPRIVILEGED={value}\n")
    assert (error.file, error.line) == ("template.conf", 3)
    assert "TEMPLATE_UNPRIVILEGED must be 0 or 1" in error.message


@given(comment=st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cc", "Cs"])))
def test_no_comment_whatever_changes_the_configuration(comment: str) -> None:
    lines = ["TEMPLATE_UNPRIVILEGED=1", 'TEMPLATE_CPU="2"', "TEMPLATE_TAGS='a;b'"]
    assert config("\n".join(f"{line} #{comment}" for line in lines)) == config("\n".join(lines))


@pytest.mark.parametrize(
    "value",
    [
        "$(id -u)",
        '"$(id -u)"',
        "`id`",
        '"`id`"',
        "$((1+1))",
        '"$((1+1))"',
        "$[1+1]",
        "(1 2)",
        "${X:=1}",
        "${X:+1}",
        "${X:?no}",
        "${X-1}",
        "${X#a}",
        "${X%%a}",
        "${X/a/b}",
        "${X:0:1}",
        "${#X}",
        "${!X}",
        "${X^^}",
        "${X@Q}",
        "${X[0]}",
        "${}",
        "${ id; }",
        "$1",
        "$?",
        "$$",
        '"$@"',
        "$RANDOM",
        "$HOSTNAME",
        "${PWD}",
        "${UID:-0}",
        "$'\\x30'",
        '$"0"',
        "~",
        "~root",
        "a:~",
        "${X:-$(id)}",
        '"${X:-`id`}"',
        "${X:-<(id)}",
        "<(id)",
    ],
)
def test_what_bash_would_compute_is_refused(value: str) -> None:
    error = refusal(f"\nTEMPLATE_CPU={value}\n")
    assert error.line == 2
    assert "computed by bash" in error.message or "must be quoted" in error.message


@pytest.mark.parametrize(
    "text",
    [
        "TEMPLATE_CPU+=1",
        "TEMPLATE_CPU[0]=1",
        "source other.conf",
        ". other.conf",
        "rm -rf /",
        "TEMPLATE_CPU=1 rm -rf /",
        "TEMPLATE_TAGS=a;b;c",
        "TEMPLATE_CPU=1 && true",
        "TEMPLATE_CPU=1 & ",
        "TEMPLATE_CPU=1 | cat",
        "TEMPLATE_CPU=1 > file",
        "TEMPLATE_CPU =1",
        "TEMPLATE_CPU",
        "if true; then",
        "{ TEMPLATE_CPU=1; }",
        "(TEMPLATE_CPU=1)",
        "f() { :; }",
        "'TEMPLATE_CPU'=1",
        "1X=2",
        "export",
        "export -n X",
        "declare X=1",
        "RANDOM=1",
        "UID=0",
        ";",
        "A=1;;",
        "A='unclosed",
        'A="unclosed',
        "A=${X:-unclosed",
        'A="${X:-it\'s}"',
    ],
)
def test_a_command_or_a_slip_is_refused_with_its_line(text: str) -> None:
    assert refusal(f"# comment\n{text}\n").line == 2


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("TEMPLATE_DESCRIPTION='a' # b\nTEMPLATE_RAM=$((2*512))", 2, "TEMPLATE_RAM: $(..."),
        ('TEMPLATE_DESCRIPTION="made\nby `id`"', 2, "TEMPLATE_DESCRIPTION: a command in backticks"),
        ("TEMPLATE_TAGS=(web nginx)", 1, "TEMPLATE_TAGS: an array"),
        ("TEMPLATE_TAGS[0]=web", 1, "an array, TEMPLATE_TAGS,"),
        ("TEMPLATE_TAGS+=web", 1, "TEMPLATE_TAGS+="),
        ("export TEMPLATE_APP=a&b", 1, "TEMPLATE_APP: the character & must be quoted"),
        ("TEMPLATE_APP='it's'", 1, "TEMPLATE_APP: a quote is opened here and never closed"),
        (
            "TEMPLATE_CPU=1\nTEMPLATE_TAGS=web;nginx",
            2,
            "if this is part of the value of TEMPLATE_TAGS, put that in quotes",
        ),
        (
            "TEMPLATE_APP=Web server # x",
            1,
            "server is a command, and commands are never run: only assignments are read; if",
        ),
        ("TEMPLATE_CPU= 2", 1, "part of the value of TEMPLATE_CPU, no blank may stand behind its ="),
        ('TEMPLATE_APP="a\nTEMPLATE_OS="b"\nTEMPLATE_TAGS="c;d"', 3, "is the quote of TEMPLATE_APP in line 1 closed"),
    ],
)
def test_a_slip_within_a_value_is_told_with_its_key(text: str, line: int, why: str) -> None:
    error = refusal(text)
    assert error.line == line
    assert why.removesuffix("...") in error.message


def test_a_command_on_a_line_of_its_own_is_no_part_of_the_value_before() -> None:
    assert refusal("TEMPLATE_CPU=1\nid\n").message.endswith("only assignments are read")


def test_every_wrong_value_is_told_with_its_line_the_first_one_first() -> None:
    error = refusal("TEMPLATE_DISK=0\nTEMPLATE_OS=debian\n\nTEMPLATE_CPU=two\n")
    assert error.line == 1
    assert error.message == (
        "TEMPLATE_DISK must be a whole number of GiB from 1 to 1048576, not '0'; "
        "line 4: TEMPLATE_CPU must be a whole number of cores from 1 to 8192, not 'two'"
    )


def test_a_value_that_swallowed_another_assignment_is_said() -> None:
    text = b'TEMPLATE_APP=x\nTEMPLATE_DESCRIPTION="a\nTEMPLATE_UNPRIVILEGED=1\n"\n'
    _, warnings = parse_conf(text, file="t/c")
    assert [(w.line, "holds another assignment" in w.message) for w in warnings] == [(2, True)]


@pytest.mark.parametrize(
    ("data", "line", "why"),
    [
        (b"A=1\nB=\x00\n", 2, "NUL byte"),
        (b"A=1\nB=2\nC=\xff\xfe\n", 3, "not UTF-8"),
        (b"A=1\nB=\x1b[0m\n", 2, "control character"),
        (b"A=1\rB=2\n", 1, "control character"),
        (b"#" * (10 << 20), 0, "bytes long"),
    ],
)
def test_a_file_that_is_no_plain_text_is_refused(data: bytes, line: int, why: str) -> None:
    error = refusal(data)
    assert error.line == line
    assert why in error.message


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("TEMPLATE_CPU=two", "TEMPLATE_CPU must be a whole number of cores from 1 to 8192, not 'two'"),
        ("TEMPLATE_CPU=0", "from 1"),
        ("TEMPLATE_CPU=٣", "whole number"),
        ("TEMPLATE_RAM=2G", "MiB"),
        ("TEMPLATE_DISK=8.5", "GiB"),
        ("TEMPLATE_SWAP=-1", "MiB"),
        (f"TEMPLATE_RAM={'9' * 5000}", "MiB"),
        ("TEMPLATE_TAGS='a b'", "tags"),
        ("TEMPLATE_OS='Debian 13'", "distribution"),
        ("TEMPLATE_VERSION='13 '", "version"),
        ("TEMPLATE_STORAGE=-x", "storage"),
        ("TEMPLATE_BRIDGE='vmbr0,tag=1'", "bridge"),
        ("TEMPLATE_APP='two\nlines'", "one line"),
        ("TEMPLATE_CONFIG_PATH=/etc", "below the root"),
        ("TEMPLATE_CONFIG_PATH=a/../../etc", "below the root"),
    ],
)
def test_a_value_that_its_key_cannot_hold_is_refused(line: str, why: str) -> None:
    error = refusal(f"\n\n{line}\n")
    assert error.line == 3
    assert why in error.message


def test_a_distribution_may_be_written_in_any_case() -> None:
    config, _ = parse_conf(b"TEMPLATE_APP=x\nTEMPLATE_OS=Debian\n", file="t/c")
    assert config.os == "debian"


def test_unknown_repeated_and_unused_names_are_warnings() -> None:
    _, warnings = parse_conf(b"BASE=w\nTEMPLATE_APP=$BASE\nTEMPLATE_UNPRIVILIGED=0\nx=1\nTEMPLATE_APP=b\n", file="t/c")
    assert [(w.file, w.line) for w in warnings] == [("t/c", 3), ("t/c", 4), ("t/c", 5)]
    assert "is TEMPLATE_UNPRIVILEGED meant?" in warnings[0].message
    assert "x is no key" in warnings[1].message
    assert "assigned again" in warnings[2].message


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
    assert [w.message for w in warnings] == [f"{name} is no key of a template and is ignored: is {meant} meant?"]


@pytest.mark.parametrize("line", ["TEMPLATE_APP = x", "TEMPLATE_CPU\t=2"])
def test_a_space_before_the_equals_sign_is_named(line: str) -> None:
    assert "bash wants no space there" in refusal(f"{line}\n").message


@pytest.mark.parametrize(
    "text", ["A=$B\nB=$A\nA=$A$B\n", "A=${B:-${A:-$B}}\nB=${A:-$B}\n", "TEMPLATE_APP=$TEMPLATE_APP\n"]
)
def test_defaults_that_refer_to_each_other_end_empty_as_in_bash(text: str) -> None:
    assert {value.value for value in read_assignments(text.encode(), "f").values.values()} == {""}


def test_expansions_that_multiply_are_stopped() -> None:
    doubling = "A=" + "x" * 100 + "\n" + "A=$A$A\n" * 60
    assert "grow beyond" in refusal(doubling).message


def test_deep_nesting_is_stopped() -> None:
    assert "inside one another" in refusal("A=" + "${A:-" * 5000 + "}" * 5000).message
    assert "inside one another" in refusal('A="' + "${A:-" * 5000 + "}" * 5000 + '"').message


@pytest.mark.parametrize(
    "unit", ["A=1\n", "''", '"a"', "\\\n", "$A", "${A:-b}", "\\a", "A=1;", "#\n", " ", "\n", "A='\n'\n", "~a"]
)
def test_the_largest_file_is_read_in_a_moment(unit: str) -> None:
    data = ("A=" + unit * (MAX_CONF_BYTES // len(unit)))[:MAX_CONF_BYTES].encode()
    started = time.process_time()
    outcome(data)
    assert time.process_time() - started < 5


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read = outcome(data)
    assert isinstance(read, TemplateConfig) or read.file == "template.conf"


def test_a_configuration_survives_json() -> None:
    whole = config(FULL)
    assert TemplateConfig.from_json(whole.to_json()) == whole
    assert TemplateConfig.from_json({"app": "x", "of_a_newer_version": 1}) == TemplateConfig(app="x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        whole.cpu = 3  # type: ignore[misc] # that it is refused is the point
