"""The description of the API agrees with its code."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from starlette.routing import Route

from lxc_dashboard import routes, text
from lxc_dashboard.api.v1 import answers
from lxc_dashboard.api.v1.openapi import document
from lxc_dashboard.api.v1.site import v1_routes
from lxc_dashboard.errors import DashboardError
from lxc_dashboard.services.creation.form.fields import BY_NAME

DOCUMENT = json.loads(document())


def described() -> Iterator[tuple[str, str]]:
    for path, methods in DOCUMENT["paths"].items():
        for method in methods:
            yield method.upper(), path


def test_every_route_is_described_and_nothing_else() -> None:
    there = {
        (method, route.path)
        for route in v1_routes()
        if isinstance(route, Route) and not route.path.endswith("{rest:path}")
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert there == set(described())


def test_the_vmid_of_a_path_has_the_bounds_of_the_form() -> None:
    schemas = [
        parameter["schema"]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "vmid"
    ]
    row = BY_NAME["vmid"]
    assert schemas
    assert all((schema["minimum"], schema["maximum"]) == (row.least, row.most) for schema in schemas)


def test_every_operation_takes_the_endpoint_and_says_how_it_is_refused() -> None:
    for method, path in described():
        operation = DOCUMENT["paths"][path][method.lower()]
        if path == routes.API_DOCUMENT:
            assert operation["security"] == []
            continue
        assert "endpoint" in {parameter["name"] for parameter in operation["parameters"]}
        assert {"401", "422", "429", "502", "503"} <= set(operation["responses"])


@pytest.mark.parametrize(("kind", "status"), answers.STATUSES)
def test_every_status_of_a_refusal_is_described(kind: type[DashboardError], status: int) -> None:
    assert status in text.API_ERRORS, kind


def test_a_description_names_no_machine() -> None:
    assert "127.0.0.1" not in document().decode()
