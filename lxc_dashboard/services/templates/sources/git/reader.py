"""The process that reads one repository: ``python -m lxc_dashboard.services.templates.sources.git.reader``.

A hostile server can at most end this process. The process has bounded time, memory and disk space, an empty environment, and
no secrets except the credentials of this source.
"""

from __future__ import annotations

import contextlib
import logging
import re
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import msgspec
from dulwich.errors import GitProtocolError
from dulwich.object_store import BaseObjectStore, DiskObjectStore, ObjectStoreGraphWalker
from dulwich.objects import Commit, ObjectID, ShaFile, Tag
from dulwich.refs import Ref

from lxc_dashboard.errors import DashboardError, GuestError, HostKeyError, SourceError, SourceGoneError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.format.tree import plain_text
from lxc_dashboard.services.templates.sources.git import checkout, transport
from lxc_dashboard.services.templates.sources.git.address import GitAddress, parse_address
from lxc_dashboard.services.templates.sources.git.codes import GitCode
from lxc_dashboard.services.templates.sources.git.reader_process import FILES, GitAnswer, GitRequest, Outcome

DEADLINE_S: Final = 60
MAX_MEMORY_BYTES: Final = 1 << 30
MAX_FILE_BYTES: Final = 2 * transport.MAX_PACK_BYTES
MAX_REQUEST_BYTES: Final = 1 << 20
MAX_TAG_DEPTH: Final = 5
SUBJECT_CHARS: Final = 200
WHY_CHARS: Final = 500
OBJECTS: Final = "objects"

# How git servers report a missing repository over SSH.
_NOT_THERE: Final = re.compile(r"not found|not be found|not appear to be|not exist|no such", re.IGNORECASE)

Refs = Mapping[Ref, ObjectID]


def main() -> None:
    bound_process()
    request = msgspec.json.decode(sys.stdin.buffer.read(MAX_REQUEST_BYTES), type=GitRequest)
    sys.stdout.buffer.write(msgspec.json.encode(answer(request)))


def bound_process() -> None:
    logging.disable()  # a server must not fill the log with the library's warnings
    signal.alarm(DEADLINE_S)  # its default action ends the process
    for kind, limit in (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_CPU, DEADLINE_S),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def answer(request: GitRequest) -> GitAnswer:
    """Read the repository; return the result or the error. Never raises."""
    try:
        return read(request)
    except Exception as error:  # noqa: BLE001 -- a hostile repository may provoke anything
        outcome = Outcome.GONE if isinstance(error, SourceGoneError) else Outcome.FAILED
        return GitAnswer(outcome, why=_clean(_why(error), request))


def _why(error: Exception) -> Message:
    match error:
        case GuestError() if not isinstance(error, HostKeyError):
            return Message.of(GitCode.SSH_REFUSED, reason=error.reason)
        case DashboardError(detail=str(detail)) if detail:
            return Message.of(GitCode.DETAILED, reason=error.reason, detail=detail)
        case DashboardError():
            return error.reason
        case GitProtocolError():
            return Message.of(GitCode.NOT_GIT, answer=str(error))
        case MemoryError():
            return Message.of(GitCode.MUCH_MEMORY, most=f"{MAX_MEMORY_BYTES:,}")
    return Message.of(GitCode.DAMAGED, error=type(error).__name__)


def read(request: GitRequest) -> GitAnswer:
    """Look up the ref. If it moved, fetch its commit and write the files below ``into``."""
    address = parse_address(request.location)
    choice = Choice(request)
    with _reached(address, request, choice) as store:
        if store is None:
            return GitAnswer(Outcome.UNCHANGED, choice.commit)
        commit = _commit(store, ObjectID(choice.commit.encode()))
        tree = checkout.subtree(store, commit.tree, request.subfolder)
        into = Path(request.into, FILES, address.name)
        (into / request.subfolder).mkdir(parents=True)
        omitted = checkout.write_tree(store, tree, into / request.subfolder, request.subfolder)
        if request.from_above:
            omitted += checkout.write_above(store, commit.tree, into, request.subfolder, request.from_above)
    return GitAnswer(
        Outcome.READ,
        choice.commit,
        subject=plain_text(_first_line(commit.message))[:SUBJECT_CHARS],
        author=plain_text(_first_line(commit.author).partition(" <")[0])[:SUBJECT_CHARS],
        omitted=tuple(omitted),
    )


@dataclass(slots=True)
class Choice:
    """Chooses the commit from a server's refs. ``is_needed``: it must be fetched."""

    request: GitRequest
    commit: str = ""
    is_needed: bool = False

    def __call__(self, refs: Refs, depth: int | None = None) -> list[ObjectID]:
        """Return the objects to fetch, for dulwich: none if the commit is known, or is only looked up."""
        del depth
        found = next((sha for name in self.names() if (sha := refs.get(Ref(name)))), None)
        if found is None:
            ref = self.request.ref
            raise SourceGoneError(Message.of(GitCode.NO_REF, ref=ref) if ref else Message.of(GitCode.NO_COMMIT))
        self.commit = found.decode("ascii")
        self.is_needed = bool(self.request.into) and self.commit != self.request.known_commit
        return [found] if self.is_needed else []

    def names(self) -> list[bytes]:
        ref = self.request.ref.encode()
        if not ref:
            return [b"HEAD"]
        full = [ref] if ref.startswith(b"refs/") else []
        return [*full, b"refs/heads/" + ref, b"refs/tags/" + ref]


@contextlib.contextmanager
def _reached(address: GitAddress, request: GitRequest, choice: Choice) -> Iterator[BaseObjectStore | None]:
    """The objects of the chosen commit; None if nothing is to be fetched."""
    if address.scheme == "file":
        with transport.opened_folder(address, request.file_root) as repo:
            choice(repo.get_refs())
            yield repo.object_store if choice.is_needed else None
        return
    with contextlib.closing(_client(address, request)) as client, contextlib.ExitStack() as ending:
        yield _fetched(client, address, request, choice, ending)


def _client(address: GitAddress, request: GitRequest) -> Any:
    if address.scheme == "https":
        return transport.HttpsClient(address, request)
    # Imported late: loading SSH takes half of this process's time.
    from lxc_dashboard.services.templates.sources.git.ssh_client import SshClient

    return SshClient(address, request)


def _fetched(
    client: Any, address: GitAddress, request: GitRequest, choice: Choice, ending: contextlib.ExitStack
) -> BaseObjectStore | None:
    with tempfile.TemporaryFile(dir=request.into or None) as pack:
        walker = ObjectStoreGraphWalker([], lambda _: [], shallow=set())
        path = "" if address.scheme == "https" else address.path.encode()
        try:
            client.fetch_pack(path, choice, walker, _bounded(pack), depth=1, ref_prefix=choice.names())
        except GitProtocolError as error:
            if not choice.commit and _NOT_THERE.search(str(error)):
                raise SourceGoneError(Message.of(GitCode.GONE_OR_KEY, answer=str(error))) from error
            raise
        if not choice.is_needed:
            return None
        pack.seek(0)
        store = DiskObjectStore.init(str(Path(request.into, OBJECTS)))
        ending.callback(store.close)
        store.add_thin_pack(pack.read, None)
        return store


def _bounded(pack: IO[bytes]) -> Callable[[bytes], int]:
    budget = transport.Budget(transport.MAX_PACK_BYTES)
    return lambda data: pack.write(budget.spend(data))


def _commit(store: BaseObjectStore, object_id: ObjectID) -> Commit:
    for _ in range(MAX_TAG_DEPTH):
        found: ShaFile = store[object_id]
        if isinstance(found, Commit):
            return found
        if not isinstance(found, Tag):
            break
        object_id = found.object[1]
    raise SourceError(Message.of(GitCode.NO_COMMIT_AT_REF))


def _first_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[0] if lines else ""


def _clean(why: Message, request: GitRequest) -> Message:
    """The message without control characters and without secrets that a server echoed."""
    params = {name: _clean_param(value, request) for name, value in why.params.items()}
    return Message(why.code, params, _clean_param(why.text, request))


def _clean_param(value: Any, request: GitRequest) -> Any:
    match value:
        case str():
            for secret in filter(None, (request.password, request.private_key)):
                value = value.replace(secret, "…")
            return plain_text(value)[:WHY_CHARS]
        case list():
            return [_clean_param(each, request) for each in value]
        case dict():
            return _clean(Message.from_json(value), request).to_json()
    return value


if __name__ == "__main__":
    main()
