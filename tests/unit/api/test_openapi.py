"""The API's description and its code say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from starlette.routing import Route

from lxc_dashboard import routes
from lxc_dashboard.api.v1 import answers, words
from lxc_dashboard.api.v1.openapi import document
from lxc_dashboard.api.v1.site import v1_routes
from lxc_dashboard.errors import DashboardError, InvalidInputError
from lxc_dashboard.services.creation.form.request_body import FIELDS
from lxc_dashboard.services.creation.form.validation import validate

DOCUMENT = json.loads(document())
# Read before ``validate`` has its turn.
BEFORE = {"template", "password"}


class Read(dict[str, object]):
    """Remembers which keys were asked for."""

    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, key: str, default: object = None) -> Any:
        self.names.add(key)
        return super().get(key, default)


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


def test_every_field_of_a_request_has_its_words_and_is_read() -> None:
    assert set(words.FIELDS) == set(FIELDS) == set(DOCUMENT["components"]["schemas"]["CreationRequest"]["properties"])
    sent = Read({"ipv4_mode": "static", "ipv6_mode": "static"})
    with pytest.raises(InvalidInputError):
        validate(sent)
    assert set(FIELDS) - BEFORE <= sent.names
    assert sent.names - set(FIELDS) == {"revision_id"}


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
    assert status in words.REFUSED, kind


def test_a_description_names_no_machine() -> None:
    assert "127.0.0.1" not in document().decode()
