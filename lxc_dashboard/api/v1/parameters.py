"""Path, query and headers of an API request, validated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard import text
from lxc_dashboard.api.request import caller_of
from lxc_dashboard.errors import InvalidInputError, NotFoundError, TokenRefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
# Entries in a list.
LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 500
VMID_MIN: Final = 100
VMID_MAX: Final = 999_999_999


def session_of(request: Request, *known: str) -> tuple[Runtime, Session]:
    """The caller. ``known``: the allowed query parameters besides ``endpoint``; others raise ``InvalidInputError``."""
    caller = caller_of(request)
    if caller.session is None:
        raise TokenRefusedError
    unknown = set(request.query_params) - {"endpoint", *known}
    if unknown:
        raise InvalidInputError(dict.fromkeys(sorted(unknown), text.API_PARAMETER_UNKNOWN))
    return caller.runtime, caller.session


def job_of_path(request: Request, *known: str) -> tuple[Runtime, Session, UUID]:
    """The caller and the job's id. Raises ``NotFoundError`` for an invalid id."""
    rt, session = session_of(request, *known)
    try:
        return rt, session, UUID(request.path_params["job_id"])
    except ValueError:
        raise NotFoundError(text.API_JOB_UNKNOWN) from None


def vmid_of(request: Request) -> int:
    """The vmid in the path. Raises ``NotFoundError`` for an invalid one."""
    vmid = request.path_params["vmid"]
    if not (vmid.isascii() and vmid.isdigit() and len(vmid) <= len(str(VMID_MAX)) and int(vmid) >= VMID_MIN):
        raise NotFoundError
    return int(vmid)


def key_of(request: Request) -> UUID | None:
    """The ``Idempotency-Key``. Raises ``InvalidInputError``."""
    key = request.headers.get(IDEMPOTENCY_KEY, "")
    return uuid_of(key, IDEMPOTENCY_KEY) if key else None


def uuid_of(value: str, name: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise InvalidInputError({name: text.API_NOT_A_UUID}) from None


def flag(request: Request, name: str, *, default: bool) -> bool:
    value = request.query_params.get(name)
    if value not in {None, "true", "false"}:
        raise InvalidInputError({name: text.API_NOT_A_BOOLEAN})
    return default if value is None else value == "true"


def number(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    value = request.query_params.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(most)) and least <= int(value) <= most):
        raise InvalidInputError({name: text.API_OUT_OF_RANGE.format(least=least, most=most)})
    return int(value)
