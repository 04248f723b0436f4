"""Package lists as people paste them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.services.templates.format.packages import (
    MAX_FAULTS,
    MAX_LIST_BYTES,
    MAX_PACKAGES,
    Listing,
    package_name,
    parse_packages,
    read_listing,
)
from lxc_dashboard.text import in_words_of

APT, APK, DNF = PackageManager.APT, PackageManager.APK, PackageManager.DNF
NPM, PIP, CUSTOM = PackageManager.NPM, PackageManager.PIP, PackageManager.CUSTOM


def read(text: str, manager: PackageManager = APT) -> Listing:
    return read_listing("base", manager, text)


def faults(text: str, manager: PackageManager = APT) -> list[tuple[int, str]]:
    return [(fault.line, in_words_of(fault.message)) for fault in read(text, manager).faults]


def test_comments_and_pins_are_kept_as_they_were_pasted() -> None:
    found = read("\ufeff# web\r\nnginx=1.26.3-3  # pinned: 1.27 breaks us\r\n\r\ncurl\r\n")
    assert found.text == "# web\nnginx=1.26.3-3  # pinned: 1.27 breaks us\n\ncurl\n"
    assert [package.spec for package in found.packages] == ["nginx=1.26.3-3", "curl"]
    assert found.faults == ()


def test_all_faults_are_told_at_once_each_with_its_line() -> None:
    found = faults("ok\n-y\n# fine\ntwo words\nok\nvim-\n")
    assert [line for line, _ in found] == [2, 4, 5, 6]
    assert "is an option" in found[0][1]
    assert "more than one word" in found[1][1]
    assert found[2][1] == "ok is also in line 1"
    assert "would remove" in found[3][1]


def test_a_fault_holds_no_login_of_an_address() -> None:
    address = "a @ git+https://me:hunter2@h/a.git"
    found = faults(f"{address}\n{address}\na==1\n{address} -y\n", PIP)
    assert [line for line, _ in found] == [2, 3, 4]
    assert "hunter2" not in str(found)


def test_a_list_with_a_fault_has_no_packages() -> None:
    assert read("nginx\n-y\n").packages == ()


@pytest.mark.parametrize(
    ("manager", "first", "second"),
    [
        (APT, "nginx", "nginx=1.26.3-3"),
        (APT, "nginx/trixie-backports", "nginx=1.26.3-3"),
        (APK, "nginx~1.26", "nginx>=1.20"),
        (APK, "nginx@edge", "nginx"),
        (DNF, "nginx-1.26*", "nginx"),
        (DNF, "nginx-2:1.26.3-3.fc42.x86_64", "nginx-1.27.0"),
        (DNF, "@Development Tools", "@development  tools"),
        (NPM, "@vue/cli@^5.0.0", "@vue/cli"),
        (NPM, "typescript@5", "typescript@latest"),
        (NPM, "cli@npm:@vue/cli@5", "cli"),
        (NPM, "github:o/r#v1", "github:o/r#v2"),
        (PIP, "Flask>=3.0", "flask==3.1"),
        (PIP, "ruamel.yaml", "ruamel_yaml[jinja2] ~= 0.18"),
        (PIP, "a @ git+https://h/a.git@v1", "git+https://h/a.git@v2#egg=a"),
        (CUSTOM, "tool|true|false", "tool|false|true"),
    ],
)
def test_one_package_under_two_pins_is_refused_by_name(manager: PackageManager, first: str, second: str) -> None:
    for one, other in ((first, second), (second, first)):
        ((line, message),) = faults(f"# list\n{one}\n\n{other}\n", manager)
        assert line == 4
        assert "is also in line 2" in message


@pytest.mark.parametrize(
    ("manager", "first", "second"),
    [
        (APT, "libc6", "libc6:i386"),
        (APT, "g++", "g"),
        (DNF, "java-17-openjdk", "java-21-openjdk"),
        (DNF, "glibc.i686", "glibc.x86_64"),
        (DNF, "https://h/a-1.0.rpm", "https://h/a-1.1.rpm"),
        (NPM, "@vue/cli", "@vue/compiler-sfc"),
        (NPM, "git+https://git@h/a.git", "git+https://git@h/b.git"),
        (PIP, "a<2; python_version < '3.9'", "a>=2; python_version >= '3.9'"),
        (PIP, "git+https://h/a.git", "git+https://h/b.git"),
        (CUSTOM, "one|true|false", "two|true|false"),
    ],
)
def test_what_only_looks_alike_is_two_packages(manager: PackageManager, first: str, second: str) -> None:
    assert faults(f"{first}\n{second}\n", manager) == []


def test_a_list_without_packages_is_a_list() -> None:
    assert read("# nothing yet\n") == Listing("# nothing yet\n")


def test_bounds_are_faults() -> None:
    assert [line for line, _ in faults("x" * (MAX_LIST_BYTES + 1))] == [0]
    too_many = "\n".join(f"p{number}" for number in range(MAX_PACKAGES + 1))
    ((line, message),) = faults(too_many)
    assert line == MAX_PACKAGES + 1
    assert "more than 2,000" in message
    assert len(faults("-y\n" * 500)) == MAX_FAULTS


@pytest.mark.parametrize(
    ("text", "manager"),
    [
        ("\r" * 1_500_000, APT),
        ("\r" * MAX_LIST_BYTES, APT),
        ("a|b|c|timeout_s=" + " " * 200_000 + "|x", CUSTOM),
    ],
    ids=["no end of a line", "as many as are read", "blanks"],
)
def test_no_list_takes_long_however_it_was_made(text: str, manager: PackageManager) -> None:
    begun = time.process_time()
    read(text, manager)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("text", ["a\ud800", "# \ud800", "a\0b", "# a\0b"])
def test_text_that_is_none_is_a_fault_of_its_line(text: str) -> None:
    assert [line for line, _ in faults(f"ok\n{text}\n")] == [2]


LINES = st.lists(
    st.sampled_from(
        ["nginx", "nginx=1", "a b", "# c", "-y", "", "x|y|z", "A", "a ; b", "\ufeffvim", "\r\r", "# \r\ufeff"]
    )
)
TEXTS = st.text(max_size=200) | st.text("ab|\\'\"# \n=@/;-1.", max_size=80) | LINES.map("\n".join)


@given(st.sampled_from(PackageManager), TEXTS)
def test_any_text_is_read_as_the_parser_reads_it_or_refused(manager: PackageManager, text: str) -> None:
    found = read(text, manager)
    if found.faults:
        assert found.packages == ()
        assert all(0 <= fault.line <= found.text.count("\n") + 1 and fault.message for fault in found.faults)
        return
    bucket, warnings = parse_packages("base", manager, found.text.encode(), "base")
    assert (bucket.packages, warnings) == (found.packages, ())
    names = [package_name(package.spec, manager) for package in found.packages]
    assert len(set(names)) == len(names)
    assert read(found.text, manager) == found
