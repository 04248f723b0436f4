"""Scripts under the supervisor: interpreter, options, trace and helpers."""

from __future__ import annotations

import pytest

from tests.unit.guest.supervised import Guest


@pytest.mark.parametrize("first", ["#!/bin/sh", "#!/usr/bin/env bash", "#!/bin/bash -eu", "#!/bin/sh -eu\r", ""])
async def test_helpers_are_there_in_every_usual_shell(guest: Guest, first: str) -> None:
    out, end = await guest.run(f"{first}\nlog_info hello\nlog_warn $CONTAINER_OS\necho $0")
    lines = out.decode().splitlines()
    assert lines[0] == "[info] hello"
    assert lines[1].startswith("[warn] ")
    assert lines[2].endswith("/script.sh")
    assert end[:2] == ["exit", "0"]


async def test_flags_of_the_first_line_count(guest: Guest) -> None:
    assert (await guest.run("#!/bin/sh -e\nfalse\necho on", "s1"))[1][:2] == ["exit", "1"]
    assert (await guest.run("#!/bin/bash -e\nfalse\necho on", "s2"))[1][:2] == ["exit", "1"]


HELPED = "log_info hello\nis_installed sh\necho $(is_installed sh)on\n"
TRACED = "+ log_info hello\n[info] hello\n+ is_installed sh\n++ is_installed sh\n+ echo on\non\n"
READ = "log_info hello\n[info] hello\nis_installed sh\necho $(is_installed sh)on\non\n"


@pytest.mark.parametrize("first", ["#!/bin/bash -x", "#!/bin/bash -eux", "#!/usr/bin/env -S bash -e -o xtrace"])
async def test_a_trace_shows_the_scripts_own_lines(guest: Guest, first: str) -> None:
    out, end = await guest.run(f"{first}\n{HELPED}")
    assert out.decode() == TRACED
    assert end[:2] == ["exit", "0"]


@pytest.mark.parametrize("first", ["#!/bin/sh -x", "#!/bin/sh -eux"])
async def test_a_trace_shows_the_scripts_own_lines_in_sh(guest: Guest, first: str) -> None:
    out, end = await guest.run(f"{first}\n{HELPED}echo to stderr >&2\nexit 3\n")
    # Some shells print "+" instead of "++" in a command substitution.
    assert out.decode().replace("++ ", "+ ") == (
        TRACED.replace("++ ", "+ ") + "+ echo to stderr\nto stderr\n+ exit 3\n"
    )
    assert end[:2] == ["exit", "3"]


@pytest.mark.parametrize("first", ["#!/bin/bash -v", "#!/bin/bash -veu", "#!/bin/sh -v"])
async def test_a_script_that_is_shown_as_it_is_read_is_shown_alone(guest: Guest, first: str) -> None:
    out, end = await guest.run(f"{first}\n{HELPED}")
    assert out.decode() == f"{first}\n{READ}"
    assert end[:2] == ["exit", "0"]


async def test_a_trace_that_a_script_begins_itself_ends_with_it(guest: Guest) -> None:
    out, _ = await guest.run("#!/bin/bash\nset -x\nlog_info one\nset +x\nlog_info two\n")
    assert out.decode() == "+ log_info one\n[info] one\n+ set +x\n[info] two\n"


async def test_both_flags_together(guest: Guest) -> None:
    out, _ = await guest.run("#!/bin/bash -xv\nlog_info hello\n")
    assert out.decode() == "#!/bin/bash -xv\nlog_info hello\n+ log_info hello\n[info] hello\n"


async def test_another_interpreter_runs_by_its_first_line(guest: Guest) -> None:
    out, _ = await guest.run("#!/usr/bin/env -S awk -f\nBEGIN { print 6 * 7 }")
    assert out == b"42\n"


@pytest.mark.parametrize("first", ["#!/opt/none/zsh", "#!/usr/bin/env none-of-this-name", "#!none-of-this-name -x"])
async def test_an_interpreter_that_is_not_there_is_named(guest: Guest, first: str) -> None:
    out, end = await guest.run(f"{first}\necho never")
    asked = first.removeprefix("#!").removeprefix("/usr/bin/env ").split()[0]
    assert out.decode().startswith(f"This script needs {asked}, which this guest does not have")
    assert end[:2] == ["exit", "127"]


async def test_interrupts_are_not_ignored_in_a_step(guest: Guest) -> None:
    if guest.shell[0] == "busybox":
        pytest.skip("no shell takes back what it was started with, and busybox's env cannot")
    out, _ = await guest.run("grep SigIgn /proc/self/status")
    assert int(out.split()[1], 16) & 0b110 == 0
