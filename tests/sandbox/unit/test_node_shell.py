"""Which command lines need a shell, and how ``pct`` parses its own."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pve_sandbox.guests.selection import SimulatedHost
from pve_sandbox.ssh.door import PctCall, pct_call
from pve_sandbox.ssh.pct import Caller, Pct, Reply

words = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20), max_size=6)


@given(words)
def test_quoted_words_are_read_as_a_shell_reads_them(arguments: list[str]) -> None:
    expected = PctCall(tuple(arguments)) if arguments else None  # without arguments a shell is harmless
    assert pct_call(shlex.join(["pct", *arguments])) == expected


@given(words)
def test_what_env_sets_before_it_needs_no_shell_either(arguments: list[str]) -> None:
    line = shlex.join(["env", "LC_ALL=C", "A=b =c", "pct", *arguments])
    assert pct_call(line) == PctCall(tuple(arguments), {"LC_ALL": "C", "A": "b =c"})


def test_lines_with_more_to_them_go_to_a_shell() -> None:
    lines = [
        "pct",
        "pct list; id",
        "pct list && id",
        "pct list | cat",
        "pct list > /tmp/x",
        "pct exec 101 -- $HOME",
        "pct exec 101 -- `id`",
        "pct exec 101 -- *",
        "pct exec 101 -- ~",
        "pct exec 101 -- a\\ b",
        'pct exec 101 -- "$x"',
        "pct exec 101 -- {a,b}",
        "pct exec 101 -- !!",
        "pct list #",
        "pct list\nid",
        "pct exec 101 -- 'open",
        "pctl list",
        "X=1 pct list",
        "env",
        "env -i pct list",
        "env A=1 sh -c pct",
        "env A=1 sudo pct list",
        "env A=$HOME pct list",
        "sh -c pct",
        "",
    ]
    assert [line for line in lines if pct_call(line) is not None] == []


@given(st.text(alphabet="abc '\"$`\\;&|<>*?[]{}()#~!=\t", max_size=15))
def test_what_is_taken_without_a_shell_means_the_same_in_one(tail: str) -> None:
    line = f"pct {tail}"
    call = pct_call(line)
    if call is not None:
        script = f"pct() {{ printf '%s\\0' \"$@\" x; }}; {line}"
        shown = subprocess.run(["/bin/bash", "-c", script], capture_output=True, check=True, text=True)
        assert shown.stdout.split("\0")[:-2] == list(call.arguments)


@given(st.lists(st.text(max_size=10), max_size=6))
def test_any_words_get_an_answer(arguments: list[str]) -> None:
    pct = Pct(SimulatedHost(Path("/nowhere")), lambda _: "pve1")
    answer = asyncio.run(pct.answer(arguments, Caller({}, Path("/"))))
    assert isinstance(answer, Reply)
    assert answer.status == 0 or answer.error
