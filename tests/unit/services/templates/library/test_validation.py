"""Validation of typed fields agrees with the parser: the same value gives the same result as in a folder."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.errors import InvalidInputError, TemplateError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format import packages
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.conf import check_config, parse_conf
from lxc_dashboard.services.templates.format.packages import parse_packages, read_line, written
from lxc_dashboard.services.templates.library.draft import DraftContent, DraftFile, validated
from lxc_dashboard.services.templates.model import Bucket, PackageEntry, Script, TemplateConfig, is_template_name

DATA = b"\0data"
SHA256 = hashlib.sha256(DATA).hexdigest()
FILE = DraftFile("a", "/etc", FilePolicy.DEFAULT, 0o644, "", SHA256, len(DATA))
DRAFT = DraftContent("web", TemplateConfig(app="Web"))
APT, PIP, CUSTOM = PackageManager.APT, PackageManager.PIP, PackageManager.CUSTOM

nasty = st.text(st.characters() | st.sampled_from("\r\n\t\0\x1b;|#\\'\"$` "), max_size=30)
KEYS = {
    "app": "TEMPLATE_APP",
    "description": "TEMPLATE_DESCRIPTION",
    "storage": "TEMPLATE_STORAGE",
    "os": "TEMPLATE_OS",
    "bridge": "TEMPLATE_BRIDGE",
}


def faults(draft: DraftContent) -> dict[str, str]:
    try:
        validated(draft, {SHA256: DATA}, {})
    except InvalidInputError as error:
        return error.fields
    return {}


@given(st.sampled_from(sorted(KEYS)), nasty)
def test_a_typed_value_is_judged_as_the_same_value_in_a_file(field: str, value: str) -> None:
    quoted = value.replace("'", "'\"'\"'")
    try:
        config, _ = parse_conf(f"{KEYS[field]}='{quoted}'\n".encode("utf-8", "surrogatepass"), app="Web")
        read = getattr(config, field)
    except TemplateError:
        read = None
    typed: dict[str, Any] = {"app": "Web", field: value}
    checked, wrong = check_config(TemplateConfig(**typed))
    if field == "app" and not value:
        assert wrong == {"app": Message.of(FormatCode.MISSING)}
    elif read is None:
        assert field in wrong
    else:
        assert not wrong
        assert getattr(checked, field) == read


@given(st.integers(-5, 1 << 45), st.lists(nasty, max_size=3).map(tuple), st.booleans())
def test_what_is_accepted_is_accepted_again_unchanged(number: int, tags: tuple[str, ...], privileged: bool) -> None:
    typed = TemplateConfig(
        app=" Web ", cpu=number, disk_gib=number, swap_mib=number, tags=tags, unprivileged=not privileged
    )
    checked, wrong = check_config(typed)
    if not wrong:
        assert checked.app == "Web"
        assert checked.unprivileged is not privileged
        assert check_config(checked) == (checked, {})


def test_the_defaults_of_a_configuration_are_right() -> None:
    config = TemplateConfig(app="Web")
    assert check_config(config) == (config, {})
    assert {field.name for field in fields(TemplateConfig)} == {field.name for field in fields(check_config(config)[0])}


@given(nasty, st.sampled_from(PackageManager))
def test_every_line_that_is_read_can_be_written(line: str, manager: PackageManager) -> None:
    try:
        (bucket, _) = parse_packages("x", manager, line.encode("utf-8", "surrogatepass"), "x")
    except TemplateError:
        return
    for package in bucket.packages:
        assert read_line(written(package, manager), manager) == package


@given(
    st.builds(PackageEntry, spec=nasty, check=nasty, install=nasty, timeout_s=st.integers(-1, 90_000)),
    st.sampled_from(PackageManager),
)
def test_a_package_that_is_accepted_stands_in_a_list_as_itself(package: PackageEntry, manager: PackageManager) -> None:
    try:
        packages.check_bucket(Bucket("x", manager, (package,)))
    except ValueError:
        return
    bucket, _ = parse_packages("x", manager, f"{written(package, manager)}\n".encode(), "x")
    assert bucket.packages == (package,)


@pytest.mark.parametrize(
    ("package", "manager"),
    [
        (PackageEntry(""), APT),
        (PackageEntry("#x"), APT),
        (PackageEntry("a #b"), PIP),
        (PackageEntry("a b"), APT),
        (PackageEntry("-y"), APT),
        (PackageEntry("a-"), APT),
        (PackageEntry(" a"), APT),
        (PackageEntry("a\nb"), PIP),
        (PackageEntry("a", check="x"), APT),
        (PackageEntry("a", timeout_s=5), APT),
        (PackageEntry("a"), CUSTOM),
        (PackageEntry("a", "b", "c # d"), CUSTOM),
        (PackageEntry("a", "b\\|c", "d"), CUSTOM),
        (PackageEntry("a", "b", "c\nd"), CUSTOM),
        (PackageEntry("a", "b", "c", timeout_s=0), CUSTOM),
    ],
)
def test_a_package_that_no_line_can_say_is_refused(package: PackageEntry, manager: PackageManager) -> None:
    draft = replace(DRAFT, buckets=(Bucket("base", manager, (package,)),))
    assert list(faults(draft)) == [f"packages.base.{manager}"]


def test_a_custom_package_keeps_its_pipes_and_its_time() -> None:
    for package in (
        PackageEntry("tool", "a | b", "curl x | bash"),
        PackageEntry("tool", "a", "b|timeout_s=5"),
        PackageEntry("tool", "a", "echo '# no comment'", timeout_s=7),
    ):
        assert read_line(written(package, CUSTOM), CUSTOM) == package


def test_a_list_is_bounded_in_packages_and_bytes() -> None:
    many = tuple(PackageEntry(f"p{number}") for number in range(packages.MAX_PACKAGES + 1))
    long = tuple(PackageEntry(f"{number:04}" + "x" * 200) for number in range(packages.MAX_PACKAGES))
    for held in (many, long):
        assert list(faults(replace(DRAFT, buckets=(Bucket("b", APT, held),)))) == ["packages.b.apt"]


def test_two_lists_of_one_name_are_refused_also_through_a_shared_one() -> None:
    shared_id = uuid4()
    own = Bucket("base", APT, (PackageEntry("a"),))
    draft = replace(DRAFT, buckets=(own, Bucket("other", APT, shared_id=shared_id)))
    with pytest.raises(InvalidInputError) as refused:
        validated(draft, {}, {shared_id: replace(own, shared_id=shared_id)})
    assert list(refused.value.fields) == ["packages.other.apt"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "a\x7f", "x" * 249])
def test_a_file_needs_a_name_that_a_file_can_have(name: str) -> None:
    assert list(faults(replace(DRAFT, files=(replace(FILE, name=name),)))) == [f"files.{name}.name"]


@pytest.mark.parametrize("owner", ["a b", "-a", "a:", ":a", "a:b:c", "a;b", "$(id)", "a\n", "x" * 40])
def test_an_owner_is_a_user_and_perhaps_a_group(owner: str) -> None:
    assert list(faults(replace(DRAFT, files=(replace(FILE, owner=owner),)))) == ["files.a.owner"]


def test_owners_by_name_and_number_are_taken() -> None:
    owners = ["", "root", "www-data:www-data", "1000:1000", "_apt", "host$"]
    drafts = {owner: replace(DRAFT, files=(replace(FILE, owner=owner),)) for owner in owners}
    assert [owner for owner, draft in drafts.items() if list(faults(draft))] == []


@pytest.mark.parametrize("target", ["", "etc", "/a/../b", "/a\nb", "/" + "x" * 1_000])
def test_a_target_is_an_absolute_directory(target: str) -> None:
    assert list(faults(replace(DRAFT, files=(replace(FILE, target_dir=target),)))) == ["files.a.target_dir"]


def test_a_script_is_judged_by_its_name_its_header_and_its_settings() -> None:
    def with_script(**changes: object) -> DraftContent:
        return replace(DRAFT, scripts=(replace(Script("10-a.sh", "true\n", 0), **changes),))  # type: ignore[arg-type]  # any field

    assert not faults(with_script(timeout_s=86_400, description="Tab\there", enabled=False))
    assert not faults(with_script(content="a\n# optional: perhaps\n"))
    assert list(faults(with_script(content="x" * ((1 << 20) + 1)))) == ["scripts.10-a.sh.content"]
    assert list(faults(with_script(timeout_s=86_401))) == ["scripts.10-a.sh.timeout_s"]
    assert list(faults(with_script(description="x" * 501))) == ["scripts.10-a.sh.description"]
    assert list(faults(with_script(name=".a.sh"))) == ["scripts..a.sh.name"]


def test_a_draft_without_its_files_content_says_so() -> None:
    lost = replace(FILE, sha256="0" * 64)
    assert list(faults(replace(DRAFT, files=(lost,)))) == ["files.a.content"]


def test_an_oversized_draft_is_refused_before_anything_is_read() -> None:
    files = tuple(replace(FILE, name=f"f{number}", size=16 << 20) for number in range(5))
    assert list(faults(replace(DRAFT, files=files))) == ["files"]


@given(nasty)
def test_a_name_that_is_taken_leads_nowhere_else(name: str) -> None:
    if is_template_name(name):
        assert not set(name) & set("/\\\0 \n")
        assert not name.startswith(".")
    else:
        assert "name" in faults(replace(DRAFT, name=name))
