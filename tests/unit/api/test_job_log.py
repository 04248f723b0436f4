"""The form that asks for a credential, with valid and invalid bodies."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.types import Message

from lxc_dashboard.api.job_log import _service
from lxc_dashboard.errors import InvalidInputError

FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=x"
FILE = b'--x\r\nContent-Disposition: form-data; name="name"; filename="f"\r\n\r\nnginx\r\n--x--\r\n'


def request(kind: str, body: bytes) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind.encode())]}
    return Request(scope, receive)


async def test_the_service_is_named_by_a_field() -> None:
    assert await _service(request(FORM, b"name=nginx")) == "nginx"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, b""),
        (FORM, b"name="),
        (FORM, b"name=" + b"a" * 256),
        (FORM, b"name=" + b"a" * (2 << 20)),
        (FORM, b"name=a&name=b"),
        (PARTS, FILE),
        (PARTS, b"no parts"),
        ("multipart/form-data", FILE),
        ("application/json", b"{}"),
    ],
)
async def test_a_form_that_names_none_is_refused_and_is_no_fault_of_ours(kind: str, body: bytes) -> None:
    with pytest.raises(InvalidInputError):
        await _service(request(kind, body))
