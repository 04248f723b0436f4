"""The PVE client: one endpoint as one identity. All identities of an endpoint share its connections."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self, TypeVar

import httpx
import msgspec
import stamina

from lxc_dashboard.errors import UnreachableError
from lxc_dashboard.proxmox import errors
from lxc_dashboard.proxmox.access import Access
from lxc_dashboard.proxmox.caller import Form, encode_form
from lxc_dashboard.proxmox.cluster import Cluster, Pools
from lxc_dashboard.proxmox.decoding import Shape, decoded, one
from lxc_dashboard.proxmox.endpoint import Endpoint
from lxc_dashboard.proxmox.lxc import Lxc
from lxc_dashboard.proxmox.nodes import Nodes, Qemu, Storage, Vzdump
from lxc_dashboard.proxmox.schemas import Version
from lxc_dashboard.proxmox.tasks import Tasks
from lxc_dashboard.proxmox.transport import API_ROOT, EndpointTransport

__all__ = ["Endpoint", "ProxmoxClient", "ProxmoxPool"]

T = TypeVar("T")

CONNECT_TIMEOUT_S = 4.0
POOL_TIMEOUT_S = 10.0
GET_DEADLINE_S = 20.0
GET_ATTEMPTS = 3
GET_RETRY_INITIAL_S = 0.1
GET_RETRY_MAX_S = 2.0
# PVE waits up to 10 s for a guest's lock and 30 s for another node.
WRITE_TIMEOUT_S = 60.0
WRITE_DEADLINE_S = CONNECT_TIMEOUT_S + POOL_TIMEOUT_S + WRITE_TIMEOUT_S

_VERSION = one(Version)
_FORM_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
# PVE would compress in its API process, which costs more time than the local network saves.
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "lxc-dashboard"}


class ProxmoxPool:
    """The connections to all endpoints of one event loop. Close it in that loop."""

    def __init__(self) -> None:
        self._https: dict[Endpoint, httpx.AsyncClient] = {}

    def client(
        self, endpoint: Endpoint, auth: httpx.Auth | None = None, *, get_deadline_s: float = GET_DEADLINE_S
    ) -> ProxmoxClient:
        """Return a client for ``endpoint``. ``auth`` is a ``TicketAuth``, a ``TokenAuth``, or None before sign-in.

        ``get_deadline_s`` bounds a GET with all its retries. Raises ``TlsError`` for an unreadable CA certificate.
        """
        https = self._https.get(endpoint)
        if https is None:
            https = httpx.AsyncClient(transport=EndpointTransport(endpoint), trust_env=False)
            self._https[endpoint] = https
        return ProxmoxClient(endpoint, https, auth, get_deadline_s=get_deadline_s)

    async def drop(self, endpoint: Endpoint) -> None:
        """Close the connections to an endpoint that was removed or changed."""
        https = self._https.pop(endpoint, None)
        if https is not None:
            await https.aclose()

    async def aclose(self) -> None:
        for endpoint in list(self._https):
            await self.drop(endpoint)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class ProxmoxClient:
    """Calls by PVE's nouns: ``client.lxc.create(...)``, ``client.cluster.resources()``, ``client.tasks.wait(...)``.

    Every call raises ``UnreachableError`` (no answer, or PVE cannot reach the node), ``TlsError``,
    ``SessionExpiredError`` (401), ``PrivilegeError`` (403) or ``ApiError`` (other refusals, with PVE's message and,
    for a 400, the errors by field).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        https: httpx.AsyncClient,
        auth: httpx.Auth | None,
        *,
        get_deadline_s: float = GET_DEADLINE_S,
    ) -> None:
        self.endpoint = endpoint
        self.auth = auth
        self._https = https
        self._get_deadline_s = get_deadline_s
        self._base_url = f"https://{endpoint.authority}{API_ROOT}"
        self.access = Access(self)
        self.cluster = Cluster(self)
        self.lxc = Lxc(self)
        self.qemu = Qemu(self)
        self.nodes = Nodes(self)
        self.pools = Pools(self)
        self.storage = Storage(self)
        self.tasks = Tasks(self)
        self.vzdump = Vzdump(self)

    def within(self, get_deadline_s: float) -> ProxmoxClient:
        """Return the same client with another deadline for each GET."""
        return ProxmoxClient(self.endpoint, self._https, self.auth, get_deadline_s=get_deadline_s)

    async def version(self) -> Version:
        """``GET /version``: the version of the node that answers."""
        return await self.get("/version", _VERSION)

    async def get(self, path: str, shape: Shape[T], params: Form | None = None) -> T:
        failures: list[UnreachableError] = []
        try:
            async with asyncio.timeout(self._get_deadline_s):
                return await self._get_with_retries(path, shape, params, failures)
        except TimeoutError as error:
            if failures:  # an earlier failure says more than the timeout
                raise failures[-1] from error
            raise errors.from_transport(error, self.endpoint.authority, path) from error

    async def post(self, path: str, shape: Shape[T], form: Form | None = None) -> T:
        return await self._write("POST", path, shape, form=form)

    async def put(self, path: str, shape: Shape[T], form: Form | None = None) -> T:
        return await self._write("PUT", path, shape, form=form)

    async def delete(self, path: str, shape: Shape[T], params: Form | None = None) -> T:
        return await self._write("DELETE", path, shape, params=params)

    async def _write(
        self, method: str, path: str, shape: Shape[T], *, params: Form | None = None, form: Form | None = None
    ) -> T:
        """Send a write once, with a deadline for the whole answer."""
        try:
            async with asyncio.timeout(WRITE_DEADLINE_S):
                return await self._call(method, path, shape, params=params, form=form)
        except TimeoutError as error:
            raise errors.from_transport(error, self.endpoint.authority, path) from error

    async def _get_with_retries(
        self, path: str, shape: Shape[T], params: Form | None, failures: list[UnreachableError]
    ) -> T:
        async for attempt in stamina.retry_context(
            on=UnreachableError,
            attempts=GET_ATTEMPTS,
            timeout=self._get_deadline_s,
            wait_initial=GET_RETRY_INITIAL_S,
            wait_max=GET_RETRY_MAX_S,
            wait_jitter=GET_RETRY_INITIAL_S,
        ):
            with attempt:
                try:
                    return await self._call("GET", path, shape, params=params)
                except UnreachableError as error:
                    failures.append(error)
                    raise
        raise failures[-1]  # for mypy: the loop always returns or raises

    async def _call(
        self, method: str, path: str, shape: Shape[T], *, params: Form | None = None, form: Form | None = None
    ) -> T:
        node = self.endpoint.authority
        try:
            request = self._request(method, path, params, form)
        except httpx.InvalidURL as error:
            raise errors.from_transport(error, node, path) from error
        response = await self._https.send(request, auth=self.auth)
        if not response.is_success:
            reason = response.extensions.get("reason_phrase", b"").decode(errors="replace")
            raise errors.from_response(
                status=response.status_code,
                reason=reason,
                body=response.content,
                node=node,
                path=path,
                reading=method == "GET",
            )
        try:
            return decoded(response.content or b'{"data":null}', shape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise errors.unexpected_answer(error, status=response.status_code, node=node, path=path) from error

    def _request(self, method: str, path: str, params: Form | None, form: Form | None) -> httpx.Request:
        query = encode_form(params) if params else ""
        content = encode_form(form) if form else ""
        timeout_s = self._get_deadline_s if method == "GET" else WRITE_TIMEOUT_S
        return httpx.Request(
            method,
            f"{self._base_url}{path}?{query}" if query else f"{self._base_url}{path}",
            headers=_HEADERS | _FORM_HEADERS if content else _HEADERS,
            content=content or None,
            extensions={
                "timeout": {
                    "connect": CONNECT_TIMEOUT_S,
                    "read": timeout_s,
                    "write": timeout_s,
                    "pool": POOL_TIMEOUT_S,
                }
            },
        )
