"""A raw HTTPS server that sends exactly the given bytes, and the exchanges recorded from PVE."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lxc_dashboard.proxmox import Endpoint
from lxc_dashboard.proxmox.endpoint import fingerprint_of
from pve_sandbox.certificate import node_certificate

FIXTURES = Path(__file__).parents[2] / "fixtures" / "pve"
T = TypeVar("T")
API = "/api2/json"
UPID = "UPID:pve1:000002C1:00067CE3:6B04B4F4:vzcreate:120:root@pam:"


@dataclass(frozen=True)
class Identity:
    """A server's certificate and its CA. Made without key identifiers, as PVE makes its own."""

    chain_file: Path
    ca_pem: str
    ca_file: Path
    fingerprint: str


def make_identity(folder: Path) -> Identity:
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "PVE Cluster Manager CA of the tests")])
    ca = (
        _certificate(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")])
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pve1")])
    leaf = (
        _certificate(leaf_name, ca_name, key.public_key())
        .add_extension(names, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    chain = leaf.public_bytes(pem) + key.private_bytes(pem, private, serialization.NoEncryption())
    (folder / "chain.pem").write_bytes(chain)
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    return Identity(
        folder / "chain.pem",
        ca.public_bytes(pem).decode(),
        folder / "ca.pem",
        fingerprint_of(leaf.public_bytes(serialization.Encoding.DER)),
    )


def strict_identity(folder: Path) -> Identity:
    """An identity with all extensions that other clients require from Python 3.13 on."""
    made = node_certificate(folder)
    chain_file = folder / "chain.pem"
    chain_file.write_bytes(made.cert_file.read_bytes() + made.key_file.read_bytes())
    return Identity(chain_file, made.ca_file.read_text(), made.ca_file, made.fingerprint)


def _certificate(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


@dataclass(frozen=True)
class Seen:
    """A request as received. ``path`` is below ``/api2/json``, still quoted."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    form: dict[str, str]
    body: bytes

    @property
    def call(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    status: str = "200 OK"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json;charset=UTF-8"),)


HANG_UP = Answer("")
"""The connection is closed instead of an answer."""


def data(value: Any, **more: Any) -> Answer:
    return Answer(body=json.dumps({"data": value, **more}).encode())


def refusal(status: str, message: str | None = None, errors: dict[str, str] | None = None) -> Answer:
    if message is None:
        return Answer(status, headers=())
    return Answer(status, json.dumps({"data": None, "message": message, "errors": errors}).encode())


Respond = Callable[[Seen], "Answer | Awaitable[Answer]"]


@dataclass
class RawServer:
    """Answers each request with the result of ``respond`` and records it in ``seen``. For ``async with``."""

    identity: Identity
    respond: Respond
    seen: list[Seen] = field(default_factory=list)
    port: int = 0
    host: str = "127.0.0.1"
    connections: int = 0
    _server: asyncio.Server | None = None
    _open: dict[asyncio.StreamWriter, asyncio.Task[Any] | None] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.identity.chain_file)
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._server is not None:
            self._server.close()
        await self.hang_up_all()

    async def hang_up_all(self) -> None:
        """Close every connection, as PVE does after a long idle time."""
        serving = [task for task in self._open.values() if task is not None]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.port, name="pve1", fingerprint=self.identity.fingerprint)

    def writers(self) -> list[asyncio.StreamWriter]:
        return list(self._open)

    def calls(self) -> list[str]:
        return [seen.call for seen in self.seen]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open[writer] = asyncio.current_task()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._exchange(reader, writer):
                await writer.drain()
        writer.transport.abort()
        await asyncio.sleep(0)
        del self._open[writer]

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        seen = await _read(reader)
        self.seen.append(seen)
        answer = self.respond(seen)
        if not isinstance(answer, Answer):
            answer = await answer
        if not answer.status:
            return False
        headers = {"Content-Length": str(len(answer.body))} | dict(answer.headers)
        lines = [f"HTTP/1.1 {answer.status}", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*lines, "\r\n"]).encode() + answer.body)
        return True


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    request, *lines = head.rstrip().split("\r\n")
    method, target, _ = request.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return Seen(method, parts.path.removeprefix(API), query, headers, form, body)


class Exchange(msgspec.Struct, frozen=True):
    """One recorded exchange: the request and PVE's response."""

    name: str
    method: str
    path: str
    status_line: str
    query: dict[str, str] = {}
    form: dict[str, str] = {}
    body_json: Any = msgspec.UNSET
    body_text: str = ""
    headers: dict[str, str] = {}
    """Beyond Content-Type, which is PVE's own for JSON and is left out for text."""

    @property
    def status(self) -> int:
        return int(self.status_line.split()[1])

    @property
    def reason(self) -> str:
        return self.status_line.split(" ", 2)[2]

    @property
    def data(self) -> Any:
        return self.body_json["data"]

    @property
    def answer(self) -> Answer:
        status = self.status_line.removeprefix("HTTP/1.1 ")
        headers = tuple(self.headers.items())
        if self.body_json is msgspec.UNSET:
            return Answer(status, self.body_text.encode(), headers)
        return Answer(status, json.dumps(self.body_json).encode(), (*Answer().headers, *headers))


def recorded() -> Iterator[Exchange]:
    for file in sorted(FIXTURES.glob("*.json")):
        yield from msgspec.json.decode(file.read_bytes(), type=list[Exchange])


RECORDED = {exchange.name: exchange for exchange in recorded()}


@contextlib.asynccontextmanager
async def replaying(identity: Identity, *names: str) -> AsyncIterator[RawServer]:
    """Serve the recorded exchanges ``names`` by method and path, and 501 for everything else."""
    answers = {f"{RECORDED[name].method} {unquote(RECORDED[name].path)}": RECORDED[name].answer for name in names}
    unknown = refusal("501 Method not implemented", "not recorded")
    async with RawServer(identity, lambda seen: answers.get(unquote(seen.call), unknown)) as server:
        yield server


async def check_all(cases: Iterable[T], check: Callable[[T], Awaitable[None]]) -> None:
    """Run ``check`` on each case and report all failures together."""
    failures = []
    for case in cases:
        try:
            await check(case)
        except AssertionError as error:
            failures.append(f"{case}: {error}")
    assert not failures, "\n\n".join(failures)
