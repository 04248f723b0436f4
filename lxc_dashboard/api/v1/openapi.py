"""The API's description, OpenAPI 3.1, made from the very types that requests are read with and answers are written from."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

from lxc_dashboard import routes
from lxc_dashboard.api.v1 import answers, words
from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.containers.power import Power
from lxc_dashboard.services.creation.form.fields import BY_NAME, FIELDS, Field

REF: Final = "#/components/schemas/{name}"
REQUEST: Final = "CreationRequest"
NAMED: Final = "CredentialsRequest"
NDJSON: Final = "application/x-ndjson"
_ANSWERS: Final = (
    answers.Creation,
    answers.Creations,
    answers.Done,
    answers.Failure,
    answers.Job,
    answers.Jobs,
    answers.Secrets,
    answers.Line,
    answers.End,
)
_NAME_ALONE: Final = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 255}},
    "required": ["name"],
    "additionalProperties": False,
}
_LOCATED: Final = frozenset({"createCreation", "act", "retryJob"})
_ALWAYS: Final = (401, 422, 429, 502, 503)
_OF_ONE: Final = (403, 404)
_ONE: Final = f"{routes.API_CREATIONS}/{{job_id}}"
_JOB: Final = f"{routes.API_JOBS}/{{job_id}}"
_ACT: Final = f"{routes.API_CONTAINERS}/{{vmid}}/{{act}}"
_ID: Final = {"name": "job_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_VMID_SCHEMA: Final = {"type": "integer", "minimum": BY_NAME["vmid"].least, "maximum": BY_NAME["vmid"].most}
_VMID: Final[dict[str, Any]] = {"name": "vmid", "in": "path", "required": True, "schema": _VMID_SCHEMA}
_ACT_NAME: Final = {
    "name": "act",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": [power.value for power in Power]},
}


def _query(name: str, what: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": what, "schema": schema}


_PAGE: Final = (
    _query("limit", words.LIMIT, {"type": "integer", "minimum": 1, "maximum": 500}),
    _query("before", words.BEFORE, {"type": "string", "format": "uuid"}),
)


@cache
def document() -> bytes:
    """JSON. It holds no secret, and nothing of this very installation."""
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": words.TITLE, "version": "1", "description": words.ABOUT},
            "servers": [{"url": "/"}],
            "security": [{"token": []}],
            "paths": _paths(),
            "components": {"schemas": _schemas(), "securitySchemes": {"token": _token()}},
        }
    )


def _paths() -> dict[str, Any]:
    flag = {"type": "boolean"}
    unfinished = _query("unfinished", words.UNFINISHED, flag)
    vmid = {**_query("vmid", words.VMID_AGAIN, _VMID_SCHEMA), "required": True}
    creation = _json("Creation")
    return {
        routes.API_DOCUMENT: {"get": _document_call()},
        routes.API_CREATIONS: {
            "get": _call("listCreations", words.LIST, {200: _json("Creations")}, [unfinished, *_PAGE], also=(403, 404)),
            "post": _create_call(),
        },
        _ONE: {
            "get": _call("readCreation", words.READ, {200: creation}, [_ID], also=_OF_ONE),
            "delete": _call("destroyCreation", words.DESTROY, {200: _json("Done")}, [_ID, vmid], also=(*_OF_ONE, 409)),
        },
        f"{_ONE}/log": {"get": _log_call("readLog")},
        f"{_ONE}/credentials": {"post": _reveal_call()},
        f"{_ONE}/cancel": {"post": _call("cancelCreation", words.CANCEL, {202: creation}, [_ID], also=(*_OF_ONE, 409))},
        f"{_ONE}/go-on": {"post": _call("continueCreation", words.GO_ON, {202: creation}, [_ID], also=(*_OF_ONE, 409))},
        f"{_ONE}/retry": {"post": _call("retryCreation", words.RETRY, {202: creation}, [_ID], also=(*_OF_ONE, 409))},
        **_job_paths(),
    }


def _job_paths() -> dict[str, Any]:
    job = _json("Job")
    parameters = [_VMID, _ACT_NAME, _key(words.ACT_KEY)]
    filters = [
        _query("kind", words.OF_KIND, {"type": "string"}),
        _query("vmid", words.OF_GUEST, _VMID_SCHEMA),
        _query("user", words.OF_USER, {"type": "string"}),
        _query("state", words.IN_STATE, {"type": "string", "enum": [state.value for state in JobState]}),
    ]
    return {
        _ACT: {"post": _call("act", words.ACT, {202: job, 200: job}, parameters, also=(*_OF_ONE, 409))},
        routes.API_JOBS: {
            "get": _call("listJobs", words.LIST_JOBS, {200: _json("Jobs")}, [*filters, *_PAGE], also=(403, 404))
        },
        _JOB: {"get": _call("readJob", words.READ_JOB, {200: job}, [_ID], also=_OF_ONE)},
        f"{_JOB}/log": {"get": _log_call("readJobLog")},
        f"{_JOB}/cancel": {"post": _call("cancelJob", words.CANCEL_JOB, {202: job}, [_ID], also=(*_OF_ONE, 409))},
        f"{_JOB}/retry": {
            "post": _call(
                "retryJob", words.RETRY_JOB, {202: job, 200: job}, [_ID, _key(words.ACT_KEY)], also=(*_OF_ONE, 409)
            )
        },
    }


def _log_call(name: str) -> dict[str, Any]:
    after = _query("after", words.AFTER, {"type": "integer", "minimum": 0, "maximum": 2**63 - 1})
    follow = _query("follow", words.FOLLOW, {"type": "boolean"})
    return _call(name, words.LOG, {200: _lines()}, [_ID, after, follow], also=_OF_ONE)


def _create_call() -> dict[str, Any]:
    creation = _json("Creation")
    call = _call(
        "createCreation",
        words.CREATE,
        {202: creation, 200: creation},
        [_key(words.KEY)],
        also=(403, 404, 409, 413, 415),
    )
    return call | {"requestBody": {"required": True, "content": _json(REQUEST)}}


def _reveal_call() -> dict[str, Any]:
    call = _call("revealCredentials", words.CREDENTIALS, {200: _json("Secrets")}, [_ID], also=(*_OF_ONE, 409, 413, 415))
    return call | {"requestBody": {"required": True, "content": _json(NAMED)}}


def _call(
    name: str, what: str, good: dict[int, Any], parameters: list[dict[str, Any]], *, also: tuple[int, ...]
) -> dict[str, Any]:
    answered = {
        str(status): {"description": words.GOOD[status], "content": content} for status, content in good.items()
    }
    if name in _LOCATED:
        answered["202"]["headers"] = {"Location": {"description": words.LOCATION, "schema": {"type": "string"}}}
    refused = {str(status): _refused(status) for status in sorted({*_ALWAYS, *also})}
    endpoint = _query("endpoint", words.ENDPOINT, {"type": "string", "maxLength": 63})
    return {
        "operationId": name,
        "summary": what,
        "parameters": [*parameters, endpoint],
        "responses": {**answered, **refused},
    }


def _refused(status: int) -> dict[str, Any]:
    found: dict[str, Any] = {"description": words.REFUSED[status], "content": _json("Failure")}
    if status in words.LATER:
        found["headers"] = {"Retry-After": {"description": words.RETRY_AFTER, "schema": {"type": "integer"}}}
    return found


def _document_call() -> dict[str, Any]:
    content = {answers.JSON: {"schema": {"type": "object"}}}
    responses = {"200": {"description": words.DOCUMENT, "content": content}}
    return {"operationId": "readDescription", "summary": words.DOCUMENT, "security": [], "responses": responses}


def _key(what: str) -> dict[str, Any]:
    schema = {"type": "string", "format": "uuid"}
    return {"name": "Idempotency-Key", "in": "header", "description": what, "schema": schema}


def _token() -> dict[str, Any]:
    return {"type": "apiKey", "in": "header", "name": "Authorization", "description": words.TOKEN}


def _json(name: str) -> dict[str, Any]:
    return {answers.JSON: {"schema": {"$ref": REF.format(name=name)}}}


def _lines() -> dict[str, Any]:
    """One object a line; OpenAPI 3.1 has no word for that."""
    return {NDJSON: {"schema": {"type": "string", "description": words.LINES}}}


def _schemas() -> dict[str, Any]:
    rows = [row for row in FIELDS if row.in_api]
    types = [*_ANSWERS, *(row.bounded for row in rows)]
    found, components = msgspec.json.schema_components(types, ref_template=REF)
    properties = {row.name: _property(row, schema) for row, schema in zip(rows, found[len(_ANSWERS) :], strict=True)}
    request = {"type": "object", "description": words.REQUEST, "properties": properties, "additionalProperties": False}
    return {**components, REQUEST: request, NAMED: _NAME_ALONE}


def _property(row: Field, schema: dict[str, Any]) -> dict[str, Any]:
    """With the default where it is always the same: not the template's, nor the node's."""
    default = {"default": row.default} if (row.is_flag or row.choices) and row.start is None and not row.config else {}
    return {"description": words.FIELDS[row.name], **schema, **default}
