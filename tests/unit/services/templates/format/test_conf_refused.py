"""Invalid template configurations are refused with file, line and key."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.errors import InvalidInputError, TemplateError
from lxc_dashboard.services.creation.form.validation import validate
from lxc_dashboard.services.templates.format.assignments import MAX_CONF_BYTES
from lxc_dashboard.services.templates.format.conf import parse_conf
from lxc_dashboard.services.templates.model import TemplateConfig
from lxc_dashboard.text import in_words_of
from tests.unit.services.templates.format.confs import config


def refusal(text: str | bytes) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        config(text)
    return caught.value


def outcome(data: bytes) -> TemplateConfig | TemplateError:
    try:
        return config(data)
    except TemplateError as error:
        return error


@pytest.mark.parametrize(
    "value", ["0#", '"0"#comment', "'0 '", "00", "off", "-1", "0.0", "n", "'0 # no'", "null", "\\ 0"]
)
def test_anything_else_is_refused_with_file_line_and_key(value: str) -> None:
    error = refusal(f"# first\n\nTEMPLATE_UNPRIVILEGED={value}\n")
    assert (error.file, error.line) == ("template.conf", 3)
    assert "TEMPLATE_UNPRIVILEGED must be 0 or 1" in error.message


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
        ("TEMPLATE_CPU= 2", 1, "part of the value of TEMPLATE_CPU, remove the blank after its ="),
        ('TEMPLATE_APP="a\nTEMPLATE_OS="b"\nTEMPLATE_TAGS="c;d"', 3, "is the quote of TEMPLATE_APP in line 1 closed"),
    ],
)
def test_a_slip_within_a_value_is_told_with_its_key(text: str, line: int, why: str) -> None:
    error = refusal(text)
    assert error.line == line
    assert why.removesuffix("...") in error.message


@pytest.mark.parametrize("char", ["\u3000", "\u200b", "\xa0", "\ufeff"])
def test_a_character_that_cannot_be_seen_is_named(char: str) -> None:
    error = refusal(f"TEMPLATE_APP=x\n{char}TEMPLATE_CPU=2\n")
    assert error.line == 2
    assert error.message == f"a word begins with the character {char!a}, which is invisible: remove it"


def test_a_command_on_a_line_of_its_own_is_no_part_of_the_value_before() -> None:
    assert refusal("TEMPLATE_CPU=1\nid\n").message.endswith("only assignments are read")


def test_every_wrong_value_is_told_with_its_line_the_first_one_first() -> None:
    error = refusal("TEMPLATE_DISK=0\nTEMPLATE_OS=debian\n\nTEMPLATE_CPU=two\n")
    assert error.line == 1
    assert error.message == (
        "TEMPLATE_DISK must be a whole number of GiB from 1 to 131072, not '0'; "
        "line 4: TEMPLATE_CPU must be a whole number of cores from 1 to 8192, not 'two'"
    )


def test_a_value_that_swallowed_another_assignment_is_said() -> None:
    text = b'TEMPLATE_APP=x\nTEMPLATE_DESCRIPTION="a\nTEMPLATE_UNPRIVILEGED=1\n"\n'
    _, warnings = parse_conf(text, file="t/c")
    assert [(w.line, "holds another assignment" in in_words_of(w.message)) for w in warnings] == [(2, True)]


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
        ("TEMPLATE_BRIDGE=0br", "bridge"),
        ("TEMPLATE_APP='two\nlines'", "one line"),
        ("TEMPLATE_CONFIG_PATH=/etc", "below the root"),
        ("TEMPLATE_CONFIG_PATH=a/../../etc", "below the root"),
    ],
)
def test_a_value_that_its_key_cannot_hold_is_refused(line: str, why: str) -> None:
    error = refusal(f"\n\n{line}\n")
    assert error.line == 3
    assert why in error.message


@pytest.mark.parametrize("line", ["TEMPLATE_APP = x", "TEMPLATE_CPU\t=2"])
def test_a_space_before_the_equals_sign_is_named(line: str) -> None:
    assert "bash allows no space there" in refusal(f"{line}\n").message


def test_expansions_that_multiply_are_stopped() -> None:
    doubling = "A=" + "x" * 100 + "\n" + "A=$A$A\n" * 60
    assert "become too long" in refusal(doubling).message


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


@pytest.mark.parametrize(
    ("key", "said", "field"),
    [
        ("CPU", "cpu", "cores"),
        ("RAM", "ram_mib", "memory_mib"),
        ("SWAP", "swap_mib", "swap_mib"),
        ("DISK", "disk_gib", "disk_gib"),
    ],
)
def test_the_most_that_a_template_may_ask_for_is_the_most_that_a_container_may_get(
    key: str, said: str, field: str
) -> None:
    why = refusal(f"TEMPLATE_{key}={10**11}\n").message
    most = int(why.partition(" to ")[2].partition(",")[0])
    assert getattr(config(f"TEMPLATE_{key}={most}\n"), said) == most
    with pytest.raises(InvalidInputError) as refused:
        validate({field: str(most + 1)})
    assert refused.value.fields[field].endswith(f" to {most}")


LONG = "A" * 200_000


@pytest.mark.parametrize(
    "text",
    [
        f"{LONG}=$(id)",
        f"{LONG} =1",
        f"{LONG}[0]=1",
        f"{LONG}=a b",
        f"{LONG}='\nTEMPLATE_CPU=1' id",
        f"X=$BASH{LONG}",
        f"BASH{LONG}=1",
        f"TEMPLATE_CONFIG_PATH={LONG}",
        f"TEMPLATE_TAGS={LONG}",
    ],
)
def test_an_error_is_short_however_long_what_is_wrong(text: str) -> None:
    assert len(refusal(text).message) < 400
