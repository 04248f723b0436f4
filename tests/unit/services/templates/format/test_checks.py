from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format import checks, shellcheck
from lxc_dashboard.services.templates.format.checks import check, checked, checked_each, rechecked
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.format.packages import unfit
from lxc_dashboard.services.templates.model import (
    Bucket,
    FileEntry,
    Finding,
    PackageEntry,
    Script,
    TemplateConfig,
    TemplateContent,
)
from lxc_dashboard.services.templates.sources.folder import discover
from lxc_dashboard.text import in_words_of
from tests.trees import WriteTree
from tests.unit.services.templates.conftest import CONF

CONFIG = TemplateConfig(app="Web", os="debian")


def template(**parts: object) -> TemplateContent:
    return dataclasses.replace(TemplateContent("web", CONFIG), **parts)  # type: ignore[arg-type] # any fields


def test_a_sound_template_has_no_finding() -> None:
    bucket = Bucket("base", PackageManager.APT, (PackageEntry("nginx"),))
    assert check(template(scripts=(Script("1.sh", "true\n", 0),), buckets=(bucket,))) == ()


def test_a_privileged_template_is_told() -> None:
    (found,) = check(template(config=dataclasses.replace(CONFIG, unprivileged=False)))
    assert (found.file, found.code) == ("template.conf", checks.PRIVILEGED)


@pytest.mark.parametrize(
    ("system", "manager", "fits"),
    [
        ("debian", PackageManager.APT, True),
        ("debian", PackageManager.APK, False),
        ("alpine", PackageManager.DNF, False),
        ("fedora", PackageManager.DNF, True),
        ("debian", PackageManager.NPM, True),
        ("debian", PackageManager.CUSTOM, True),
        ("", PackageManager.APK, True),
        ("plan9", PackageManager.APT, True),
        *((system, PackageManager.APT, False) for system in ("archlinux", "gentoo", "opensuse", "voidlinux")),
        ("archlinux", PackageManager.PIP, True),
    ],
)
def test_only_another_known_systems_manager_does_not_fit(system: str, manager: PackageManager, fits: bool) -> None:
    assert unfit(system, [manager]) == (() if fits else (manager,))
    bucket = Bucket("base", manager, (PackageEntry("nginx"),))
    found = check(template(config=dataclasses.replace(CONFIG, os=system), buckets=(bucket,)))
    assert [f.code for f in found] == ([] if fits else [checks.MANAGER])


def test_an_empty_bucket_of_another_manager_does_no_harm() -> None:
    assert check(template(buckets=(Bucket("base", PackageManager.APK),))) == ()


def test_secrets_are_told_wherever_they_stand() -> None:
    custom = PackageEntry("tool", "command -v tool", "curl -u me:swordfish https://h/t | bash")
    found = check(
        template(
            config=dataclasses.replace(CONFIG, description="root password=swordfish"),
            scripts=(Script("1.sh", "true\nPASSWORD=swordfish\n", 0),),
            files=(FileEntry("app.conf", "/etc", FilePolicy.DEFAULT, b"[db]\npassword = swordfish\n"),),
            buckets=(Bucket("own", PackageManager.CUSTOM, (custom,)),),
        )
    )
    assert [(f.file, f.line) for f in found if f.code == checks.SECRET] == [
        ("template.conf", 0),
        ("scripts/1.sh", 2),
        ("packages/own.custom", 0),
        ("files/app.conf", 2),
    ]
    assert not [f for f in found if "swordfish" in in_words_of(f.message)]


def test_a_binary_file_is_not_looked_into() -> None:
    file = FileEntry("app.db", "/opt", FilePolicy.DEFAULT, b"\0password=swordfish\n")
    assert check(template(files=(file,))) == ()


def test_files_are_looked_into_as_far_as_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_SCANNED_BYTES", 30)
    files = tuple(FileEntry(name, "/etc", FilePolicy.DEFAULT, b"password = swordfish\n") for name in "abc")
    assert [f.file[-1] for f in check(template(files=files))] == ["a"]


async def test_errors_and_warnings_of_the_shell_are_told_with_their_line() -> None:
    content = template(scripts=(Script("1.sh", "echo $HOME\necho $never\nexit wrongly\n", 0),))
    found = (await checked(content)).warnings
    assert [(f.file, f.line, f.code) for f in found] == [
        ("scripts/1.sh", 2, "SC2154"),
        ("scripts/1.sh", 3, "SC2242"),
    ]
    assert in_words_of(found[0].message) == "never is referenced but not assigned. (SC2154)"


async def test_shellcheck_may_be_asked_before_the_content_is_read() -> None:
    said = await checks.linted(["\ufeffecho $never\r\n", "true\n"])
    read = template(scripts=(Script("1.sh", "echo $never\n", 0), Script("2.sh", "echo $other\n", 1)))
    assert [(f.file, f.code) for f in checks.with_findings(read, said).warnings] == [("scripts/1.sh", "SC2154")]


async def test_very_many_findings_are_counted() -> None:
    content = template(scripts=(Script("1.sh", "".join(f"echo $never{n}\n" for n in range(70)), 0),))
    found = (await checked(content)).warnings
    assert len(found) == checks.MAX_SHELL_FINDINGS + 1
    assert (found[-1].line, in_words_of(found[-1].message)) == (0, "ShellCheck has more findings here: 20 in all")


async def test_what_the_reader_said_stays_in_front_and_checking_again_changes_nothing() -> None:
    said = Finding("web/template.conf", 3, Message.of(FormatCode.KEY_UNKNOWN, name="X"))
    content = template(
        config=dataclasses.replace(CONFIG, description="password=swordfish"),
        scripts=(Script("1.sh", "echo $never\nPASSWORD=swordfish\n", 0),),
        warnings=(said,),
    )
    once = await checked(content)
    assert once.warnings[0] == said
    assert {finding.code for finding in once.warnings[1:]} == {"SC2154", "SC2034", checks.SECRET}
    assert await checked(once) == once
    assert rechecked(once) == once


async def test_a_change_of_packages_is_checked_without_asking_shellcheck_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once = await checked(template(scripts=(Script("1.sh", "echo $never\n", 0),)))

    async def asked(*_: object, **__: object) -> list[shellcheck.Findings]:
        raise AssertionError("ShellCheck was asked")

    monkeypatch.setattr(shellcheck, "lint_each", asked)
    foreign = Bucket("base", PackageManager.APK, (PackageEntry("nginx"),))
    again = rechecked(dataclasses.replace(once, buckets=(foreign,)))
    assert [f.code for f in again.warnings] == ["SC2154", checks.MANAGER]
    assert [f.code for f in rechecked(dataclasses.replace(again, buckets=())).warnings] == ["SC2154"]


async def test_many_templates_keep_their_order_and_their_findings() -> None:
    contents = [template(scripts=(Script("1.sh", f"echo $a{number}\n", 0),)) for number in range(20)]
    found = await checked_each(contents)
    assert [in_words_of(content.warnings[0].message).partition(" ")[0] for content in found] == [
        f"a{n}" for n in range(20)
    ]
    assert await checked_each([]) == ()


async def test_findings_name_the_files_that_were_read(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "lxc/web/template.conf": CONF + "TEMPLATE_CONFIG_PATH=shared\nOTHER_PASSWORD=swordfish # oh\n",
            "shared/scripts/1.sh": "true\necho $never\n",
        }
    )
    (content,) = await checked_each(discover(root).found)
    assert [(f.file, f.line, f.code) for f in content.warnings] == [
        ("lxc/web/template.conf", 4, ""),
        ("lxc/web/template.conf", 4, ""),
        ("shared/scripts/1.sh", 2, "SC2154"),
    ]


async def test_a_secret_in_the_description_is_told_once_with_its_line(write_tree: WriteTree) -> None:
    root = write_tree({"web/template.conf": CONF + "TEMPLATE_DESCRIPTION='root\npassword=swordfish'\n"})
    (content,) = await checked_each(discover(root).found)
    assert [f.line for f in content.warnings if "password" in in_words_of(f.message)] == [4]
    again = await checked(dataclasses.replace(content, origin=None))
    assert [f.line for f in again.warnings if "password" in in_words_of(f.message)] == [4]


async def test_nothing_is_found_in_the_templates_that_ship() -> None:
    for content in await checked_each(discover(Path(__file__).parents[5] / "templates").found):
        assert content.warnings == ()
