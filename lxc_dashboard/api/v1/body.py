"""The JSON body of an API request, and the fields of it that are invalid."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import Response

from lxc_dashboard import text
from lxc_dashboard.api.request import BODY_BYTES, read_body
from lxc_dashboard.api.v1.answers import problem
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form.codes import FieldCode

if TYPE_CHECKING:
    from starlette.requests import Request

_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])
# How msgspec names the field
_MISSING: Final = re.compile(r"Object missing required field `(.+?)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.+?)`")
_INVALID: Final = re.compile(r"(.*) - at `\$\.(.+)`", re.DOTALL)


async def object_of(request: Request, *, optional: bool = False) -> dict[str, Any] | Response:
    """The body's JSON object, or a 413 or 415 response. Raises ``InvalidInputError`` for invalid JSON.

    ``optional``: an empty body is an empty object.
    """
    body = await read_body(request)
    if body is None:
        return problem(413, text.API_BODY_TOO_LARGE.format(mib=BODY_BYTES >> 20))
    if optional and not body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return problem(415, text.API_NOT_JSON)
    try:
        return _OBJECT.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInputError({}, text.API_NOT_AN_OBJECT) from error


def invalid(error: msgspec.ValidationError) -> InvalidInputError:
    """The field that ``error`` is about, with the rule that its value breaks."""
    message = str(error)
    if found := _MISSING.match(message):
        return InvalidInputError({found[1]: text.API_REQUIRED})
    if found := _UNKNOWN.match(message):
        return InvalidInputError({found[1]: Message.of(FieldCode.UNKNOWN)})
    if found := _INVALID.fullmatch(message):
        return InvalidInputError({found[2]: text.API_VALUE_INVALID.format(rule=found[1])})
    return InvalidInputError({}, text.API_VALUE_INVALID.format(rule=message))
