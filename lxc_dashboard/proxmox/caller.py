"""The interface between the client and its groups of calls, with paths and forms as PVE expects them."""

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
    """Send one call. ``path`` starts below ``/api2/json`` and is quoted.

    All methods raise ``UnreachableError``, ``TlsError``, ``SessionExpiredError``, ``PrivilegeError``, ``ApiError``.
    Only ``get`` is retried.
    """

    @property
    def endpoint(self) -> Endpoint: ...

    async def get(self, path: str, shape: Shape[T], params: Form | None = None) -> T: ...

    async def post(self, path: str, shape: Shape[T], form: Form | None = None) -> T: ...

    async def put(self, path: str, shape: Shape[T], form: Form | None = None) -> T: ...

    async def delete(self, path: str, shape: Shape[T], params: Form | None = None) -> T: ...


class Noun:
    """A group of calls on the client, such as ``client.lxc`` and ``client.tasks``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller


def path_of(*segments: str | int) -> str:
    """Return ``/nodes/pve1/lxc/101`` for its segments. Quotes each one: a UPID holds colons, a volid slashes."""
    return "".join(f"/{quote(str(segment), safe='')}" for segment in segments)


def encode_form(form: Form) -> str:
    """Encode a form as PVE reads it: booleans as 1 and 0 (PVE refuses ``true``), None left out."""
    return urlencode({key: _plain(value) for key, value in form.items() if value is not None})


def _plain(value: FormValue) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
