"""Search results: a few of each kind, the best first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import new_id
from lxc_dashboard.services.monitor.rows import Row, Rows
from lxc_dashboard.services.templates.library.catalog import Named
from lxc_dashboard.state.search import HITS, Hit, containers_of, groups_of
from tests.unit.state.jobs.test_running import JOB


def rows(*guests: tuple[int, str, str]) -> Rows:
    return {vmid: Row(vmid, name, "pve1", "running", address=address) for vmid, name, address in guests}


ROWS = rows(
    (101, "proxy-01", "10.0.0.11"), (102, "web-01", "10.0.1.1"), (1021, "db-web", ""), (9102, "Mail", "10.0.0.102")
)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("web", ["102 web-01", "1021 db-web"]),
        ("102", ["102 web-01", "1021 db-web", "9102 Mail"]),
        ("10.0.0.1", ["101 proxy-01", "9102 Mail"]),
        ("MAIL 9102", ["9102 Mail"]),
        ("web mail", []),
        ("", []),
    ],
)
def test_containers_are_found_by_vmid_name_and_address(query: str, found: list[str]) -> None:
    assert [hit.title for hit in containers_of(ROWS, query)] == found


def test_only_some_of_thousands_are_listed() -> None:
    many = rows(*((vmid, f"web-{vmid}", "") for vmid in range(100, 5100)))
    assert [hit.title for hit in containers_of(many, "web")] == [
        f"{vmid} web-{vmid}" for vmid in range(100, 100 + HITS)
    ]


def test_a_container_links_to_its_row() -> None:
    [hit] = containers_of(ROWS, "proxy")
    assert hit == Hit("101 proxy-01", "pve1 · 10.0.0.11 · running", routes.containers(q="101 proxy-01"))


def test_empty_groups_are_left_out() -> None:
    template = Named(new_id(), "nginx-web", "shipped")
    templates, jobs = groups_of([], [template], [JOB, replace(JOB, percent=0)])
    assert (templates.title, templates.hits) == (
        text.NAV_TEMPLATES,
        [Hit("nginx-web", "shipped", routes.template(template.id))],
    )
    assert (jobs.title, jobs.hits[0].about) == (text.NAV_JOBS, "CT 101 · syncing 72 % · 2026-11-24")
    assert jobs.hits[0].href == routes.job(JOB.id)
