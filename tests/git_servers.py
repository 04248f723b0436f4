"""Repositories made without git, and real servers of them on loopback: HTTPS with an authority of its own, and SSH."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import asyncssh
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tag, Tree
from dulwich.protocol import Protocol, pkt_line
from dulwich.refs import Ref
from dulwich.repo import Repo
from dulwich.server import Backend, UploadPackHandler
from dulwich.web import make_wsgi_chain

from pve_sandbox.certificate import node_certificate

FILE, EXECUTABLE, FOLDER, LINK, SUBMODULE = 0o100644, 0o100755, 0o040000, 0o120000, 0o160000
AUTHOR = b"Ada Lovelace <ada@example.org>"
Files = Mapping[str, str | bytes]
Entry = tuple[bytes, int, ObjectID]

WEB: dict[str, str] = {
    "web/template.conf": "TEMPLATE_APP=web\nTEMPLATE_DESCRIPTION='Serves pages'\n",
    "web/container-configs/scripts/10-core.sh": "#!/bin/bash\ntrue\n",
    "web/container-configs/packages/base.apt": "nginx\n",
}


@dataclass
class Repository:
    """A bare repository at ``path``."""

    path: Path

    def __post_init__(self) -> None:
        if not self.path.exists():
            Repo.init_bare(str(self.path), mkdir=True, default_branch=b"main").close()

    def commit(self, files: Files, *, branch: str = "main", message: str = "A change\n\nIn words.") -> str:
        """Makes ``files`` all that the branch holds; the commit's id. An empty path ends a name: ``{"a/b": ...}``."""
        with contextlib.closing(Repo(str(self.path))) as repo:
            return self._commit(repo, _tree_of(repo, files), branch, message)

    def commit_tree(self, make: Callable[[Repo], ObjectID], *, branch: str = "main") -> str:
        """As ``commit``, of a tree that is made by hand."""
        with contextlib.closing(Repo(str(self.path))) as repo:
            return self._commit(repo, make(repo), branch, "By hand")

    def tag(self, name: str, commit: str) -> str:
        """An annotated tag; its own id."""
        tag = Tag()
        tag.name, tag.message, tag.tagger = name.encode(), b"A tag\n", AUTHOR
        tag.tag_time, tag.tag_timezone = 1, 0
        tag.object = (Commit, ObjectID(commit.encode()))
        with contextlib.closing(Repo(str(self.path))) as repo:
            repo.object_store.add_object(tag)
            repo.refs[Ref(b"refs/tags/" + name.encode())] = tag.id
        return tag.id.decode()

    def delete(self, branch: str) -> None:
        with contextlib.closing(Repo(str(self.path))) as repo:
            del repo.refs[Ref(b"refs/heads/" + branch.encode())]

    def _commit(self, repo: Repo, tree: ObjectID, branch: str, message: str) -> str:
        ref = Ref(b"refs/heads/" + branch.encode())
        commit = Commit()
        commit.tree, commit.author, commit.committer, commit.message = tree, AUTHOR, AUTHOR, message.encode()
        commit.parents = [repo.refs[ref]] if ref in repo.refs else []
        commit.author_time = commit.commit_time = 1_700_000_000
        commit.author_timezone = commit.commit_timezone = 0
        repo.object_store.add_object(commit)
        repo.refs[ref] = commit.id
        return commit.id.decode()


class Folder(Backend):
    """The repositories of one folder, by path below it or whole."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open_repository(self, path: str | bytes) -> Repo:
        name = (path if isinstance(path, str) else path.decode()).removeprefix(str(self._root)).strip("/")
        return Repo(str(self._root / name))


def stored(repo: Repo, thing: ShaFile) -> ObjectID:
    repo.object_store.add_object(thing)
    return thing.id


def blob(repo: Repo, data: bytes) -> ObjectID:
    return stored(repo, Blob.from_string(data))


def tree(repo: Repo, entries: Iterable[Entry]) -> ObjectID:
    """A tree with any names and modes, as a hostile server may send it."""
    made = Tree()
    for name, mode, sha in entries:
        made[name] = (mode, sha)
    return stored(repo, made)


def _tree_of(repo: Repo, files: Files) -> ObjectID:
    """``name -> /target`` as a value makes a link."""
    below: dict[str, dict[str, str | bytes]] = {}
    entries: list[Entry] = []
    for path, content in files.items():
        first, slash, rest = path.partition("/")
        if slash:
            below.setdefault(first, {})[rest] = content
            continue
        data = content if isinstance(content, bytes) else content.encode()
        is_link = data.startswith(b"-> ")
        mode = LINK if is_link else EXECUTABLE if data.startswith(b"#!") else FILE
        entries.append((first.encode(), mode, blob(repo, data.removeprefix(b"-> ") if is_link else data)))
    entries += [(name.encode(), FOLDER, _tree_of(repo, inner)) for name, inner in below.items()]
    return tree(repo, entries)


@dataclass
class HttpsGit:
    """What ``root`` holds is served; ``requests`` are method and path of each request so far.

    ``password``: asked for by HTTP Basic. ``redirect``: where everything leads instead. ``hold``: each request waits for it. ``plain``: a page
    is all that there is. ``refusal``: what the server answers, in git's protocol, instead of its refs.
    """

    root: Path
    port: int = 0
    ca_file: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    user: str = "robot"
    password: str = ""
    redirect: str = ""
    hold: threading.Event | None = None
    plain: bool = False
    refusal: str = ""

    def url(self, name: str) -> str:
        return f"https://localhost:{self.port}/{name}"

    def app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.requests.append((environ["REQUEST_METHOD"], path))
        if self.hold is not None:
            self.hold.wait(30)
        if self.plain:
            start_response("200 OK", [("Content-Type", "text/html")])
            return [b"0" * 40 + b"\trefs/heads/main\n"]
        if self.refusal:
            start_response("200 OK", [("Content-Type", "application/x-git-upload-pack-advertisement")])
            return [*map(pkt_line, (b"# service=git-upload-pack\n", None, f"ERR {self.refusal}\n".encode()))]
        if self.redirect:
            query = environ.get("QUERY_STRING", "")
            start_response("302 Found", [("Location", f"{self.redirect}{path}?{query}")])
            return [b""]
        expected = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if self.password and environ.get("HTTP_AUTHORIZATION") != expected:
            start_response("401 Unauthorized", [("WWW-Authenticate", "Basic")])
            return [b""]
        if not (self.root / path.strip("/").split("/")[0]).exists():
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"no such repository"]
        served: Iterable[bytes] = make_wsgi_chain(Folder(self.root))(environ, start_response)
        return served

    @property
    def fetches(self) -> int:
        """How many packs were asked for, a listing of refs in protocol 2 included."""
        return sum(method == "POST" for method, _ in self.requests)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that ends a connection in the middle is no news."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the library's name
        """Nothing."""


@contextlib.contextmanager
def https_git(root: Path, folder: Path) -> Iterator[HttpsGit]:
    """``folder`` keeps the authority."""
    folder.mkdir(exist_ok=True)
    certificate = node_certificate(folder, ("localhost",))
    git = HttpsGit(root, ca_file=str(certificate.ca_file))
    server = make_server("127.0.0.1", 0, git.app, server_class=_Server, handler_class=_Quiet)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    git.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield git
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class SshGit:
    """``git-upload-pack`` over SSH for the user ``git`` with ``private_key``; ``commands`` are those that were run."""

    root: Path
    private_key: str
    host_key: str
    port: int = 0
    commands: list[str] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"ssh://git@localhost:{self.port}{self.root / name}"

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = process.command or ""
        self.commands.append(command)
        path = command.partition(" ")[2].strip("'")
        if not Path(path).is_dir():
            process.stderr.write(b"ERROR: Repository not found.\n")
            process.exit(128)
            return
        loop = asyncio.get_running_loop()

        def read(size: int) -> bytes:
            reading = asyncio.run_coroutine_threadsafe(process.stdin.readexactly(size), loop)
            try:
                return reading.result(30)
            except asyncio.IncompleteReadError as error:
                return error.partial

        def write(data: bytes) -> None:
            loop.call_soon_threadsafe(process.stdout.write, data)

        handler = UploadPackHandler(Folder(self.root), [path], Protocol(read, write))
        with contextlib.suppress(Exception):  # a client that has seen enough hangs up
            await asyncio.to_thread(handler.handle)
        process.exit(0)


class _Watched(asyncssh.SSHServer):
    """Remembers its connection, which the server's own end leaves open."""

    def __init__(self, opened: list[asyncssh.SSHServerConnection]) -> None:
        self._opened = opened

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._opened.append(conn)


@contextlib.asynccontextmanager
async def ssh_git(root: Path) -> AsyncIterator[SshGit]:
    client, host = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    git = SshGit(root, client.export_private_key().decode(), host.export_public_key().decode().strip())
    allowed = asyncssh.import_authorized_keys(client.export_public_key().decode())
    opened: list[asyncssh.SSHServerConnection] = []
    server = await asyncssh.create_server(
        lambda: _Watched(opened),
        "127.0.0.1",
        0,
        server_host_keys=[host],
        authorized_client_keys=allowed,
        process_factory=git.serve,
        encoding=None,
    )
    git.port = server.get_port()
    try:
        yield git
    finally:
        server.close()
        for connection in opened:
            connection.abort()
            await connection.wait_closed()
        await server.wait_closed()
