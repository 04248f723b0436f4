"""Sending exports of templates."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.datastructures import QueryParams
from starlette.responses import StreamingResponse

from lxc_dashboard.api.request import CALLER
from lxc_dashboard.api.templates import Archives
from lxc_dashboard.db.models import new_id
from lxc_dashboard.errors import ServiceUnavailableError
from lxc_dashboard.services.templates.sources import imports
from lxc_dashboard.services.templates.sources.imports import Exported
from lxc_dashboard.state.guard import Caller
from tests.unit.state.test_page_states import someone


def request() -> Any:
    """A request for the export of one template."""
    process: Any = SimpleNamespace(runtime=None)
    scope = {CALLER: Caller(process, someone())}
    return SimpleNamespace(scope=scope, query_params=QueryParams({"id": str(new_id())}))


async def test_an_export_that_is_read_slowly_is_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(range(256)) * 1000

    async def exported(*_: object) -> Exported:
        return Exported("templates.zip", data)

    monkeypatch.setattr(imports, "export_templates", exported)
    references = sys.getrefcount(data)
    answer = await Archives().export(request())
    async with asyncio.timeout(60):
        while sys.getrefcount(data) > references:  # the thread that wrote it may still hold a reference
            await asyncio.sleep(0.01)
    assert isinstance(answer, StreamingResponse)
    assert b"".join([piece async for piece in answer.body_iterator]) == data  # type: ignore[misc] # pieces are bytes here


async def test_a_server_without_room_for_an_export_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    async def exported(*_: object) -> Exported:
        return Exported("templates.zip", b"x")

    monkeypatch.setattr(imports, "export_templates", exported)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(ServiceUnavailableError, match="no disk space"):
        await Archives().export(request())
