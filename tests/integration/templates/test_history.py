"""The history of templates: revisions compared, containers built from them, and the search over all templates."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid4

import pytest

from lxc_dashboard.db.models import (
    CREATE_KIND,
    Container,
    Job,
    JobState,
    PackageManager,
    ProxmoxNode,
    SourceKind,
    Template,
    TemplateSource,
    now,
)
from lxc_dashboard.errors import InvalidInputError, NotFoundError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.jobs.identity import line_of
from lxc_dashboard.services.templates.library import catalog, drafts, revisions
from lxc_dashboard.services.templates.library.diff import ChangeKind
from lxc_dashboard.services.templates.library.line_diff import LineKind
from lxc_dashboard.services.templates.library.revisions import revision_rows
from lxc_dashboard.services.templates.model import PackageEntry, Script, TemplateConfig, TemplateContent
from lxc_dashboard.text import in_words_of
from tests.integration.templates.authors import audited, bucket, content, put, saved, template_of

CUSTOM = PackageManager.CUSTOM
# The templates below that each search finds.
SEARCHES: Final[dict[str, tuple[str, ...]]] = {
    "": ("web", "db"),
    "WEB-SERV": ("web",),
    "ängSTRÖM": ("web",),
    "serves": ("web",),
    "100%": ("web",),
    "0%o": (),
    "of_it": ("web",),
    "ofxit": (),
    "edge": ("web",),
    '"edge"': (),
    "a.b": ("web",),
    "nginx=1": ("web",),
    "https://x": ("web",),
    "command -v": ("web",),
    "psql select": ("db",),
    "psql nginx": (),
    "10-new": ("db",),
    "back\\slash": ("db",),
    "old-word": (),
    "'; drop table template; --": (),
    "\0": (),
    "\ud800": (),
}


async def test_two_revisions_are_compared_in_both_directions(rt: Runtime, ann: Session) -> None:
    draft = await drafts.open_draft(rt, ann, None)
    text = await put(rt, ann, draft.id, "a.conf", b"one\ntwo\n")
    kept = await put(rt, ann, draft.id, "kept", b"\0" * 10)
    await drafts.store(rt, ann, draft.id, replace(content(), files=(text, kept)))
    web = await template_of(rt, await saved(rt, ann, None, replace(content(), files=(text, kept))))
    draft = await drafts.open_draft(rt, ann, web)
    changed = await put(rt, ann, draft.id, "a.conf", b"one\n2\n")
    binary = await put(rt, ann, draft.id, "b", b"\0\1")
    await saved(rt, ann, web, replace(content(cpu=2), files=(changed, binary, kept)))

    found = await revisions.difference(ann, rt.db, web, 1, 2)
    assert [(change.field, change.old, change.new) for change in found.config] == [("cpu", "1", "2")]
    assert [(change.name, change.kind, change.binary) for change in found.files] == [
        ("a.conf", ChangeKind.CHANGED, False),
        ("b", ChangeKind.ADDED, True),
    ]
    changes = [(line.kind, line.text) for line in found.files[0].text.lines if line.kind is not LineKind.SAME]
    assert changes == [(LineKind.REMOVED, "two"), (LineKind.ADDED, "2")]
    assert (found.files[1].new_size, found.files[1].new_sha256) == (2, binary.sha256)
    back = await revisions.difference(ann, rt.db, web, 2, 1)
    assert [(change.name, change.kind) for change in back.files] == [
        ("a.conf", ChangeKind.CHANGED),
        ("b", ChangeKind.REMOVED),
    ]
    assert (await revisions.difference(ann, rt.db, web, 2, 2)).empty
    with pytest.raises(NotFoundError):
        await revisions.difference(ann, rt.db, web, 1, 3)


async def built(
    rt: Runtime,
    session: Session,
    vmid: int,
    revision_id: UUID,
    name: str = "old-name",
    *,
    gone: bool = False,
    marked: bool = True,
) -> UUID:
    """Store a container that a job built; return its id. ``marked``: its notes in PVE hold the job's marker."""
    container = Container(
        endpoint_id=session.endpoint_id,
        vmid=vmid,
        node="elsewhere",
        hostname=name,
        template_revision_id=revision_id,
        deleted_at=now() if gone else None,
    )
    async with rt.db.transaction() as tx:
        container = await tx.containers.reserve(container)
        job = await tx.jobs.add(
            Job.about(
                container,
                CREATE_KIND,
                step="creating",
                userid=session.userid,
                state=JobState.DONE.value,
                checkpoint={"done": ["create.container"]},
                finished_at=now(),
            )
        )
    client = await acting.client(rt, session)
    guest = await client.cluster.find_guest(vmid)
    if guest is not None and marked:
        await client.lxc.set_config(guest.node, vmid, {"description": line_of(job.id)})
    return container.id


async def test_containers_of_a_template_are_those_that_pve_lists_for_the_user(rt: Runtime, ann: Session) -> None:
    first = await saved(rt, ann, None, content())
    web = await template_of(rt, first)
    second = await saved(rt, ann, web, content(cpu=2))
    other = await saved(rt, ann, None, content("other"))
    guests = sorted(
        (guest for guest in await (await acting.client(rt, ann)).cluster.resources("vm") if guest.type == "lxc"),
        key=lambda guest: guest.vmid,
    )
    await built(rt, ann, guests[1].vmid, second.id)
    await built(rt, ann, guests[0].vmid, first.id, guests[0].name)
    await built(rt, ann, guests[2].vmid, other.id)
    await built(rt, ann, guests[3].vmid, second.id, gone=True)
    found = await catalog.containers(rt, ann, web)
    assert [(c.vmid, c.hostname, c.node, c.status, c.revision_number, c.older) for c in found] == [
        (guest.vmid, guest.name, guest.node, guest.status, number, older)
        for guest, number, older in zip(guests, (1, 2), (True, False), strict=False)
    ]
    assert [c.built_as for c in found] == ["", "old-name"], "it was renamed"
    assert await catalog.counts(ann, rt.db) == {web: 2, await template_of(rt, other): 1}


async def test_a_guest_that_was_given_the_vmid_again_is_no_container_of_the_template(rt: Runtime, ann: Session) -> None:
    revision = await saved(rt, ann, None, content())
    web = await template_of(rt, revision)
    client = await acting.client(rt, ann)
    guests = sorted((each for each in await client.cluster.resources("vm") if each.type == "lxc"), key=lambda g: g.vmid)
    unmarked = await built(rt, ann, guests[0].vmid, revision.id, marked=False)
    replaced = await built(rt, ann, guests[1].vmid, revision.id, marked=False)
    await client.lxc.set_config(guests[1].node, guests[1].vmid, {"description": line_of(uuid4())})
    absent = await built(rt, ann, 999_999, revision.id)
    assert await catalog.counts(ann, rt.db) == {web: 3}
    assert await catalog.containers(rt, ann, web) == []
    assert await catalog.counts(ann, rt.db) == {web: 1}, "what PVE has no more is not counted, once it was looked at"
    async with rt.db.transaction() as tx:
        gone = {each: (await tx.containers.get(each)).deleted_at is not None for each in (unmarked, replaced, absent)}
        (event,) = await tx.containers.events(absent)
    assert gone == {unmarked: False, replaced: True, absent: True}
    assert (event.kind, in_words_of(event.detail)) == ("gone", "Deleted in PVE")


async def test_containers_of_another_endpoint_are_not_counted(rt: Runtime, ann: Session) -> None:
    revision = await saved(rt, ann, None, content())
    elsewhere = ProxmoxNode(name="other", host="192.0.2.1", port=8006)
    async with rt.db.transaction() as tx:
        await tx.nodes.add(elsewhere)
        await tx.containers.reserve(
            Container(endpoint_id=elsewhere.id, vmid=101, node="pve1", hostname="web", template_revision_id=revision.id)
        )
    assert await catalog.counts(ann, rt.db) == {}
    assert await catalog.containers(rt, ann, await template_of(rt, revision)) == []
    with pytest.raises(NotFoundError):
        await catalog.containers(rt, ann, uuid4())


async def test_the_search_finds_what_current_revisions_hold(rt: Runtime, ann: Session) -> None:
    web = await template_of(
        rt,
        await saved(
            rt,
            ann,
            None,
            replace(
                content("web-server", app="Ängström", description="Serves 100% of_it", tags=("edge", "a.b")),
                buckets=(
                    bucket("base", PackageManager.APT, PackageEntry("nginx=1.26")),
                    bucket("own", CUSTOM, PackageEntry("tool", "command -v tool", "curl -f https://x | bash")),
                ),
            ),
        ),
    )
    old = content("db", scripts={"10-old.sh": "old-word", "20-Final.sh": "x"})
    db = await template_of(rt, await saved(rt, ann, None, old))
    await saved(rt, ann, db, content("db", scripts={"10-new.sh": "psql -c 'select 1'\nback\\slash"}))
    ids = {"web": web, "db": db}
    for query, expected in SEARCHES.items():
        assert await catalog.search(ann, rt.db, query) == {ids[name] for name in expected}, query
    with pytest.raises(InvalidInputError):
        await catalog.search(ann, rt.db, "x" * 201)
    assert all(entry.action != "template.search" for entry in await audited(rt))


async def test_a_thousand_templates_are_searched_while_one_types(rt: Runtime, ann: Session) -> None:
    source = TemplateSource(name="lab", kind=SourceKind.FOLDER.value, location="/x")
    templates = [Template(source_id=source.id, name=f"t{number}") for number in range(1_000)]
    contents = [
        TemplateContent(
            template.name,
            TemplateConfig(app="x"),
            tuple(Script(f"{place}.sh", f"echo {number} {place}\n" * 100, place) for place in range(5)),
        )
        for number, template in enumerate(templates)
    ]
    async with rt.db.transaction() as tx:
        tx.session.add(source)
        await tx.session.flush()
        await tx.templates.add(templates)
        rows = zip(templates, contents, strict=True)
        await tx.templates.add_revisions([revision_rows(t.id, 1, c, author="x", note="") for t, c in rows])
    begun = time.monotonic()
    assert await catalog.search(ann, rt.db, "echo 777") == {templates[777].id}
    assert time.monotonic() - begun < 10


async def test_templates_are_found_by_what_tells_them_apart_some_at_a_time(rt: Runtime, ann: Session) -> None:
    for name, about in (("web-b", "Serves"), ("web-a", ""), ("db", "100% of_it")):
        described = content(name, description=about, tags=("edge",) if name == "db" else ())
        await saved(rt, ann, None, replace(described, buckets=(bucket("base", PackageManager.APT),)))
    for query, expected in (
        ("WEB", ["web-a", "web-b"]),
        ("web serves", ["web-b"]),
        ("edge", ["db"]),
        ("0%", ["db"]),
        ("of%it", []),
        ("base", []),
        ("\0", []),
    ):
        assert [found.name for found in await catalog.find_named(ann, rt.db, query, 8)] == expected, query
    assert [found.name for found in await catalog.find_named(ann, rt.db, "web", 1)] == ["web-a"]
    async with rt.db.transaction() as tx:
        assert {found.source for found in await catalog.find_named(ann, rt.db, "web", 8)} <= {
            source.name for source in await tx.templates.sources()
        }
