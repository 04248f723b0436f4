"""The reader agrees with bash: both read files of the supported grammar, which hypothesis generates."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.format.assignments import read_assignments

NAMES = st.sampled_from(["A", "B", "_c", "TEMPLATE_X", "Unset"])
PRINT_VALUES = 'source "$1"; shift; for name in "$@"; do printf "%s\\0" "${!name-was not set}"; done'

unquoted_text = st.text(st.sampled_from("ab0.,:-_/@%+=^!?*[]é#"), min_size=1, max_size=6).map(
    lambda t: t.lstrip("#") or "a"
)
free_text = st.text(st.sampled_from("ab \t\n;&|<>()#~*{}!'\"\\$é€"), max_size=8)
escaped = st.sampled_from("ab $`\"'\\;&|<>()#~{}é").map(lambda char: "\\" + char)
continuation = st.just("\\\n")
plain_reference = st.one_of(NAMES.map("${{{}}}".format), NAMES.map("${}".format))


def single_quoted() -> st.SearchStrategy[str]:
    return free_text.map(lambda text: "'" + text.replace("'", "") + "'")


def inside_quotes(closing: str) -> st.SearchStrategy[str]:
    """Literal text within double quotes, or within a default inside them."""
    special = '\\"$`' + closing
    text = free_text.map(lambda text: text.replace("'", "")) if closing else free_text
    return text.map(lambda text: "".join("\\" + char if char in special else char for char in text))


def reference(word: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("${{{}:-{}}}".format, NAMES, word)


@st.composite
def quoted(draw: st.DrawFn, depth: int = 2) -> str:
    parts = [inside_quotes(""), plain_reference, continuation, st.just("\\n"), st.just("$ ")]
    if depth:
        inner = [inside_quotes("}"), plain_reference, continuation, quoted(depth=depth - 1)]
        parts.append(reference(st.lists(st.one_of(*inner), max_size=3).map("".join)))
    return '"' + "".join(draw(st.lists(st.one_of(*parts), max_size=4))) + '"'


@st.composite
def unquoted_default(draw: st.DrawFn, depth: int) -> str:
    parts = [unquoted_text, single_quoted(), quoted(depth=1), escaped, plain_reference, continuation]
    parts.append(st.sampled_from([" ", "a b", "(", ")", ";", "|", "&", "\n"]))
    if depth:
        parts.append(reference(unquoted_default(depth - 1)))
    return "".join(draw(st.lists(st.one_of(*parts), max_size=4)))


@st.composite
def value(draw: st.DrawFn) -> str:
    parts = [unquoted_text, single_quoted(), quoted(), escaped, plain_reference, continuation]
    parts.append(reference(unquoted_default(2)))
    return "".join(draw(st.lists(st.one_of(*parts), max_size=4)))


@st.composite
def conf(draw: st.DrawFn) -> str:
    text, behind = "", ""
    for _ in range(draw(st.integers(1, 5))):
        between = ["", "", "  ", "\t", "# note 'a\n", "\n"]
        # After an assignment on the same line, export would be a command with that assignment in its environment.
        text += draw(st.sampled_from(between if behind == " " else [*between, "export "]))
        text += f"{draw(NAMES)}={draw(value())}"
        behind = draw(st.sampled_from(["\n", "\n", " # it's a note\n", ";\n", "; ", " ", " \\\n\n", " ;# x\n"]))
        text += behind
    return text


def bash_says(text: str, names: list[str]) -> tuple[list[str], str]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "template.conf")
        file.write_bytes(text.encode())
        done = subprocess.run(
            ["bash", "--norc", "--noprofile", "-c", PRINT_VALUES, "bash", str(file), *names],
            env={"LC_ALL": "C.UTF-8", "PATH": os.defpath},
            cwd=folder,
            capture_output=True,
            timeout=60,
            check=False,
        )
    return done.stdout.decode().split("\0")[:-1], done.stderr.decode()


def assert_bash_agrees(text: str) -> None:
    read = read_assignments(text.encode(), "template.conf").values
    names = sorted(read)
    values, complaints = bash_says(text, names)
    assert complaints == ""
    assert values == [read[name].value for name in names]


@given(conf())
@example('A="${A:-<(}"\n')
@example('A="${A:-$A""a}"\n')
@example("A=1 B='x'\"y\"z\\ w # c\n")
@example("A=\"${A:-${B:-'its'}}\"\nexport B=${A:-a  b} C\n")
def test_what_is_read_is_what_bash_would_set(text: str) -> None:
    try:
        read_assignments(text.encode(), "template.conf")
    except TemplateError as error:
        # The reader refuses what bash would expand, such as a tilde after a colon or a brace after export.
        assert re.search("would have to be computed|must be written as", error.message), error  # noqa: PT017
        return
    assert_bash_agrees(text)


# Files as people write them for bash to source, with comments after values.
ELSEWHERE = [
    """\
#!/usr/bin/env bash
# Web server            Author: "somebody"
export TEMPLATE_APP="Web server"          # shown in menus; don't quote
export TEMPLATE_TAGS="web;nginx;proxy"    # semicolons (;) between tags
TEMPLATE_DESCRIPTION='Serves "static" pages, $0 a month'   # 'single' quotes
TEMPLATE_CPU="${TEMPLATE_CPU:-2}"         # cores: "1" is enough
TEMPLATE_RAM=${TEMPLATE_RAM:-2048}        # MiB # not GiB
TEMPLATE_DISK="${DISK_GB:-${DEFAULT_DISK:-8}}" # GiB
""",
    """\
TEMPLATE_UNPRIVILEGED="1" # "0" = privileged (dangerous!)
TEMPLATE_NESTING="0"      # set TEMPLATE_NESTING="1" for docker
TEMPLATE_KEYCTL=1 # TEMPLATE_UNPRIVILEGED=0
TEMPLATE_FUSE= # empty
#TEMPLATE_UNPRIVILEGED=0
TEMPLATE_OS='debian'      # `ubuntu` works, too
TEMPLATE_VERSION="13"     # $(lsb_release -rs)
""",
    """\
base=debian release=13  # two on a line
TEMPLATE_OS=$base; TEMPLATE_VERSION="$release"   # and after a ;
TEMPLATE_APP="${base}-${release}"" and more"' and # more'   # pieces
TEMPLATE_DESCRIPTION="first line
second line # no comment in here
third \\
line"   # but here
TEMPLATE_STORAGE=local-lvm#1   # a # within a word
TEMPLATE_BRIDGE=${BRIDGE:-"vmbr0"}\t# a tab before
""",
    """\
# ${X
TEMPLATE_SWAP=${TEMPLATE_SWAP:-512} # } " ' ` $( \\
TEMPLATE_APP="\\"quoted\\" \\$5 \\\\ done" # "
TEMPLATE_TAGS=a\\;b\\ c # \\
""",
]


@pytest.mark.parametrize("text", ELSEWHERE)
def test_files_written_to_be_sourced_are_read_as_bash_reads_them(text: str) -> None:
    assert_bash_agrees(text)


COMMENTS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0", exclude_categories=["Cc"]), max_size=40)
VALUES = st.sampled_from(
    ["1", '"1"', "'0'", '"a b"', "'a\"b'", "${A:-x}", '"${A:-${B:-y}}"', "", '"a\nb"', "a\\ b", "a#b"]
)


@given(st.lists(st.tuples(NAMES, VALUES, st.sampled_from([" ", "\t", "   "]), COMMENTS), min_size=1, max_size=6))
@example([("A", '"1"', " ", 'A="0"'), ("B", "'0'", "\t", "it's \\")])
def test_whatever_a_trailing_comment_says_the_value_is_what_bash_sets(lines: list[tuple[str, str, str, str]]) -> None:
    text = "".join(f"{name}={value}{blank}#{comment}\n" for name, value, blank, comment in lines)
    assert_bash_agrees(text)
    bare = "".join(f"{name}={value}\n" for name, value, _, _ in lines)
    said, expected = (read_assignments(one.encode(), "f").values for one in (text, bare))
    assert {name: one.value for name, one in said.items()} == {name: one.value for name, one in expected.items()}


TOKENS = st.one_of(
    st.sampled_from("a'\"\\\n }{~:#=;$é*<>()&|`\t[]!1"),
    st.sampled_from(["\\\n", "$A", "${A}", "${B:-", "${Z:-", "\\}", "\\$", "$'", '$"', "export ", "B="]),
)


@given(st.lists(TOKENS, max_size=14).map("".join))
@example('"${Z:-"a\\}b"}"')
@example("${Z:-$'a'}")
@example('"${Z:-$"a"}"')
def test_a_file_that_is_not_refused_means_to_us_what_it_means_to_bash(noise: str) -> None:
    text = f"A=x\nB={noise}\nC=y\n"
    try:
        read_assignments(text.encode(), "template.conf")
    except TemplateError:
        return
    assert_bash_agrees(text)


@pytest.mark.parametrize(
    "text",
    [
        "A=a'b'\"c\"d\n",
        'A="a\\b\\$\\`\\"\\\\ \\\nc"\n',
        "A=a\\\n\\\nb\\ c\n",
        'A="${X:-${Y:-${Z:-deep}}}"\n',
        'A="${X:-"quoted } inside"}"\n',
        "A=${X:-'}'}\n",
        "A=a#b\nB=#c\nC= # d\n",
        "A=first\nA=${A:-second}\n",
        "A='line one\nline two'\n",
        "export A=1 B=2; C=3\n",
        "A=x B=$A\n",
        'A="$" B=a$ C=$%\n',
        "A=${X:-a;b|c&d (e) #f\ng}\n",
    ],
)
def test_known_corners_are_read_as_bash_reads_them(text: str) -> None:
    assert_bash_agrees(text)
