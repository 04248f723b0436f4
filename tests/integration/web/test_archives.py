"""Export and import of templates through the routes, as a browser's form does it."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from lxc_dashboard import routes
from lxc_dashboard.db.models import AuditResult
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.templates.library.catalog import load_revision, load_templates
from lxc_dashboard.services.templates.model import Script, TemplateConfig, TemplateContent, TemplateSummary
from lxc_dashboard.services.templates.sources.archive import KINDS, ArchiveKind, export, read
from lxc_dashboard.services.templates.sources.unpacking import MAX_ARCHIVE_BYTES, MAX_UNPACKED_BYTES
from lxc_dashboard.settings import Settings
from tests.e2e.node_side import NodeSide
from tests.e2e.stack import Stack
from tests.integration.web.conftest import Visitor
from tests.integration.web.programs import Program

JSON: dict[str, Any] = {"Accept": "application/json"}
SCRIPT = Script("10-core.sh", "#!/bin/bash\n# Says it\necho one\n", 0, "Says it", enabled=False)


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def content(name: str, script: Script = SCRIPT) -> TemplateContent:
    return TemplateContent(name, TemplateConfig(app=name, tags=("archived",)), scripts=(script,))


async def send(visitor: Visitor, data: bytes, filename: str = "mine.zip") -> httpx.Response:
    return await visitor.post(routes.TEMPLATE_IMPORT, files={"archive": (filename, data)}, headers=JSON)


async def fetch(visitor: Visitor, ids: list[str], kind: str = "zip") -> httpx.Response:
    params = httpx.QueryParams([*(("id", one) for one in ids), ("kind", kind)])
    return await visitor.get(f"{routes.TEMPLATE_EXPORT}?{params}", headers=JSON)


@pytest.fixture
async def rt(settings: Settings) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        yield runtime


async def imported(rt: Runtime) -> dict[str, TemplateSummary]:
    async with rt.db.transaction() as tx:
        return {one.name: one for one in await load_templates(tx) if one.source_name == "imported"}


async def all_of(rt: Runtime, source: str) -> list[TemplateSummary]:
    async with rt.db.transaction() as tx:
        return [one for one in await load_templates(tx) if one.source_name == source]


async def audited(rt: Runtime, subject: str) -> list[tuple[str, str, str]]:
    async with rt.db.transaction() as tx:
        entries = await tx.audit.list(action="template.import")
    return [(entry.userid, entry.result, entry.subject) for entry in entries if entry.subject == subject]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_exported_is_imported_once_and_exported_the_same_again(
    signed_in: Visitor, rt: Runtime, kind: ArchiveKind
) -> None:
    name = f"round-{kind}"
    first = export([content(name), content(f"{name}-2")], kind)
    answer = await send(signed_in, first, f"both.{kind}")
    assert answer.status_code == 200
    assert answer.json() == {"added": [name, f"{name}-2"], "changed": [], "removed": [], "refused": []}
    assert answer.headers["cache-control"] == "no-store"

    there = await imported(rt)
    ids = [str(there[f"{name}-2"].id), str(there[name].id), str(there[name].id)]
    again = await fetch(signed_in, ids, kind)
    assert (again.status_code, again.content) == (200, first)
    assert again.headers["content-disposition"] == f'attachment; filename="templates.{kind}"'
    one = await fetch(signed_in, ids[:1], kind)
    assert one.headers["content-disposition"] == f'attachment; filename="{name}-2.{kind}"'
    assert [found.name for found in read(one.content).found] == [f"{name}-2"]

    same = (await send(signed_in, first)).json()
    assert same == {"added": [], "changed": [], "removed": [], "refused": []}
    assert {found.revision_number for found in (await imported(rt)).values() if found.name.startswith(name)} == {1}


async def test_a_changed_template_gets_a_revision_by_who_imported_it_and_others_stay(
    signed_in: Visitor, rt: Runtime
) -> None:
    await send(signed_in, export([content("kept"), content("grows")], "zip"))
    changed = Script("10-core.sh", "echo two\n", 0)
    answer = await send(signed_in, export([content("grows", changed)], "tar.gz"), "C:\\later.tar.gz")
    assert answer.json()["changed"] == ["grows"]
    there = await imported(rt)
    assert (there["kept"].revision_number, there["grows"].revision_number) == (1, 2)
    assert there["kept"].missing_since is None
    async with rt.db.transaction() as tx:
        revision = await load_revision(tx, there["grows"].revision_id)
    assert (revision.author, revision.note) == ("root@pam", "Imported from later.tar.gz")
    assert [script.content for script in revision.content.scripts] == ["echo two\n"]
    assert ("root@pam", AuditResult.OK.value, "later.tar.gz") in await audited(rt, "later.tar.gz")


async def test_the_shipped_templates_come_back_as_they_are(signed_in: Visitor, rt: Runtime) -> None:
    shipped = await all_of(rt, "shipped")
    answer = await fetch(signed_in, [str(one.id) for one in shipped], "tar.gz")
    assert answer.status_code == 200
    report = (await send(signed_in, answer.content, "shipped.tar.gz")).json()
    assert (report["changed"], report["refused"]) == ([], [])
    again = await imported(rt)
    back = await fetch(signed_in, [str(again[one.name].id) for one in shipped], "tar.gz")
    assert back.content == answer.content


async def test_what_is_refused_is_named_by_member_and_line_and_hides_no_other(signed_in: Visitor, rt: Runtime) -> None:
    files = {
        "repo/good-one/template.conf": b"TEMPLATE_APP=Good\n",
        "repo/bad-one/template.conf": b"TEMPLATE_APP=Bad\nTEMPLATE_CPU=$(nproc)\n",
    }
    report = (await send(signed_in, zipped(files))).json()
    assert report["added"] == ["good-one"]
    (refused,) = report["refused"]
    assert (refused["file"], refused["line"], refused["name"]) == ("repo/bad-one/template.conf", 2, "bad-one")
    assert "good-one" in await imported(rt)


@pytest.mark.parametrize(
    ("data", "member", "why"),
    [
        (zipped({"../evil/template.conf": b""}), "../evil/template.conf", "leads out"),
        (b"no archive", "hostile.bin", "neither a zip nor a tar.gz"),
        (zipped({"README.md": b""}), "hostile.bin", "holds no template"),
    ],
)
async def test_an_archive_that_is_refused_whole_is_told_and_audited(
    signed_in: Visitor, rt: Runtime, data: bytes, member: str, why: str
) -> None:
    before = await imported(rt)
    answer = await send(signed_in, data, "hostile.bin")
    assert answer.status_code == 200
    report = answer.json()
    assert (report["added"], [one["file"] for one in report["refused"]]) == ([], [member])
    assert why in report["refused"][0]["why"]
    assert await imported(rt) == before
    assert ("root@pam", AuditResult.FAILED.value, "hostile.bin") in await audited(rt, "hostile.bin")


async def test_who_may_make_no_containers_imports_nothing_and_may_export(
    stack: Any, signed_in: Visitor, rt: Runtime
) -> None:
    await send(signed_in, export([content("for-viewers")], "zip"))
    viewer = Visitor(stack)
    assert (await viewer.sign_in("viewer@pve")).status_code == 303
    before = await imported(rt)
    answer = await send(viewer, export([content("by-viewer")], "zip"))
    assert answer.status_code == 403
    assert "VM.Allocate" in answer.json()["error"]
    assert await imported(rt) == before
    assert ("viewer@pve", AuditResult.REFUSED.value, "upload") in await audited(rt, "upload")
    assert (await fetch(viewer, [str(before["for-viewers"].id)])).status_code == 200


async def test_nobody_exports_or_downloads_without_a_session(stack: Stack, rt: Runtime) -> None:
    name, visitor = "for-the-signed-in", Visitor(stack)
    await visitor.sign_in()
    await send(visitor, export([content(name)], "zip"))
    found = (await imported(rt))[name]
    paths = (
        f"{routes.TEMPLATE_EXPORT}?id={found.id}",
        f"{routes.TEMPLATE_REVISIONS}/{found.revision_id}/scripts/{SCRIPT.name}",
    )
    program = Program(stack, NodeSide(stack).new_token())
    assert (await program.get(routes.API_CREATIONS)).status_code == 200
    ended = replace(visitor, cookies=dict(visitor.cookies))
    for path in paths:
        assert (await visitor.get(path)).status_code == 200
    await visitor.post(routes.SIGN_OUT)
    for path in paths:
        for refused in (
            await Visitor(stack).get(path, headers=JSON),
            await ended.get(path, headers=JSON),
            await program.get(path, headers=JSON),
        ):
            assert refused.status_code == 401, path
            assert name not in refused.text
            assert SCRIPT.content not in refused.text


@pytest.mark.parametrize("told", [True, False])
async def test_an_upload_above_the_bound_is_refused_by_what_it_says_and_by_what_it_sends(
    signed_in: Visitor, told: bool
) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="archive"; filename="a.zip"\r\n\r\n'
    pieces = MAX_ARCHIVE_BYTES // (1 << 20) + 4

    async def too_much() -> AsyncIterator[bytes]:
        yield head
        for _ in range(pieces):
            yield bytes(1 << 20)

    length = {"Content-Length": str(len(head) + (pieces << 20))} if told else {}
    headers = {**JSON, "Content-Type": "multipart/form-data; boundary=x", **length}
    answer = await signed_in.post(routes.TEMPLATE_IMPORT, content=too_much(), headers=headers)
    assert (answer.status_code, "at most 64 MiB" in answer.json()["error"]) == (422, True)


NO_FORMS: list[dict[str, Any]] = [
    {"data": {"archive": "text"}},
    {"files": {"other": ("a.zip", b"x")}},
    {"files": [("archive", ("a.zip", b"x")), ("archive", ("b.zip", b"x"))]},
    {"content": b"x", "headers": {**JSON, "Content-Type": "multipart/form-data"}},
    {"content": b"x", "headers": {**JSON, "Content-Type": "multipart/form-data; boundary=y"}},
    {"content": b"{}", "headers": {**JSON, "Content-Type": "application/json"}},
    {},
]


@pytest.mark.parametrize("options", NO_FORMS)
async def test_what_is_no_form_with_one_archive_is_refused(signed_in: Visitor, options: dict[str, Any]) -> None:
    answer = await signed_in.post(routes.TEMPLATE_IMPORT, **{"headers": dict(JSON), **options})
    assert (answer.status_code, bool(answer.json()["error"])) == (422, True)


async def test_what_cannot_be_exported_is_said(signed_in: Visitor, rt: Runtime) -> None:
    shipped = (await all_of(rt, "shipped"))[0]
    async with rt.db.transaction() as tx:
        twin = (await load_revision(tx, shipped.revision_id)).content
    await send(signed_in, export([twin], "zip"))
    ids = [str(shipped.id), str((await imported(rt))[shipped.name].id)]
    both = await fetch(signed_in, ids)
    assert (both.status_code, "can contain each name once" in both.json()["error"]) == (422, True)
    assert (await fetch(signed_in, [])).status_code == 422
    assert (await fetch(signed_in, ids, "rar")).status_code == 422
    assert (await fetch(signed_in, ["nothing"])).status_code == 404
    assert (await fetch(signed_in, ["01a20ac9-09fe-7108-a38a-673353762100"])).status_code == 404


async def test_two_imports_of_the_same_at_once_make_it_once(signed_in: Visitor, rt: Runtime) -> None:
    data = export([content("at-once")], "zip")
    answers = await asyncio.gather(*(send(signed_in, data) for _ in range(3)))
    assert sorted(len(answer.json()["added"]) for answer in answers) == [0, 0, 1]
    assert (await imported(rt))["at-once"].revision_number == 1


async def test_what_would_be_too_large_is_refused_before_it_is_read(signed_in: Visitor, rt: Runtime) -> None:
    await send(signed_in, export([content("outgrown")], "zip"))
    outgrown = (await imported(rt))["outgrown"]
    grow = text("UPDATE template_script SET content = repeat('x', :size) WHERE revision_id = :id")
    try:
        async with rt.db.transaction() as tx:
            await tx.session.execute(grow, {"size": MAX_UNPACKED_BYTES + 1, "id": outgrown.revision_id})
        answer = await fetch(signed_in, [str(outgrown.id)])
        assert (answer.status_code, "more than 128 MiB" in answer.json()["error"]) == (422, True)
    finally:
        async with rt.db.transaction() as tx:
            await tx.session.execute(grow, {"size": 1, "id": outgrown.revision_id})
