"""The client for repositories over HTTPS, and access to local ones. Blocks; used only in the reader process."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urljoin

import urllib3
from dulwich.client import Urllib3HttpGitClient
from dulwich.errors import NotGitRepository
from dulwich.repo import Repo
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from lxc_dashboard.errors import SourceError, SourceGoneError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.tree import is_inside
from lxc_dashboard.services.templates.sources.git import network
from lxc_dashboard.services.templates.sources.git.address import GitAddress
from lxc_dashboard.services.templates.sources.git.codes import GitCode
from lxc_dashboard.services.templates.sources.git.reader_process import GitRequest

ANSWER_TIMEOUT_S: Final = 30.0
MAX_PACK_BYTES: Final = 64 << 20
# The limit for all answers of a server together: refs, progress, the pack.
MAX_ANSWER_BYTES: Final = MAX_PACK_BYTES + (16 << 20)
# Most servers accept any user name beside a token, but not an empty one.
ANY_USER: Final = "git"
MAX_REDIRECTS: Final = 3
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Budget:
    """Counts the bytes that a server sends. ``spend`` raises ``SourceError`` above the limit."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def spend(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise SourceError(Message.of(GitCode.LARGE_PACK, most=f"{MAX_PACK_BYTES:,}"))
        return data


class HttpsClient(Urllib3HttpGitClient):
    """Smart HTTP over TLS, to checked addresses of one server. Follows redirects on this server only."""

    def __init__(self, address: GitAddress, request: GitRequest) -> None:
        self._budget = Budget(MAX_ANSWER_BYTES)
        super().__init__(
            address.text,
            pool_manager=_pool(request),
            username=request.username or (ANY_USER if request.password else None),
            password=request.password or None,
            timeout=ANSWER_TIMEOUT_S,
            quiet=True,
        )
        self._home = self._origin(address.text)

    def _discover_references(self, *arguments: Any, **options: Any) -> Any:
        found = super()._discover_references(*arguments, **options)
        if self.dumb:
            raise SourceError(Message.of(GitCode.NOT_SMART))
        return found

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,
    ) -> tuple[Any, Callable[[int], bytes]]:
        """Replaces the library's method, which follows any redirect to any address."""
        del raise_for_status
        sent_headers = {**dict(self.pool_manager.headers), **(headers or {}), "Pragma": "no-cache"}
        if self._auth_header is not None:
            sent_headers["authorization"] = self._auth_header
        location = url
        for _ in range(MAX_REDIRECTS + 1):
            response = self._ask(location, sent_headers, data)
            if response.status not in REDIRECTS or data is not None:
                break
            location = urljoin(location, response.headers.get("Location", ""))
            response.close()
        _accept(response)
        response.content_type = response.headers.get("Content-Type")
        response.redirect_location = location if location != url else ""
        return response, lambda size: self._budget.spend(response.read(size))

    def _ask(self, url: str, headers: dict[str, str], data: Any) -> Any:
        if self._origin(url) != self._home:
            raise SourceError(Message.of(GitCode.REDIRECTED))
        try:
            return self.pool_manager.request(
                "GET" if data is None else "POST",
                url,
                headers=headers,
                body=data,
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=ANSWER_TIMEOUT_S,
            )
        except urllib3.exceptions.SSLError as error:
            raise SourceError(Message.of(GitCode.TLS_UNTRUSTED), detail=_cause(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise SourceError(Message.of(GitCode.SILENT), detail=_cause(error)) from error


def _accept(response: Any) -> None:
    """Raises ``SourceError`` unless the status is 200."""
    match response.status:
        case 200:
            return
        case 404 | 410:
            raise SourceGoneError(Message.of(GitCode.GONE_OR_CREDENTIALS))
        case 401 | 403:
            raise SourceError(Message.of(GitCode.CREDENTIALS))
    raise SourceError(Message.of(GitCode.STATUS, status=response.status))


def _pool(request: GitRequest) -> urllib3.PoolManager:
    class Connection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return network.dial(self.host, self.port or 443, allow_local=request.allow_local)

    class Pool(HTTPSConnectionPool):
        ConnectionCls = Connection

    context = ssl.create_default_context(cafile=request.ca_file or None)
    manager = urllib3.PoolManager(ssl_context=context, headers={"User-Agent": "git/lxc-dashboard"})
    manager.pool_classes_by_scheme = {"https": Pool}
    return manager


@contextlib.contextmanager
def opened_folder(address: GitAddress, file_root: str) -> Iterator[Repo]:
    """Open a repository of this machine. Raises ``SourceGoneError``, and ``SourceError`` outside ``file_root``."""
    if not file_root:
        raise SourceError(Message.of(GitCode.FILE_ROOT_UNSET))
    root, real = os.path.realpath(file_root), os.path.realpath(address.path)
    if not is_inside(real, root):
        raise SourceError(Message.of(GitCode.FILE_ROOT_OUTSIDE))
    try:
        repo = Repo(real)
    except (NotGitRepository, OSError) as error:
        raise SourceGoneError(Message.of(GitCode.NO_REPOSITORY)) from error
    with contextlib.closing(repo):
        parts = [repo.controldir(), repo.commondir(), repo.object_store.path]
        parts += [getattr(store, "path", "/") for store in repo.object_store.alternates]
        if not all(is_inside(os.path.realpath(part), root) for part in parts):
            raise SourceError(Message.of(GitCode.FILE_ROOT_PART_OUTSIDE))
        yield repo


def _cause(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]
