"""Templates as archives over HTTP: chosen ones out, and what an archive holds in."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn
from uuid import UUID

import msgspec
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from lxc_dashboard import routes, text
from lxc_dashboard.api.middleware.access import caller_of
from lxc_dashboard.errors import InvalidInputError, NotFoundError, ServiceUnavailableError, SessionExpiredError
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.sources import imports
from lxc_dashboard.services.templates.sources.archive import KINDS
from lxc_dashboard.services.templates.sources.unpacking import MAX_ARCHIVE_BYTES

if TYPE_CHECKING:
    from starlette.types import Message

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.templates.summaries import DiscoveryReport

NO_STORE: Final = {"Cache-Control": "no-store"}
FIELD: Final = "archive"
PIECE_BYTES: Final = 64 << 10
# What a form adds around its one file.
FORM_BYTES: Final = 64 << 10
PASSED_OVER_BYTES: Final = 128 << 20
TYPES: Final = {"zip": "application/zip", "tar.gz": "application/gzip"}
TOO_LARGE: Final = text.ARCHIVE_TOO_LARGE.format(mib=MAX_ARCHIVE_BYTES >> 20)


def archive_routes() -> list[BaseRoute]:
    archives = Archives()
    return [
        Route(routes.TEMPLATE_EXPORT, archives.export, methods=["GET"]),
        Route(routes.TEMPLATE_IMPORT, archives.take, methods=["POST"]),
    ]


class Archives:
    """Archives are packed and unpacked one at a time in a process: each may take its bounds in memory."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(1)

    async def export(self, request: Request) -> Response:
        """``?id=&id=&kind=zip|tar.gz``: the archive, to be saved."""
        rt, session = _asked(request)
        kind = request.query_params.get("kind", KINDS[0])
        if kind not in KINDS:
            raise InvalidInputError({"kind": f"is one of {', '.join(KINDS)}"})
        ids = [_id(value) for value in request.query_params.getlist("id")]
        async with self._gate:
            exported = await imports.export_templates(rt, session, ids, kind)
            file = await asyncio.to_thread(_kept, exported.data)
        headers = {
            **NO_STORE,
            "Content-Disposition": f'attachment; filename="{exported.filename}"',
            "Content-Length": str(len(exported.data)),
        }
        return StreamingResponse(_pieces(file), media_type=TYPES[kind], headers=headers)

    async def take(self, request: Request) -> Response:
        """Form field ``archive``, a file: ``{added, changed, removed, refused: [{file, line, why, name}]}``.

        Nothing is read from who may not change templates, and nothing beyond the bound.
        """
        rt, session = _asked(request)
        try:
            async with AsyncExitStack() as kept:
                async with rights.authored(rt, session, imports.ACTION, "upload"):
                    form = await kept.enter_async_context((await _bounded(request)).form(max_files=1, max_fields=1))
                    upload = _upload(form.get(FIELD))
                report = await self._import(rt, session, upload)
        except (MultiPartException, HTTPException) as error:
            raise InvalidInputError({FIELD: "is no form with one file"}) from error
        except ClientDisconnect:
            return Response(status_code=400)
        return Response(msgspec.json.encode(report.to_json()), media_type="application/json", headers=NO_STORE)

    async def _import(self, rt: Runtime, session: Session, upload: UploadFile) -> DiscoveryReport:
        async with self._gate:
            return await imports.import_templates(rt, session, await upload.read(), upload.filename or "")


def _upload(given: Any) -> UploadFile:
    if not isinstance(given, UploadFile):
        raise InvalidInputError({FIELD: "is missing"}, text.ARCHIVE_MISSING)
    if (given.size or 0) > MAX_ARCHIVE_BYTES:
        raise InvalidInputError({FIELD: "is too large"}, TOO_LARGE)
    return given


async def _bounded(request: Request) -> Request:
    """The same request, whose body ends in ``InvalidInputError`` where it goes beyond what an archive may be."""
    most = MAX_ARCHIVE_BYTES + FORM_BYTES
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most:
        await _refuse(request)
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > most:
            await _refuse(request)
        return message

    return Request(request.scope, receive)


async def _refuse(request: Request) -> NoReturn:
    """Passes over some of the rest first: who is cut off while sending does not read the answer."""
    passed, more = 0, True
    while more and passed < PASSED_OVER_BYTES:
        message = await request.receive()
        passed += len(message.get("body", b""))
        more = message.get("more_body", False)
    raise InvalidInputError({FIELD: "is too large"}, TOO_LARGE)


def _kept(data: bytes) -> IO[bytes]:
    """In a file that nobody else can open, and that goes with its last reader: who reads slowly holds no memory."""
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who reads it
        file.write(data)
        file.seek(0)
    except OSError as error:
        raise ServiceUnavailableError(text.ARCHIVE_NOT_KEPT, detail=str(error)) from error
    return file


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise NotFoundError from None


def _asked(request: Request) -> tuple[Runtime, Session]:
    caller = caller_of(request)
    if caller.session is None:
        raise SessionExpiredError
    return caller.runtime, caller.session
