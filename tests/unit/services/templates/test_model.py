from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lxc_dashboard.db.models import FilePolicy, PackageManager
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.codes import FormatCode
from lxc_dashboard.services.templates.model import (
    Bucket,
    DiscoveryReport,
    FileEntry,
    Finding,
    PackageEntry,
    Refusal,
    Script,
    TemplateConfig,
    TemplateContent,
)
from lxc_dashboard.services.templates.sources.codes import FolderCode

WHOLE = TemplateContent(
    name="web",
    config=TemplateConfig(app="Web", tags=("a", "b")),
    scripts=(Script("1.sh", "true\n", 0), Script("2.sh", "", 1)),
    files=(FileEntry("a", "/etc", FilePolicy.BACKUP, b"\xff"), FileEntry("b", "/etc", FilePolicy.DEFAULT, b"")),
    buckets=(
        Bucket("base", PackageManager.APT, (PackageEntry("x"), PackageEntry("y"))),
        Bucket("base", PackageManager.PIP),
    ),
)


def test_a_report_keeps_the_codes_of_its_refusals_and_the_text_of_older_ones() -> None:
    report = DiscoveryReport("team", refused=(Refusal("web/x", 2, Message.of(FolderCode.INSIDE, name="db"), "web"),))
    assert DiscoveryReport.from_json("team", json.loads(json.dumps(report.to_json()))) == report
    old = {"refused": [{"file": "web/x", "line": 2, "why": "is wrong", "name": "web"}]}
    assert DiscoveryReport.from_json("team", old).refused == (Refusal("web/x", 2, Message(text="is wrong"), "web"),)


def test_the_checksum_is_the_same_in_every_process_and_release() -> None:
    assert WHOLE.checksum() == "882cd8571a8463db8876f38c9d22dda1cfe845d130a86d4c3c27605126d630a8"


def test_the_checksum_ignores_name_warnings_and_the_order_of_what_has_none() -> None:
    other = replace(
        WHOLE,
        name="other",
        warnings=(Finding("f", 1, Message(text="x")),),
        files=WHOLE.files[::-1],
        buckets=WHOLE.buckets[::-1],
    )
    assert other.checksum() == WHOLE.checksum()


@pytest.mark.parametrize(
    "other",
    [
        replace(WHOLE, config=replace(WHOLE.config, unprivileged=False)),
        replace(WHOLE, config=replace(WHOLE.config, tags=("b", "a"))),
        replace(WHOLE, scripts=WHOLE.scripts[:1]),
        replace(WHOLE, scripts=(replace(WHOLE.scripts[0], timeout_s=5), WHOLE.scripts[1])),
        replace(WHOLE, scripts=(replace(WHOLE.scripts[0], enabled=False), WHOLE.scripts[1])),
        replace(WHOLE, files=(replace(WHOLE.files[0], content=b"\xfe"), WHOLE.files[1])),
        replace(WHOLE, files=(replace(WHOLE.files[0], mode=0o755), WHOLE.files[1])),
        replace(WHOLE, files=(replace(WHOLE.files[0], policy=FilePolicy.REPLACE), WHOLE.files[1])),
        replace(WHOLE, buckets=(Bucket("base", PackageManager.APT, (PackageEntry("y"), PackageEntry("x"))),)),
        replace(WHOLE, buckets=(replace(WHOLE.buckets[0], manager=PackageManager.APK), WHOLE.buckets[1])),
        replace(WHOLE, buckets=(replace(WHOLE.buckets[0], name="b"), WHOLE.buckets[1])),
    ],
)
def test_the_checksum_tells_any_other_content(other: TemplateContent) -> None:
    assert other.checksum() != WHOLE.checksum()


def test_a_file_knows_where_it_goes() -> None:
    assert FileEntry("x", "/", FilePolicy.DEFAULT, b"").target == "/x"
    assert FileEntry("x", "/etc", FilePolicy.DEFAULT, b"").target == "/etc/x"


def test_a_finding_is_read_back_as_it_was_stored() -> None:
    quoted = Message.of(FormatCode.OF_KEY, key="TEMPLATE_APP", reason=Message.of(FormatCode.MISSING))
    for message in (quoted, Message(text="said by ShellCheck")):
        finding = Finding("web/template.conf", 2, message, "SC2086")
        assert Finding.from_json(json.loads(json.dumps(finding.to_json()))) == finding


def test_a_finding_of_an_older_version_keeps_its_words() -> None:
    stored = {"file": "web/template.conf", "line": 2, "message": "is empty", "code": ""}
    assert Finding.from_json(stored) == Finding("web/template.conf", 2, Message(text="is empty"))


def test_findings_are_equal_by_place_code_and_parameters() -> None:
    found = [Finding("f", 1, Message.of(FormatCode.KEY_UNKNOWN, name=name)) for name in ("X", "Y", "X")]
    assert list(dict.fromkeys(found)) == found[:2]
