from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.model import PackageEntry
from lxc_dashboard.services.templates.packages import parse_packages

APT, PIP, DNF, CUSTOM = PackageManager.APT, PackageManager.PIP, PackageManager.DNF, PackageManager.CUSTOM


def packages(manager: PackageManager, text: str) -> list[PackageEntry]:
    return list(parse_packages("base", manager, text.encode(), "p/base")[0].packages)


def specs(manager: PackageManager, text: str) -> list[str]:
    return [package.spec for package in packages(manager, text)]


def refusal(manager: PackageManager, text: str) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        packages(manager, text)
    return caught.value


def test_comments_blank_lines_and_line_ends_are_left_out() -> None:
    text = "\ufeff# all\r\n\r\n  nginx=1.26.3-3  # pinned\r\n\tcurl\t#x\r\n   # more\r\ng++"
    assert specs(APT, text) == ["nginx=1.26.3-3", "curl", "g++"]


@pytest.mark.parametrize(
    ("manager", "line", "spec"),
    [
        (
            PIP,
            "a @ git+https://h/a.git@v1#egg=a&subdirectory=x  # why",
            "a @ git+https://h/a.git@v1#egg=a&subdirectory=x",
        ),
        (PIP, "b[x] >= 1, < 2 ; python_version > '3.8'#x", "b[x] >= 1, < 2 ; python_version > '3.8'#x"),
        (PIP, "flask>=3.0", "flask>=3.0"),
        (PackageManager.NPM, "@vue/cli@^5.0.0 # c", "@vue/cli@^5.0.0"),
        (PackageManager.NPM, "github:o/r#semver:^5", "github:o/r#semver:^5"),
        (PackageManager.APK, "nginx~1.26", "nginx~1.26"),
        (PackageManager.APK, "py3-pip>=23", "py3-pip>=23"),
        (DNF, "nginx-1.26*", "nginx-1.26*"),
        (DNF, "@Development Tools # a group", "@Development Tools"),
        (APT, "libc6:i386", "libc6:i386"),
        (APT, "nginx/trixie-backports", "nginx/trixie-backports"),
    ],
)
def test_a_hash_starts_a_comment_only_behind_a_blank(manager: PackageManager, line: str, spec: str) -> None:
    assert specs(manager, line + "\n") == [spec]


@pytest.mark.parametrize(
    ("manager", "line", "why"),
    [
        (APT, "nginx curl", "more than one word"),
        (APT, "--allow-unauthenticated", "is an option"),
        (APT, "-y", "is an option"),
        (APT, "nginx-", "would remove"),
        (PIP, "-r other.txt", "is an option"),
        (PIP, "--index-url=http://x", "is an option"),
        (DNF, "nginx curl", "more than one word"),
        (APT, "x" * 256, "at most 255"),
        (APT, "a\x07b", "plain text"),
    ],
)
def test_what_is_no_package_is_refused_with_its_line(manager: PackageManager, line: str, why: str) -> None:
    error = refusal(manager, f"# first\nok\n{line}\n")
    assert (error.file, error.line) == ("p/base", 3)
    assert why in error.message


def test_a_package_that_is_listed_twice_counts_once() -> None:
    bucket, warnings = parse_packages("base", APT, b"a\nb\na # again\n", "p/base.apt")
    assert [package.spec for package in bucket.packages] == ["a", "b"]
    assert [(warning.file, warning.line) for warning in warnings] == [("p/base.apt", 3)]


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        (
            "tool|command -v tool|curl -fsS https://x | bash",
            ("tool", "command -v tool", "curl -fsS https://x | bash", 300),
        ),
        (" tool | test -e /x | a || b | timeout_s = 90 ", ("tool", "test -e /x", "a || b", 90)),
        ("tool|test -e /x|a | timeout_s=90 | cat", ("tool", "test -e /x", "a | timeout_s=90 | cat", 300)),
        (
            r"tool|dpkg -l \| grep -q tool|apt-get install tool",
            ("tool", "dpkg -l | grep -q tool", "apt-get install tool", 300),
        ),
        ("tool|true|false # why|timeout_s=5", ("tool", "true", "false", 300)),
        ("tool|true|false|timeout_s=5 # why", ("tool", "true", "false", 5)),
        ("""tool|grep -q ' # ' /x|echo "it's # x" # why""", ("tool", "grep -q ' # ' /x", """echo "it's # x\"""", 300)),
        ("tool|true|echo a#b # don't", ("tool", "true", "echo a#b", 300)),
        (r"tool|true|echo \# x", ("tool", "true", r"echo \# x", 300)),
        ("tool|true|echo 'unclosed # x", ("tool", "true", "echo 'unclosed", 300)),
    ],
)
def test_custom_packages_have_a_check_and_an_install_command(line: str, entry: tuple[str, str, str, int]) -> None:
    (package,) = packages(CUSTOM, line + "\n")
    assert (package.spec, package.check, package.install, package.timeout_s) == entry


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("tool", "is name|check|install"),
        ("tool|check", "is name|check|install"),
        ("tool||install", "needs a name, a check and an install"),
        ("tool|check|", "needs a name, a check and an install"),
        ("|check|install", "needs a name, a check and an install"),
        ("tool|check|install|timeout_s=soon", "whole number of seconds"),
        ("tool|check|install|timeout_s=0", "whole number of seconds"),
        ("tool|check|install|timeout_s=86401", "whole number of seconds"),
        ("tool|check|" + "x" * 8000, "at most 8000"),
        ("two words|check|install", "more than one word"),
    ],
)
def test_a_custom_package_that_is_incomplete_is_refused(line: str, why: str) -> None:
    error = refusal(CUSTOM, f"\n{line}\n")
    assert error.line == 2
    assert why in error.message


@given(st.sampled_from(PackageManager), st.binary(max_size=200) | st.text("ab|\\'\"# \n=", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(manager: PackageManager, data: bytes) -> None:
    try:
        bucket, _ = parse_packages("base", manager, data, "p/base")
    except TemplateError:
        return
    assert all(package.spec.strip() == package.spec != "" for package in bucket.packages)
    if manager is CUSTOM:
        assert all(package.check and package.install for package in bucket.packages)
