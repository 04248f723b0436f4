"""``run_as_user`` with every command that a guest may have for switching users: runuser, setpriv, su, busybox."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HELPERS = Path(__file__).parents[3] / "lxc_dashboard" / "guest" / "helpers.sh"
USER = "nobody"
TOOLS = ("sh", "env", "awk", "id", "grep", "cat")
SETPRIV_OF_BUSYBOX = '#!/bin/sh\necho "Usage: setpriv [OPTIONS] PROG ARGS" >&2\nexit 1\n'
# Reads options at any position up to a "--". Does not switch the user, so any user can run the test.
SU_LIKE_BUSYBOX = f"""#!{sys.executable}
import getopt, os, sys
options, rest = getopt.gnu_getopt(sys.argv[1:], "mplc:s:")
chosen = dict(options)
os.execv(chosen.get("-s", "/bin/sh"), ["sh", *(["-c", chosen["-c"]] if "-c" in chosen else []), *rest[1:]])
"""
ASKED = 'id -un; pwd; echo "$HOME|$USER|$LOGNAME"; for word; do echo "<$word>"; done; cat; exit 7'
WORDS = ("-c", "two words", "--help", "-s", "", "--", "it's $HOME")


@dataclass
class Guest:
    """A folder that every user can read, with all the commands that the helper needs."""

    folder: Path

    def has(self, name: str, text: str) -> None:
        place = self.folder / "bin" / name
        place.write_text(text)
        place.chmod(0o755)

    def has_real(self, *names: str) -> None:
        for name in names:
            found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
            if not found:
                pytest.skip(f"this machine has no {name}")
            (self.folder / "bin" / name).symlink_to(found)

    def run(self, shell: str, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        helpers = HELPERS.read_text()
        assert "/etc/passwd" in helpers
        text = helpers.replace("/etc/passwd", str(self.folder / "passwd"))
        return subprocess.run(
            [shutil.which(shell) or shell, "-euc", f"{text}\n{script}", "sh", *words],
            env={"PATH": f"{self.folder}/bin", "HOME": "/root"},
            input="said\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def guest() -> Iterator[Guest]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "bin").mkdir()
        (folder / "passwd").write_text(f"root:x:0:0::/root:/bin/sh\n{USER}:x:1000:1000::{folder}:/usr/sbin/nologin\n")
        guest = Guest(folder)
        guest.has_real(*TOOLS)
        yield guest


def runs_as_asked(guest: Guest, shell: str) -> list[str]:
    """Return the output lines of the command. The first is its user."""
    done = guest.run(shell, f"run_as_user sh -c '{ASKED}' x \"$@\"", *WORDS)
    assert (done.returncode, done.stderr) == (7, "")
    said = done.stdout.splitlines()
    assert said[1:] == [str(guest.folder), f"{guest.folder}|{USER}|{USER}", *(f"<{word}>" for word in WORDS), "said"]
    return said


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize(
    "commands",
    [["runuser"], ["setpriv"], ["su"], ["busybox", "su"]],
    ids=["runuser", "setpriv", "su", "su of busybox"],
)
def test_the_real_ones_run_it_as_the_user_with_all_of_its_words(guest: Guest, shell: str, commands: list[str]) -> None:
    if os.geteuid():
        pytest.skip("only root becomes another user")
    program, *applets = commands
    guest.has_real(program)
    for applet in applets:
        guest.has(applet, f'#!/bin/sh\nexec busybox {applet} "$@"\n')
    assert runs_as_asked(guest, shell)[0] == USER


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_su_that_takes_options_behind_the_users_name_gets_none_of_the_commands(guest: Guest, shell: str) -> None:
    guest.has("setpriv", SETPRIV_OF_BUSYBOX)
    guest.has("su", SU_LIKE_BUSYBOX)
    runs_as_asked(guest, shell)


def test_a_guest_without_such_a_user_says_so(guest: Guest) -> None:
    (guest.folder / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    done = guest.run("dash", "run_as_user id || echo refused")
    assert (done.stdout, done.stderr) == ("refused\n", "[error] run_as_user: this guest has no user with uid 1000\n")
