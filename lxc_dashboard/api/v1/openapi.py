"""The API's description, OpenAPI 3.1, generated from the types of requests and answers."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

import msgspec

from lxc_dashboard import routes, text
from lxc_dashboard.api.v1 import answers
from lxc_dashboard.db.models import JobState
from lxc_dashboard.services.creation.form.fields import BY_NAME, FIELDS, Field
from lxc_dashboard.services.jobs.acts import ACTS, Act

REF: Final = "#/components/schemas/{name}"
REQUEST: Final = "CreationRequest"
NAMED: Final = "CredentialsRequest"
NDJSON: Final = "application/x-ndjson"
_ANSWERS: Final = (
    answers.Creation,
    answers.Creations,
    answers.Failure,
    answers.Job,
    answers.Jobs,
    answers.Secrets,
    answers.Line,
    answers.End,
)
_CREDENTIALS_REQUEST: Final = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 255}},
    "required": ["name"],
    "additionalProperties": False,
}
_WITH_LOCATION: Final = frozenset({"createCreation", "retryJob"})
_COMMON_ERRORS: Final = (401, 422, 429, 502, 503)
_LOOKUP_ERRORS: Final = (403, 404)
_ONE: Final = f"{routes.API_CREATIONS}/{{job_id}}"
_JOB: Final = f"{routes.API_JOBS}/{{job_id}}"
_IN_BRACES: Final = re.compile(r"{(\w+)}")
_ID: Final = {"name": "job_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_VMID_SCHEMA: Final = {"type": "integer", "minimum": BY_NAME["vmid"].least, "maximum": BY_NAME["vmid"].most}
_VMID: Final[dict[str, Any]] = {"name": "vmid", "in": "path", "required": True, "schema": _VMID_SCHEMA}


def _query(name: str, what: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": what, "schema": schema}


_PAGE: Final = (
    _query("limit", text.API_LIMIT, {"type": "integer", "minimum": 1, "maximum": 500}),
    _query("before", text.API_BEFORE, {"type": "string", "format": "uuid"}),
)


@cache
def document() -> bytes:
    """The description as JSON, the same for all installations."""
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": text.API_TITLE, "version": "1", "description": text.API_ABOUT},
            "servers": [{"url": "/"}],
            "security": [{"token": []}],
            "paths": _paths(),
            "components": {"schemas": _schemas(), "securitySchemes": {"token": _token()}},
        }
    )


def _paths() -> dict[str, Any]:
    flag = {"type": "boolean"}
    unfinished = _query("unfinished", text.API_UNFINISHED, flag)
    vmid = {**_query("vmid", text.API_VMID_AGAIN, _VMID_SCHEMA), "required": True}
    creation = _json("Creation")
    return {
        routes.API_DOCUMENT: {"get": _document_call()},
        routes.API_CREATIONS: {
            "get": _call(
                "listCreations", text.API_LIST, {200: _json("Creations")}, [unfinished, *_PAGE], also=(403, 404)
            ),
            "post": _create_call(),
        },
        _ONE: {
            "get": _call("readCreation", text.API_READ, {200: creation}, [_ID], also=_LOOKUP_ERRORS),
            "delete": _call(
                "destroyCreation", text.API_DESTROY, {202: _json("Job")}, [_ID, vmid], also=(*_LOOKUP_ERRORS, 409)
            ),
        },
        f"{_ONE}/log": {"get": _log_call("readLog")},
        f"{_ONE}/credentials": {"post": _reveal_call()},
        f"{_ONE}/cancel": {
            "post": _call("cancelCreation", text.API_CANCEL, {202: creation}, [_ID], also=(*_LOOKUP_ERRORS, 409))
        },
        f"{_ONE}/go-on": {
            "post": _call("continueCreation", text.API_GO_ON, {202: creation}, [_ID], also=(*_LOOKUP_ERRORS, 409))
        },
        f"{_ONE}/retry": {
            "post": _call("retryCreation", text.API_RETRY, {202: creation}, [_ID], also=(*_LOOKUP_ERRORS, 409))
        },
        **_act_paths(),
        **_job_paths(),
    }


def _act_paths() -> dict[str, Any]:
    """The routes of all acts. A request's body has the fields of the act's ``params`` that are not in its path."""
    paths: dict[str, Any] = {}
    for found in ACTS.values():
        path = routes.api_act("{vmid}", found.route)
        paths.setdefault(path, {})[found.method.lower()] = _act_call(found)
    return paths


def _act_call(found: Act) -> dict[str, Any]:
    _, parts = msgspec.json.schema_components([found.params], ref_template=REF)
    schema = parts[found.params.__name__]
    in_path = _IN_BRACES.findall(found.route)
    named = [{"name": name, "in": "path", "required": True, "schema": schema["properties"][name]} for name in in_path]
    job = _json("Job")
    call = _call(
        found.name,
        text.API_ACTS[found.name],
        {202: job, 200: job},
        [_VMID, *named, _key(text.API_ACT_KEY)],
        also=(*_LOOKUP_ERRORS, 409, 413, 415),
    )
    properties = {name: value for name, value in schema["properties"].items() if name not in in_path}
    if not properties:
        return call
    required = [name for name in schema["required"] if name not in in_path]
    body = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return call | {"requestBody": {"required": bool(required), "content": {answers.JSON: {"schema": body}}}}


def _job_paths() -> dict[str, Any]:
    job = _json("Job")
    filters = [
        _query("kind", text.API_OF_KIND, {"type": "string"}),
        _query("vmid", text.API_OF_GUEST, _VMID_SCHEMA),
        _query("user", text.API_OF_USER, {"type": "string"}),
        _query("state", text.API_IN_STATE, {"type": "string", "enum": [state.value for state in JobState]}),
    ]
    return {
        routes.API_JOBS: {
            "get": _call("listJobs", text.API_LIST_JOBS, {200: _json("Jobs")}, [*filters, *_PAGE], also=(403, 404))
        },
        _JOB: {"get": _call("readJob", text.API_READ_JOB, {200: job}, [_ID], also=_LOOKUP_ERRORS)},
        f"{_JOB}/log": {"get": _log_call("readJobLog")},
        f"{_JOB}/cancel": {
            "post": _call("cancelJob", text.API_CANCEL_JOB, {202: job}, [_ID], also=(*_LOOKUP_ERRORS, 409))
        },
        f"{_JOB}/retry": {
            "post": _call(
                "retryJob",
                text.API_RETRY_JOB,
                {202: job, 200: job},
                [_ID, _key(text.API_ACT_KEY)],
                also=(*_LOOKUP_ERRORS, 409),
            )
        },
    }


def _log_call(name: str) -> dict[str, Any]:
    after = _query("after", text.API_AFTER, {"type": "integer", "minimum": 0, "maximum": 2**63 - 1})
    follow = _query("follow", text.API_FOLLOW, {"type": "boolean"})
    return _call(name, text.API_LOG, {200: _lines()}, [_ID, after, follow], also=_LOOKUP_ERRORS)


def _create_call() -> dict[str, Any]:
    creation = _json("Creation")
    call = _call(
        "createCreation",
        text.API_CREATE,
        {202: creation, 200: creation},
        [_key(text.API_KEY)],
        also=(403, 404, 409, 413, 415),
    )
    return call | {"requestBody": {"required": True, "content": _json(REQUEST)}}


def _reveal_call() -> dict[str, Any]:
    call = _call(
        "revealCredentials", text.API_CREDENTIALS, {200: _json("Secrets")}, [_ID], also=(*_LOOKUP_ERRORS, 409, 413, 415)
    )
    return call | {"requestBody": {"required": True, "content": _json(NAMED)}}


def _call(
    name: str, what: str, successes: dict[int, Any], parameters: list[dict[str, Any]], *, also: tuple[int, ...]
) -> dict[str, Any]:
    answered = {
        str(status): {"description": text.API_SUCCESSES[status], "content": content}
        for status, content in successes.items()
    }
    if name in _WITH_LOCATION or name in ACTS:
        answered["202"]["headers"] = {"Location": {"description": text.API_LOCATION, "schema": {"type": "string"}}}
    errors = {str(status): _error(status) for status in sorted({*_COMMON_ERRORS, *also})}
    endpoint = _query("endpoint", text.API_ENDPOINT, {"type": "string", "maxLength": 63})
    return {
        "operationId": name,
        "summary": what,
        "parameters": [*parameters, endpoint],
        "responses": {**answered, **errors},
    }


def _error(status: int) -> dict[str, Any]:
    error: dict[str, Any] = {"description": text.API_ERRORS[status], "content": _json("Failure")}
    if status in text.API_RETRY_LATER:
        error["headers"] = {"Retry-After": {"description": text.API_RETRY_AFTER, "schema": {"type": "integer"}}}
    return error


def _document_call() -> dict[str, Any]:
    content = {answers.JSON: {"schema": {"type": "object"}}}
    responses = {"200": {"description": text.API_DOCUMENT, "content": content}}
    return {"operationId": "readDescription", "summary": text.API_DOCUMENT, "security": [], "responses": responses}


def _key(what: str) -> dict[str, Any]:
    schema = {"type": "string", "format": "uuid"}
    return {"name": "Idempotency-Key", "in": "header", "description": what, "schema": schema}


def _token() -> dict[str, Any]:
    return {"type": "apiKey", "in": "header", "name": "Authorization", "description": text.API_TOKEN}


def _json(name: str) -> dict[str, Any]:
    return {answers.JSON: {"schema": {"$ref": REF.format(name=name)}}}


def _lines() -> dict[str, Any]:
    """One JSON object per line, which OpenAPI 3.1 cannot describe."""
    return {NDJSON: {"schema": {"type": "string", "description": text.API_LINES}}}


def _schemas() -> dict[str, Any]:
    rows = [row for row in FIELDS if row.in_api]
    types = [*_ANSWERS, *(row.bounded for row in rows)]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    properties = {row.name: _property(row, schema) for row, schema in zip(rows, schemas[len(_ANSWERS) :], strict=True)}
    request = {
        "type": "object",
        "description": text.API_REQUEST,
        "properties": properties,
        "additionalProperties": False,
    }
    return {**components, REQUEST: request, NAMED: _CREDENTIALS_REQUEST}


def _property(row: Field, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field. It has a default only if that depends on neither the template nor the node."""
    default = {"default": row.default} if (row.is_flag or row.choices) and row.start is None and not row.config else {}
    return {"description": text.API_FIELDS[row.name], **schema, **default}
