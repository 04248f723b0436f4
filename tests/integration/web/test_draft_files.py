"""A draft's files over HTTP: for the draft's user only, limited in size, and never shown as a page."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from lxc_dashboard import routes
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import sessions
from lxc_dashboard.services.templates.format.files import MAX_FILE_BYTES
from lxc_dashboard.services.templates.library import drafts
from lxc_dashboard.settings import Settings
from tests.e2e.stack import Stack
from tests.integration.web.conftest import Visitor

JSON: dict[str, Any] = {"Accept": "application/json"}
PAGE = b"<script>alert(1)</script>\0\xff"


@pytest.fixture
async def rt(settings: Settings) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        yield runtime


@pytest.fixture
async def draft_id(rt: Runtime, signed_in: Visitor) -> UUID:
    session = await sessions.find(rt, signed_in.cookie)
    assert session is not None
    return (await drafts.open_draft(rt, session, None)).id


async def test_a_file_comes_back_as_it_was_sent_and_is_never_a_page(signed_in: Visitor, draft_id: UUID) -> None:
    sent = await signed_in.post(routes.draft_files(draft_id), content=PAGE, headers=JSON)
    sha256 = hashlib.sha256(PAGE).hexdigest()
    assert (sent.status_code, sent.json()) == (200, {"sha256": sha256, "size": len(PAGE)})
    read = await signed_in.get(f"{routes.draft_files(draft_id)}/{sha256}", headers=JSON)
    assert read.content == PAGE
    assert read.headers["content-type"] == "application/octet-stream"
    assert read.headers["content-disposition"] == "attachment"
    assert read.headers["x-content-type-options"] == "nosniff"
    assert read.headers["cache-control"] == "no-store"


async def test_a_file_that_is_too_long_is_refused_told_and_not_kept(signed_in: Visitor, draft_id: UUID) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range((MAX_FILE_BYTES >> 20) + 1):
            yield bytes(1 << 20)

    told = await signed_in.post(routes.draft_files(draft_id), content=bytes(MAX_FILE_BYTES + 1), headers=JSON)
    untold = await signed_in.post(routes.draft_files(draft_id), content=endless(), headers=JSON)
    for answer in (told, untold):
        assert answer.status_code == 422
        assert "16 MiB" in answer.json()["error"]


async def test_files_of_others_drafts_of_nobody_and_without_the_right_are_refused(
    stack: Stack, visitor: Visitor, signed_in: Visitor, draft_id: UUID
) -> None:
    place = routes.draft_files(draft_id)
    sha256 = (await signed_in.post(place, content=b"mine", headers=JSON)).json()["sha256"]
    other, viewer = Visitor(stack), Visitor(stack)
    await other.sign_in("operator@pve")
    await viewer.sign_in("viewer@pve")
    expected = ((visitor, 401, 401), (other, 404, 404), (viewer, 403, 404))
    for who, post, get in expected:
        assert (await who.post(place, content=b"theirs", headers=JSON)).status_code == post
        assert (await who.get(f"{place}/{sha256}", headers=JSON)).status_code == get
    for wrong in (routes.draft_files(uuid4()), routes.draft_files("none")):
        assert (await signed_in.post(wrong, content=b"x", headers=JSON)).status_code == 404
    foreign = await signed_in.ask("POST", place, origin="http://elsewhere.invalid", content=b"x", headers=JSON)
    assert foreign.status_code == 403
