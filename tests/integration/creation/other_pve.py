"""Another kind of PVE: a server that forwards to the sandbox and changes its answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from pve_sandbox.certificate import Certificate, node_certificate
from pve_sandbox.node import SandboxNode

OK = 200
HOP_HEADERS = ("host", "connection", "content-length", "transfer-encoding")


@dataclass
class Answer:
    """The sandbox's answer to ``method path``, to change in place. ``path``: below ``/api2/json``, unquoted."""

    method: str
    path: str
    status: int
    reason: str
    body: Any


Change = Callable[[Answer], None]


@dataclass
class OtherPve:
    """``changes``: applied to each answer in order. ``is_old``: HTTP/1.0 without chunks, closed after each answer."""

    sandbox: SandboxNode
    certificate: Certificate
    changes: list[Change] = field(default_factory=list)
    is_old: bool = False
    port: int = 0
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                await self._answer(head, reader, writer)
                if self.is_old:
                    writer.close()
                    return

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        length = next((int(value) for name, value in headers.items() if name.lower() == "content-length"), 0)
        sent = await reader.readexactly(length)
        headers = {name: value for name, value in headers.items() if name.lower() not in HOP_HEADERS}
        url = f"https://127.0.0.1:{self.sandbox.api_port}{target}"
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=60) as client:  # noqa: S501 - the sandbox's certificate
            said = await client.request(method, url, headers=headers, content=sent or None)
        path = unquote(target).removeprefix("/api2/json")
        self.asked.append(f"{method} {path}")
        body = json.loads(said.content) if said.content else None
        answer = Answer(method, path.partition("?")[0], said.status_code, said.reason_phrase, body)
        for change in self.changes:
            change(answer)
        writer.write(self._written(answer))
        await writer.drain()

    def _written(self, answer: Answer) -> bytes:
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        kind = "\r\nContent-Type: application/json;charset=UTF-8" if body else ""
        if self.is_old:
            return f"HTTP/1.0 {answer.status} {answer.reason}{kind}\r\n\r\n".encode() + body
        head = f"HTTP/1.1 {answer.status} {answer.reason}{kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        chunks = [body[at : at + 1000] for at in range(0, len(body), 1000)]
        return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@asynccontextmanager
async def other_pve(sandbox: SandboxNode, folder: Path) -> AsyncIterator[OtherPve]:
    """Serve on ``port`` until the block ends."""
    other = OtherPve(sandbox, node_certificate(folder))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(other.certificate.cert_file, other.certificate.key_file)
    open_now: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(other.serve(reader, writer))
        open_now.add(task)
        task.add_done_callback(open_now.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    server = await asyncio.start_server(begin, "localhost", 0, ssl=context, limit=1 << 20)
    other.port = server.sockets[0].getsockname()[1]
    try:
        yield other
    finally:
        server.close()
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)


# ------------------------------------------------------------------ changes


def written_otherwise(answer: Answer) -> None:
    """Write numbers as text, flags as booleans and empty text as null, reverse lists, add unknown keys and entries."""
    if answer.status != OK or not isinstance(answer.body, dict) or answer.path == "/access/permissions":
        return
    data = answer.body.get("data")
    if isinstance(data, list):
        data = [_otherwise(value) for value in data] + _MORE.get(answer.path, [])
        answer.body["data"] = (data if answer.path.endswith("/log") else data[::-1]) or None
    elif isinstance(data, dict):
        answer.body["data"] = _otherwise(data)


def _otherwise(value: Any) -> Any:
    if isinstance(value, dict):
        return {"of-tomorrow": {"deep": [1, None]}} | {key: _otherwise(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [_otherwise(each) for each in value]
    if value == "":
        return None
    if value in (0, 1):
        return bool(value)
    return str(value) if isinstance(value, int | float) else value


_MORE: dict[str, list[dict[str, Any]]] = {
    "/cluster/resources": [
        {"type": "sdn", "id": "sdn/pve1/localnetwork", "node": "pve1", "sdn": "localnetwork", "status": "ok"},
        {"type": "pool", "id": "/pool/lab", "pool": "lab"},
        {"type": "storage", "id": "storage/pve1/nfs", "node": "pve1", "storage": "nfs", "shared": 1},
        {"type": "node", "id": "node/Pve-2", "node": "Pve-2", "status": "offline", "cpu": None},
        {"type": "openvz", "id": "openvz/1", "vmid": "1"},
    ],
    "/nodes": [{"node": "Pve-2", "status": "offline", "type": "node", "id": "node/Pve-2"}],
}


def ends_late(polls: int) -> Change:
    """A stopped task lacks its exitstatus in the first ``polls`` answers."""
    asked: dict[str, int] = {}

    def change(answer: Answer) -> None:
        if answer.path.startswith("/nodes/pve1/tasks/") and answer.path.endswith("/status"):
            data = answer.body["data"]
            if data.get("status") == "stopped" and asked.setdefault(answer.path, 0) < polls:
                asked[answer.path] += 1
                del data["exitstatus"]

    return change


def refused(path_end: str, status: int, reason: str, method: str = "GET") -> Change:
    """Answer calls whose path ends with ``path_end`` with a status and an empty body."""

    def change(answer: Answer) -> None:
        if answer.method == method and answer.path.endswith(path_end):
            answer.status, answer.reason, answer.body = status, reason, None

    return change


def without(path: str, *keys: str) -> Change:
    """Remove these keys from the object or the entries of the list at ``path``."""

    def change(answer: Answer) -> None:
        if answer.path == path and answer.status == OK:
            data = answer.body["data"]
            for entry in data if isinstance(data, list) else [data or {}]:
                for key in keys:
                    entry.pop(key, None)

    return change
