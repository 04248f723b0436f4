"""Why an installation failed, from each manager's output, and which known names resemble an unknown package."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import GuestUnreachableError
from lxc_dashboard.guest.base import CommandResult
from lxc_dashboard.guest.supervisor import Outcome, StepEnd
from lxc_dashboard.services.creation.preflight.explain import close_names, explain, likest, unknown_name
from tests.worded import cause, remedy

NO_NAMES = "names cannot be resolved"
UNREACHABLE = "a server cannot be reached"
FULL = "disk of the container is full"
LOCKED = "another package manager"
ENDED = StepEnd(Outcome.EXIT, 100, 0)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        # apt continues after an update that reached no server, and then knows no package
        (
            [
                "Ign:1 http://deb.example.org trixie InRelease",
                "W: Failed to fetch http://deb.example.org/dists/trixie/InRelease  Temporary failure resolving 'deb.example.org'",
                "E: Unable to locate package nginx",
            ],
            NO_NAMES,
        ),
        (
            [
                "W: Failed to fetch http://10.0.0.9/InRelease  Could not connect to 10.0.0.9:80 (10.0.0.9). - connect (111: Connection refused)",
                "E: Unable to locate package nginx",
            ],
            UNREACHABLE,
        ),
        (["E: Unable to locate package ngnix"], "does not exist for this OS: ngnix"),
        (["E: Version '9.9' for 'nginx' was not found"], "version is not offered: nginx"),
        (["E: You don't have enough free space in /var/cache/apt/archives/.", "dpkg: error: No space left on device"], FULL),
        (["E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (apt-get)"], LOCKED),
        (["[error] apt is still locked by another process after 600 s"], LOCKED),
        (
            ["WARNING: fetching https://dl.example.org/main: DNS lookup error", "ERROR: unable to select packages:", "  ngnix (no such package):"],
            NO_NAMES,
        ),
        # apk 2, then apk 3
        (
            [
                "WARNING: updating and opening https://dl.example.org/main: temporary error (try again later)",
                "ERROR: unable to select packages:",
                "  nginx (no such package):",
            ],
            UNREACHABLE,
        ),
        *(
            ([f"WARNING: updating and opening https://dl.example.org/main/x86_64/APKINDEX.tar.gz: DNS: {said}", "  nginx (no such package):"], NO_NAMES)
            for said in ("transient error (try again later)", "no address for host", "name does not exist", "non-recoverable failure")
        ),
        (["WARNING: updating and opening https://dl.example.org/main: TLS: server certificate not trusted", "  nginx (no such package):"], "a certificate is refused"),
        (["E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem."], "was interrupted"),
        (["ERROR: unable to select packages:", "  ngnix (no such package):", "    required by: world[ngnix]"], "this OS: ngnix"),
        (["ERROR: Unable to lock database: temporarily unavailable"], LOCKED),
        (["  nginx-1.26.3-r0:", "    breaks: world[nginx=9.9]"], "version is not offered: nginx=9.9"),
        (["No match for argument: ngnix", "Error: Unable to find a match: ngnix"], "this OS: ngnix"),
        (["Error: Failed to download metadata for repo 'baseos': Curl error (6): Couldn't resolve host name: Could not resolve host: m.example.org"], NO_NAMES),
        (["Error: Transaction test error:", "  installing package x needs 12MB more space on the / filesystem"], FULL),
        (["npm error code ENOTFOUND", "npm error network request to https://r.example.org/pm2 failed"], NO_NAMES),
        (["npm error code E404", "npm error 404  'pm3x@latest' is not in this registry."], "this OS: pm3x"),
        (["npm error code ETARGET", "npm error notarget No matching version found for pm2@99.0.0."], "not offered: pm2@99.0.0"),
        (["npm error code ENOSPC"], FULL),
        (
            [
                "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': [Errno -3] Temporary failure in name resolution')'",
                "ERROR: Could not find a version that satisfies the requirement httpx (from versions: none)",
                "ERROR: No matching distribution found for httpx",
            ],
            NO_NAMES,
        ),
        (["error: uninstall-no-record-file", "hint: You might be able to recover"], "the system's own manager keeps"),
        (["ERROR: No matching distribution found for httpxx"], "this OS: httpxx"),
        (["ERROR: No matching distribution found for httpx==99"], "not offered: httpx==99"),
    ],
)  # fmt: skip
def test_the_deepest_cause_is_told(lines: Sequence[str], why: str) -> None:
    told = explain("packages-x", ENDED, lines, installs=True)
    assert why in cause(told.reason)
    assert remedy(told.reason)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("E: Unable to locate package ngnix", "ngnix"),
        ("E: Package 'netcat' has no installation candidate", "netcat"),
        ("  ngnix (no such package):", "ngnix"),
        ("No match for argument: ngnix", "ngnix"),
        ("npm error 404  '@scope/pm3x@^1' is not in this registry.", "@scope/pm3x"),
        ("ERROR: No matching distribution found for httpx==99", ""),
        ("all is well", ""),
    ],
)
def test_the_package_that_nobody_knows_is_found(line: str, name: str) -> None:
    assert unknown_name(["before", line, "after"]) == name


@pytest.mark.parametrize(
    ("typed", "meant"), [("ngnix", "nginx"), ("postgres-17", "postgresql-17"), ("pyhton3", "python3"), ("htpo", "htop")]
)
def test_a_slip_of_the_keys_finds_the_name_that_was_meant(typed: str, meant: str) -> None:
    known = {"nginx", "nginx-core", "postgresql-17", "python3", "python3-pip", "htop", "atop", "zsh"} | {
        f"lib{word}{number}" for word in ("ssl", "gtk", "png") for number in range(2000)
    }
    assert likest(typed, known)[0] == meant


def test_what_is_like_nothing_finds_nothing() -> None:
    assert likest("frobnicator", {"nginx", "zsh", "libssl3"}) == ()


@given(st.text(max_size=20), st.sets(st.text(max_size=20), max_size=30))
def test_any_names_may_be_compared(name: str, known: set[str]) -> None:
    found = likest(name, known)
    assert set(found) <= known - {name}


class Asked:
    """A door that gives a manager's answer."""

    kind = "probe"

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer
        self.argv: list[list[str]] = []

    async def run(self, argv: Sequence[str], **_: object) -> CommandResult:
        self.argv.append(list(argv))
        if isinstance(self.answer, Exception):
            raise self.answer
        return CommandResult(0, self.answer.encode(), b"")

    def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> object:
        raise AssertionError(argv, stdin)


@pytest.mark.parametrize(
    ("manager", "answer", "argv"),
    [
        (PackageManager.APT, "nginx\nzsh\n", ["apt-cache", "pkgnames"]),
        (PackageManager.APK, "nginx\nzsh\n", ["apk", "search", "--quiet"]),
        (
            PackageManager.DNF,
            "nginx\n\nzsh\n\n",
            ["dnf", "--quiet", "--cacheonly", "repoquery", "--queryformat", "%{name}\n"],
        ),
        (PackageManager.NPM, "nginx\tServes\t=me\n", ["npm", "search", "--parseable", "--searchlimit=20", "ngnix"]),
    ],
)
async def test_each_manager_is_asked_in_its_own_words(manager: PackageManager, answer: str, argv: list[str]) -> None:
    door = Asked(answer)
    assert await close_names(door, manager, "ngnix") == ("nginx",)  # type: ignore[arg-type]  # no stream is used
    assert door.argv == [argv]


async def test_where_nothing_can_be_asked_nothing_is_proposed() -> None:
    away = Asked(GuestUnreachableError("gone"))
    assert await close_names(away, PackageManager.APT, "ngnix") == ()  # type: ignore[arg-type]  # as above
    silent = Asked("nginx\n")
    assert await close_names(silent, PackageManager.PIP, "ngnix") == ()  # type: ignore[arg-type]  # as above
    assert silent.argv == []


@pytest.mark.parametrize(
    "line", ["{" * 16_000, "unable to lock " * 1_000, "release file " * 1_200, "no match for argument: " * 700]
)
def test_no_line_keeps_the_worker_busy_however_it_is_made(line: str) -> None:
    began = time.process_time()
    explain("10-web.sh", ENDED, [line] * 40)
    explain("10-web.sh", ENDED, [line] * 40, installs=True)
    unknown_name([line] * 40)
    assert time.process_time() - began < 4
