"""What the path, query and headers of a request say, and who sent it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from lxc_dashboard.api.middleware.access import caller_of
from lxc_dashboard.errors import InvalidInputError, NotFoundError, TokenRefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
# How many a list returns
LISTED: Final = 100
LISTED_AT_MOST: Final = 500


def session_of(request: Request, *known: str) -> tuple[Runtime, Session]:
    """``known``: the query's parameters besides the endpoint. Others are refused: the caller expects them to do something."""
    caller = caller_of(request)
    if caller.session is None:
        raise TokenRefusedError
    unknown = set(request.query_params) - {"endpoint", *known}
    if unknown:
        raise InvalidInputError(dict.fromkeys(sorted(unknown), "There is no such parameter"))
    return caller.runtime, caller.session


def named_job(request: Request, *known: str) -> tuple[Runtime, Session, UUID]:
    rt, session = session_of(request, *known)
    try:
        return rt, session, UUID(request.path_params["job_id"])
    except ValueError:
        raise NotFoundError("This job does not exist or was removed") from None


def key_of(request: Request) -> UUID | None:
    """The ``Idempotency-Key``. Raises ``InvalidInputError``."""
    key = request.headers.get(IDEMPOTENCY_KEY, "")
    return uuid_of(key, IDEMPOTENCY_KEY) if key else None


def uuid_of(value: str, name: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise InvalidInputError({name: "Send a UUID"}) from None


def flag(request: Request, name: str, *, default: bool) -> bool:
    value = request.query_params.get(name)
    if value not in {None, "true", "false"}:
        raise InvalidInputError({name: "Either true or false"})
    return default if value is None else value == "true"


def number(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    value = request.query_params.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(most)) and least <= int(value) <= most):
        raise InvalidInputError({name: f"A whole number from {least} to {most}"})
    return int(value)
