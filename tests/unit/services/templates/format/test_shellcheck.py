from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format import shellcheck
from lxc_dashboard.services.templates.format.shellcheck import (
    MAX_FINDINGS,
    MAX_LINTED_CHARS,
    UNCHECKED,
    lint,
    lint_each,
)
from lxc_dashboard.text import in_words_of


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    shellcheck._kept.clear()


# Each level costs ShellCheck more time and memory.
NASTY = "echo " + "$(" * 3000 + "id" + ")" * 3000 + "\n"


@pytest.fixture
def little_time_for_the_nasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the time for ``NASTY`` only. Other scripts keep theirs on a slow machine."""
    process = shellcheck._process

    def hasty(names: list[str], folder: str, output: Path, seconds: float) -> Message | None:
        texts = [Path(folder, name).read_text() for name in names]
        return process(names, folder, output, min(seconds, 1.0) if NASTY in texts else seconds)

    monkeypatch.setattr(shellcheck, "_process", hasty)


async def test_a_finding_has_its_place_its_level_and_its_code() -> None:
    found = await lint("#!/bin/bash\nset -e\n\techo $HOME\n")
    assert [(f.line, f.column, f.level, f.code) for f in found] == [(3, 7, "info", "SC2086")]
    assert "quote" in in_words_of(found[0].message)


async def test_a_syntax_error_is_an_error_with_its_line() -> None:
    found = await lint('true\necho "never closed\n')
    assert ("error", 2) in {(f.level, f.line) for f in found}


async def test_a_script_is_read_as_the_shell_that_runs_it() -> None:
    test = 'if [[ -n "$HOME" ]]; then echo "$HOME"; fi\n'
    assert await lint(test) == ()
    assert await lint(f"#!/usr/bin/env bash\n{test}") == ()
    assert [(f.line, f.code) for f in await lint(f"#!/bin/sh\n{test}")] == [(2, "SC3010")]
    assert await lint('#!/bin/sh -eu\nf() { local a=1; echo "$a"; }\nf\n') == ()
    assert await lint('words=(a b)\necho "${words[@]}"\n') == ()


@pytest.mark.parametrize("first", ["#!/usr/bin/env python3", "#! /usr/bin/python3 -u", "#!/usr/bin/env -S perl -w"])
async def test_a_script_that_no_shell_runs_is_not_checked(first: str) -> None:
    wrong = 'print("a" if True else\n'
    assert [found for found in await lint_each([f"{first}\n{wrong}", wrong]) if found] == [await lint(wrong)]


async def test_what_the_product_gives_to_a_script_is_known() -> None:
    script = (
        '# shellcheck enable=check-unassigned-uppercase\nlog_info "$CONTAINER_OS $CONTAINER_USER $DEBIAN_FRONTEND"\n'
    )
    assert await lint(script) == ()
    assert [f.code for f in await lint(script + 'echo "$CONTAINER_OTHER" "$mine"\n')] == ["SC2154", "SC2154"]


async def test_a_file_of_the_guest_that_is_sourced_is_neither_read_nor_told() -> None:
    assert await lint('. /etc/os-release\nsource "$HOME/.profile"\n') == ()


async def test_nothing_is_said_about_an_empty_script() -> None:
    assert await lint("") == ()
    assert await lint(" \n\n") == ()


async def test_many_are_checked_in_their_order_and_equal_ones_once() -> None:
    texts = [f"echo $a{number % 7}\n" for number in range(300)]
    found = await lint_each(texts)
    assert [in_words_of(said[0].message) for said in found] == [
        f"a{number % 7} is referenced but not assigned." for number in range(300)
    ]


@pytest.mark.usefixtures("little_time_for_the_nasty")
async def test_one_that_never_ends_leaves_the_others_checked() -> None:
    before, nasty, after = await lint_each(["echo $a\n", NASTY, "echo $b\n"])
    assert [f.code for f in nasty] == [UNCHECKED]
    assert in_words_of(nasty[0].message).startswith("was not checked by ShellCheck: it took")
    assert (before[0].code, after[0].code) == ("SC2154", "SC2154")


async def test_many_that_never_end_are_given_up_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shellcheck, "LINT_TIMEOUT_S", 1.0)
    begun = time.monotonic()
    found = await lint_each([NASTY + f"# {number}\n" for number in range(30)], within_s=2.0)
    assert time.monotonic() - begun < 30
    assert {said[0].code for said in found} == {UNCHECKED}
    assert "there was no time left" in in_words_of(found[-1][0].message)


async def test_a_long_script_is_told_as_unchecked() -> None:
    (found,) = await lint("# x\n" * (MAX_LINTED_CHARS // 4) + "true\n")
    assert (found.line, found.level, found.code) == (0, "warning", "")
    assert "longer than 131,072 characters" in in_words_of(found.message)


async def test_of_very_many_findings_the_errors_are_kept() -> None:
    found = await lint("echo $HOME\n" * 300 + "exit wrongly\n")
    assert len(found) == MAX_FINDINGS + 1
    assert any(f.level == "error" for f in found)
    assert "ShellCheck has more findings here: " in in_words_of(found[-1].message)


async def test_a_script_of_odd_characters_is_checked() -> None:
    assert [f.line for f in await lint("echo 'é€\U0001f600 \ud800'\necho $x\n")] == [2, 2]


async def test_no_settings_of_the_machine_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELLCHECK_OPTS", "--exclude=SC2154,SC2086")
    assert len(await lint("echo $x\n")) == 2


async def test_a_missing_binary_is_told_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    (found,) = await lint("true\n")
    assert "is not installed" in in_words_of(found.message)


async def test_no_more_than_two_run_at_once() -> None:
    await asyncio.gather(*(lint(f"echo $a{number}\n") for number in range(10)))
    assert len(shellcheck._POOL._threads) <= 2


@pytest.mark.usefixtures("little_time_for_the_nasty")
async def test_what_was_checked_is_not_checked_again_and_what_was_not_is(monkeypatch: pytest.MonkeyPatch) -> None:
    first = await lint_each(["echo $a\n", NASTY])
    asked: list[list[str]] = []
    run = shellcheck._run

    def counted(texts: list[str], deadline: float) -> dict[str, shellcheck.Findings] | Message:
        asked.append(texts)
        return run(texts, deadline)

    monkeypatch.setattr(shellcheck, "_run", counted)
    assert await lint_each(["echo $a\n", NASTY]) == first
    assert asked == [[NASTY]]


async def test_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shellcheck, "_KEPT_SCRIPTS", 3)
    await lint_each([f"echo $a{number}\n" for number in range(10)])
    assert len(shellcheck._kept) == 3
