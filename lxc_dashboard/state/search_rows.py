"""What a search has found, as the dialog lists it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from lxc_dashboard import routes, text
from lxc_dashboard.services.jobs.views import JobView
from lxc_dashboard.services.templates.library.catalog import Named
from lxc_dashboard.state.jobs.rows import title_of, word_of

if TYPE_CHECKING:
    from lxc_dashboard.services.monitor.rows import Row

QUERY_CHARS: Final = 100
HITS: Final = 8


@dataclass(frozen=True)
class Hit:
    """``href`` leads to it; ``about`` tells it from others of its name."""

    title: str
    about: str
    href: str


@dataclass(frozen=True)
class Group:
    """At most ``HITS`` of a kind."""

    title: str
    hits: list[Hit]


def containers_of(rows: Mapping[int, Row], query: str) -> list[Hit]:
    """Those whose vmid, name and address hold every word; what begins with the first word stands first."""
    words = query.lower().split()
    if not words:
        return []

    def rank(row: Row) -> tuple[bool, bool, int]:
        vmid = str(row.vmid)
        begins = vmid.startswith(words[0]) or row.name.lower().startswith(words[0])
        return vmid != words[0], not begins, row.vmid

    fitting = (row for row in rows.values() if all(word in _text(row) for word in words))
    return [_container(row) for row in nsmallest(HITS, fitting, key=rank)]


def groups_of(containers: list[Hit], templates: Iterable[Named], jobs: Sequence[JobView]) -> list[Group]:
    """Without the kinds of which there are none."""
    found = {
        text.NAV_CONTAINERS: containers,
        text.NAV_TEMPLATES: [Hit(each.name, each.source, routes.template(each.id)) for each in templates],
        text.NAV_JOBS: [_job(job) for job in jobs],
    }
    return [Group(title, hits) for title, hits in found.items() if hits]


def _text(row: Row) -> str:
    return f"{row.vmid} {row.name} {row.address}".lower()


def _container(row: Row) -> Hit:
    about = " · ".join(part for part in (row.node, row.address, row.status) if part)
    return Hit(f"{row.vmid} {row.name}", about, routes.containers(q=f"{row.vmid} {row.name}"))


def _job(job: JobView) -> Hit:
    return Hit(title_of(job), f"{text.CT} {job.vmid} · {word_of(job)} · {job.created_at:%Y-%m-%d}", routes.job(job.id))
