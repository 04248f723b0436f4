"""Files of templates over HTTP: archives out and in, files of drafts, and scripts and files of stored revisions."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import quote
from uuid import UUID

import msgspec
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from lxc_dashboard import routes, text
from lxc_dashboard.api.middleware.address import headers_of
from lxc_dashboard.api.middleware.headers import NO_STORE
from lxc_dashboard.api.request import BODY_BYTES, caller_of, client_of, parse_id, read_body, session_and_id, session_of
from lxc_dashboard.errors import InvalidInputError, ServiceUnavailableError
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.format.files import MAX_FILE_BYTES
from lxc_dashboard.services.templates.library import catalog, drafts
from lxc_dashboard.services.templates.sources import imports, webhooks
from lxc_dashboard.services.templates.sources.archive import KINDS
from lxc_dashboard.services.templates.sources.unpacking import MAX_ARCHIVE_BYTES

if TYPE_CHECKING:
    from starlette.types import Message

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.templates.model import DiscoveryReport

FIELD: Final = "archive"
CHUNK_BYTES: Final = 64 << 10
# The multipart framing around the one file.
FORM_BYTES: Final = 64 << 10
# A client that is cut off while it sends does not read the error, so some of an oversized body is read and dropped.
DRAINED_ARCHIVE_BYTES: Final = 128 << 20
DRAINED_FILE_BYTES: Final = 4 * MAX_FILE_BYTES
ARCHIVE_TYPES: Final = {"zip": "application/zip", "tar.gz": "application/gzip"}
ARCHIVE_TOO_LARGE: Final = text.ARCHIVE_TOO_LARGE.format(mib=MAX_ARCHIVE_BYTES >> 20)
FILE_TOO_LARGE: Final = text.FILE_AT_MOST.format(mib=MAX_FILE_BYTES >> 20)


def template_routes() -> list[Route]:
    archives = Archives()
    draft = f"{routes.DRAFTS}/{{draft_id}}/files"
    revision = f"{routes.TEMPLATE_REVISIONS}/{{revision_id}}"
    return [
        Route(routes.TEMPLATE_EXPORT, archives.export, methods=["GET"]),
        Route(routes.TEMPLATE_IMPORT, archives.upload, methods=["POST"]),
        Route(draft, put_draft_file, methods=["POST"]),
        Route(f"{draft}/{{sha256}}", read_draft_file, methods=["GET"]),
        Route(f"{revision}/scripts/{{name}}", read_script, methods=["GET"]),
        Route(f"{revision}/files/{{name}}", read_file, methods=["GET"]),
    ]


class Archives:
    """Packs and unpacks one archive at a time in a process: each may take up to its limit in memory."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(1)

    async def export(self, request: Request) -> Response:
        """``?id=&id=&kind=zip|tar.gz``: the archive as an attachment."""
        rt, session = session_of(request)
        kind = request.query_params.get("kind", KINDS[0])
        if kind not in KINDS:
            raise InvalidInputError({"kind": text.ARCHIVE_KIND_UNKNOWN.format(kinds=", ".join(KINDS))})
        ids = [parse_id(value) for value in request.query_params.getlist("id")]
        async with self._gate:
            exported = await imports.export_templates(rt, session, ids, kind)
            file = await asyncio.to_thread(_write_temporary, exported.data)
        headers = {
            **NO_STORE,
            "Content-Disposition": f'attachment; filename="{exported.filename}"',
            "Content-Length": str(len(exported.data)),
        }
        return StreamingResponse(_chunks(file), media_type=ARCHIVE_TYPES[kind], headers=headers)

    async def upload(self, request: Request) -> Response:
        """Form field ``archive``, a file: ``{added, changed, removed, refused: [{file, line, why, name}]}``.

        Checks the user's privileges before it reads the body.
        """
        rt, session = session_of(request)
        try:
            async with AsyncExitStack() as stack:
                async with rights.authored(rt, session, imports.ACTION, "upload"):
                    form = await stack.enter_async_context((await _limited(request)).form(max_files=1, max_fields=1))
                    upload = _upload_of(form.get(FIELD))
                report = await self._import(rt, session, upload)
        except (MultiPartException, HTTPException) as error:
            raise InvalidInputError({FIELD: text.ARCHIVE_FORM_INVALID}) from error
        except ClientDisconnect:
            return Response(status_code=400)
        refused = [{**refusal.to_json(), "why": text.with_remedy(refusal.why)} for refusal in report.refused]
        return _json({**report.to_json(), "refused": refused})

    async def _import(self, rt: Runtime, session: Session, upload: UploadFile) -> DiscoveryReport:
        async with self._gate:
            return await imports.import_templates(rt, session, await upload.read(), upload.filename or "")


def _upload_of(value: Any) -> UploadFile:
    if not isinstance(value, UploadFile):
        raise InvalidInputError({FIELD: text.FIELD_MISSING}, text.ARCHIVE_MISSING)
    if (value.size or 0) > MAX_ARCHIVE_BYTES:
        raise InvalidInputError({FIELD: text.ARCHIVE_FIELD_TOO_LARGE}, ARCHIVE_TOO_LARGE)
    return value


async def _limited(request: Request) -> Request:
    """The same request with a limited body. Reading more than an archive may have raises ``InvalidInputError``."""
    limit = MAX_ARCHIVE_BYTES + FORM_BYTES
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        await _drain_and_refuse(request)
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > limit:
            await _drain_and_refuse(request)
        return message

    return Request(request.scope, receive)


async def _drain_and_refuse(request: Request) -> NoReturn:
    drained, more = 0, True
    while more and drained < DRAINED_ARCHIVE_BYTES:
        message = await request.receive()
        drained += len(message.get("body", b""))
        more = message.get("more_body", False)
    raise InvalidInputError({FIELD: text.ARCHIVE_FIELD_TOO_LARGE}, ARCHIVE_TOO_LARGE)


def _write_temporary(data: bytes) -> IO[bytes]:
    """Write an unnamed temporary file and rewind it. A slow client then holds no memory."""
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - its reader closes it
        file.write(data)
        file.seek(0)
    except OSError as error:
        raise ServiceUnavailableError(text.ARCHIVE_NOT_KEPT, detail=str(error)) from error
    return file


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


async def put_draft_file(request: Request) -> Response:
    """The body is the file: ``{sha256, size}``. Checks the user's privileges before it reads the body."""
    rt, session, draft_id = session_and_id(request, "draft_id")
    await rights.require_author(rt, session)
    data = await _file_of(request)
    return _json({"sha256": await drafts.put_file(rt, session, draft_id, data), "size": len(data)})


async def read_draft_file(request: Request) -> Response:
    """An attachment, so that no browser renders it."""
    rt, session, draft_id = session_and_id(request, "draft_id")
    data = await drafts.read_file(rt, session, draft_id, request.path_params["sha256"])
    return _attachment("", data)


async def _file_of(request: Request) -> bytes:
    """Raises ``InvalidInputError`` for a body over ``MAX_FILE_BYTES``."""
    received = bytearray()
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= MAX_FILE_BYTES:
            received += chunk
        elif length > DRAINED_FILE_BYTES:
            break
    if length > MAX_FILE_BYTES:
        raise InvalidInputError({"content": FILE_TOO_LARGE}, FILE_TOO_LARGE)
    return bytes(received)


async def read_script(request: Request) -> Response:
    rt, session, revision_id = session_and_id(request, "revision_id")
    script = await catalog.get_script(session, rt.db, revision_id, request.path_params["name"])
    return _attachment(script.name, script.content.encode())


async def read_file(request: Request) -> Response:
    rt, session, revision_id = session_and_id(request, "revision_id")
    file = await catalog.get_file(session, rt.db, revision_id, request.path_params["name"])
    return _attachment(file.name, file.content)


def _attachment(name: str, content: bytes) -> Response:
    """A download that no browser renders or runs."""
    filename = f"; filename*=UTF-8''{quote(name, safe='')}" if name else ""
    headers = {**NO_STORE, "X-Content-Type-Options": "nosniff", "Content-Disposition": f"attachment{filename}"}
    return Response(content, media_type="application/octet-stream", headers=headers)


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json", headers=NO_STORE)


def webhook_routes() -> list[BaseRoute]:
    return [Route(f"{routes.WEBHOOKS}/templates/{{source_id}}", template_source, methods=["POST"])]


async def template_source(request: Request) -> Response:
    """``POST /api/webhooks/templates/{source_id}``: 202 if a discovery follows, 401 without a valid signature, 413 above 1 MiB."""
    caller = caller_of(request)
    address = client_of(request).address
    await webhooks.limit(caller.runtime, address)
    body = await read_body(request)
    if body is None:
        return _problem(413, text.API_BODY_TOO_LARGE.format(mib=BODY_BYTES >> 20))
    try:
        source_id = UUID(request.path_params["source_id"])
    except ValueError:
        return _refused()
    if not await webhooks.accept(caller.runtime, source_id, headers_of(request.scope), body, address):
        return _refused()
    return JSONResponse({"accepted": True}, status_code=202, headers=NO_STORE)


def _refused() -> Response:
    return _problem(401, text.WEBHOOK_REFUSED)


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status, headers=NO_STORE)
