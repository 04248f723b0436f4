"""Parses and validates addresses of repositories."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.sources.git.codes import GitCode

Scheme = Literal["https", "ssh", "file"]

MAX_LOCATION_CHARS: Final = 1024
MAX_NAME_CHARS: Final = 255
SSH_USER: Final = "git"
PORTS: Final[dict[str, int]] = {"https": 443, "ssh": 22, "file": 0}

_SCP = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.\-]*)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.\-]*|\[[0-9A-Fa-f:.]+\]):(?P<path>[^:].*)"
)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._\-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+")
# Parts of a ref's name that git itself refuses, and a leading minus.
_REF_FAULTS = re.compile(r"^[-/.]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|/\.|\.lock(?:/|$)|[/.]$|^@$")
_NAME_FAULTS = re.compile(r"[^A-Za-z0-9._\-]+")


@dataclass(frozen=True, slots=True)
class GitAddress:
    """``path`` as sent to the server. With ``ssh`` it is relative to the user's home, unless it begins with a slash."""

    scheme: Scheme
    host: str
    port: int
    user: str
    path: str

    @property
    def text(self) -> str:
        """The canonical form, which is stored and shown."""
        if self.scheme == "file":
            return f"file://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        at = host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"
        if self.scheme == "https":
            return f"https://{at}{self.path}"
        if not self.path.startswith("/"):
            return f"{self.user}@{at}:{self.path}" if at == host else f"ssh://{self.user}@{at}/~/{self.path}"
        return f"ssh://{self.user}@{at}{self.path}"

    @property
    def server(self) -> tuple[str, str, int]:
        """The server that a host key belongs to."""
        return self.scheme, self.host.lower(), self.port

    def is_same_repository(self, other: GitAddress) -> bool:
        """Whether credentials for one address are valid for the other."""
        return (self.server, self.user, self.path) == (other.server, other.user, other.path)

    @property
    def name(self) -> str:
        """The repository's name as a valid folder name."""
        last = self.path.rstrip("/").rpartition("/")[2].removesuffix(".git")
        return _NAME_FAULTS.sub("-", last).strip(".-")[:63] or "repository"


def parse_address(location: str) -> GitAddress:
    """Parse the address of a repository. Raises ``InvalidInputError`` (``location``)."""
    location = location.strip()
    if not location or len(location) > MAX_LOCATION_CHARS or not location.isprintable() or " " in location:
        raise InvalidInputError({"location": Message.of(GitCode.ADDRESS, most=f"{MAX_LOCATION_CHARS:,}")})
    scp = None if "://" in location else _SCP.fullmatch(location)
    if scp is not None:
        address = GitAddress("ssh", scp["host"].strip("[]"), PORTS["ssh"], scp["user"] or SSH_USER, scp["path"])
    else:
        address = _parsed(location)
    if address.path.lstrip("/").startswith("-") or "'" in address.path or not address.path.strip("/"):
        raise _wrong(GitCode.ADDRESS_NO_REPOSITORY)
    return address


def check_ref(ref: str) -> str:
    """Return the branch or tag; empty means the default branch. Raises ``InvalidInputError`` (``ref``)."""
    ref = ref.strip()
    if ref and (len(ref) > MAX_NAME_CHARS or not ref.isprintable() or _REF_FAULTS.search(ref)):
        raise InvalidInputError({"ref": Message.of(GitCode.REF)})
    return ref


def check_subfolder(subfolder: str) -> str:
    """Return the folder inside the repository; empty means all of it. Raises ``InvalidInputError`` (``subfolder``)."""
    parts = [part for part in subfolder.strip().split("/") if part not in {"", "."}]
    found = "/".join(parts)
    if ".." in parts or len(found) > MAX_NAME_CHARS or not found.isprintable() or "\\" in found:
        raise InvalidInputError({"subfolder": Message.of(GitCode.SUBFOLDER)})
    return found


def _parsed(location: str) -> GitAddress:
    try:
        parts = urlsplit(location)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _wrong(GitCode.ADDRESS_INVALID) from error
    if parts.query or parts.fragment:
        raise _wrong(GitCode.ADDRESS_QUERY)
    match parts.scheme:
        case "https":
            if parts.username is not None or parts.password is not None:
                raise _wrong(GitCode.ADDRESS_SECRETS)
            return GitAddress("https", _host(host), _port(port, "https"), "", parts.path)
        case "ssh":
            return _ssh(
                parts.username, parts.password, GitAddress("ssh", _host(host), _port(port, "ssh"), "", parts.path)
            )
        case "file":
            return _file(parts.netloc, unquote(parts.path))
        case "http" | "git":
            raise _wrong(GitCode.ADDRESS_UNPROTECTED)
    raise _wrong(GitCode.ADDRESS_SCHEME)


def _port(port: int | None, scheme: str) -> int:
    if port == 0:
        raise _wrong(GitCode.ADDRESS_PORT)
    return port or PORTS[scheme]


def _ssh(user: str | None, password: str | None, address: GitAddress) -> GitAddress:
    if password is not None:
        raise _wrong(GitCode.ADDRESS_PASSWORD)
    if user is not None and not _USER.fullmatch(user):
        raise _wrong(GitCode.ADDRESS_USER)
    # As in git, /~/ is the user's home.
    path = address.path.removeprefix("/~/") if address.path.startswith("/~/") else address.path
    return GitAddress("ssh", address.host, address.port, user or SSH_USER, path)


def _file(host: str, path: str) -> GitAddress:
    if host not in {"", "localhost"} or not path.startswith("/") or ".." in path.split("/"):
        raise _wrong(GitCode.ADDRESS_FILE)
    return GitAddress("file", "", 0, "", path.rstrip("/"))


def _host(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise _wrong(GitCode.ADDRESS_HOST)
    return host


def _wrong(code: GitCode) -> InvalidInputError:
    return InvalidInputError({"location": Message.of(code)})
