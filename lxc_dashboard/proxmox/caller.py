"""What the files named after PVE's nouns need of a client, and how they write paths and forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar
from urllib.parse import quote, urlencode

from lxc_dashboard.proxmox.decoding import Shape
from lxc_dashboard.proxmox.endpoint import Endpoint

T = TypeVar("T")
FormValue = str | int | float | bool | None
Form = Mapping[str, FormValue]


class Caller(Protocol):
    """Sends one call. ``path`` begins below ``/api2/json`` and is already quoted.

    All raise UnreachableError, TlsError, SessionExpiredError, PrivilegeError, ApiError. Only ``get`` is ever repeated.
    """

    @property
    def endpoint(self) -> Endpoint: ...

    async def get(self, path: str, shape: Shape[T], params: Form | None = None) -> T: ...

    async def post(self, path: str, shape: Shape[T], form: Form | None = None) -> T: ...

    async def put(self, path: str, shape: Shape[T], form: Form | None = None) -> T: ...

    async def delete(self, path: str, shape: Shape[T], params: Form | None = None) -> T: ...


class Noun:
    """A group of calls, reached through the client: ``client.lxc``, ``client.tasks``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller


def path_of(*segments: str | int) -> str:
    """``/nodes/pve1/lxc/101`` from its segments, each quoted: a UPID holds colons, a volid slashes."""
    return "".join(f"/{quote(str(segment), safe='')}" for segment in segments)


def encode_form(form: Form) -> str:
    """As PVE reads it: booleans are 1 and 0 (``true`` is refused), what is None is not sent."""
    return urlencode({key: _plain(value) for key, value in form.items() if value is not None})


def _plain(value: FormValue) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
