from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.format.packages import parse_packages
from lxc_dashboard.services.templates.model import PackageEntry
from lxc_dashboard.text import in_words_of

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
        (APT, "nginx=1:1.26.*~bpo12+1", "nginx=1:1.26.*~bpo12+1"),
        (DNF, "perl(JSON::PP)", "perl(JSON::PP)"),
        (DNF, "@Books & Guides, more", "@Books & Guides, more"),
        (PackageManager.APK, "so:libssl.so.3", "so:libssl.so.3"),
        (PackageManager.APK, "nginx=~1.26@edge", "nginx=~1.26@edge"),
        (PackageManager.NPM, "git+https://h/a.git?x=1&y=2#main", "git+https://h/a.git?x=1&y=2#main"),
    ],
)
def test_a_hash_starts_a_comment_only_behind_a_blank(manager: PackageManager, line: str, spec: str) -> None:
    assert specs(manager, line + "\n") == [spec]


@pytest.mark.parametrize("spec", ["curl#x", "a,b", '"a"', "'a'", "a;b", "a&b", "a|b", "a`b", "a\\b", "$HOME", "\u00e9"])
@pytest.mark.parametrize("manager", list(PackageManager))
def test_only_the_managers_of_distributions_refuse_what_addresses_and_markers_need(
    manager: PackageManager, spec: str
) -> None:
    """As docs/template-format.md says."""
    if manager in {APT, DNF, PackageManager.APK}:
        assert "which is invalid in a package's name" in refusal(manager, f"{spec}\n").message
    elif manager is not CUSTOM:
        assert specs(manager, f"{spec}\n") == [spec]
    elif "|" not in spec:
        assert specs(manager, f"{spec}|true|true\n") == [spec]


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
        (PackageManager.APK, "!nginx", "would remove"),
        (APT, "curl#x", "'#', which is invalid in a package's name: put a blank before a comment"),
        (APT, "nginx,curl", "holds ','"),
        (APT, '"nginx"', "holds '\"'"),
        (DNF, "curl;id", "holds ';'"),
        (PackageManager.APK, "$(id)", "holds '$'"),
        (APT, "nginx\u200b", "holds '\\u200b'"),
        (PIP, "flask\ufeff", "holds '\\ufeff'"),
        (PIP, "flask==3.0 --hash=sha256:0f", "contains an option"),
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


def test_a_package_under_two_pins_is_told_with_both() -> None:
    bucket, warnings = parse_packages("base", APT, b"nginx=1.26.*\ncurl\nlibc6\nlibc6:i386\nnginx\n", "p/base.apt")
    assert len(bucket.packages) == 5
    assert [(w.line, in_words_of(w.message)) for w in warnings] == [
        (5, "nginx is in line 1 already, as nginx=1.26.*: keep one of the two")
    ]


def test_what_is_told_of_a_package_holds_no_login_of_its_address() -> None:
    address = "a @ git+https://me:hunter2@h/a.git"
    bucket, warnings = parse_packages("base", PIP, f"{address}\n{address}\na==1\n".encode(), "p/base.pip")
    assert len(bucket.packages) == 2
    assert [in_words_of(w.message).count("https://…@h/a.git") for w in warnings] == [1, 1]
    assert "hunter2" not in refusal(PIP, f"{address} -y\n").message


def test_every_wrong_line_is_told_the_first_one_first() -> None:
    error = refusal(APT, "-y\nok\na b\n" + "x,\n" * 12)
    assert error.line == 1
    assert error.message.startswith("-y is an option: only packages are allowed; line 3: 'a b' is more than one")
    assert error.message.endswith("line 12: 'x,' holds ',', which is invalid in a package's name; and 3 more")


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
        ("Node.js LTS (übrig)|node -v|a", ("Node.js LTS (übrig)", "node -v", "a", 300)),
        ("tool|true|a | timeout 5 b", ("tool", "true", "a | timeout 5 b", 300)),
        ("tool|true|a | TIMEOUT=5 b", ("tool", "true", "a | TIMEOUT=5 b", 300)),
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
        ("tool||install", "an install command: check is empty"),
        ("tool|check|", "an install command: install is empty"),
        ("|check|install", "an install command: name is empty"),
        ("tool|check|install|timeout_s=", "timeout_s is a whole number"),
        ("tool|check|install|timeout=600", "timeout is not a setting of a custom package: use timeout_s=SECONDS"),
        ("tool|check|install | Timeout_S: 600 # why", "Timeout_S is not a setting"),
        ("tool|check|install|timeout_s=soon", "whole number of seconds"),
        ("tool|check|install|timeout_s=0", "whole number of seconds"),
        ("tool|check|install|timeout_s=86401", "whole number of seconds"),
        ("tool|check|" + "x" * 8000, "at most 8000"),
        ("two\u200b|check|install", "holds '\\u200b'"),
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
