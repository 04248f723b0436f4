"""Shared by pages of templates: rows with their filters, order and address, and whether the user may change templates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.library.drafts import OWN_KINDS
from lxc_dashboard.services.templates.model import DiscoveryReport, Finding, TemplateSummary
from lxc_dashboard.state.base import requires, runtime, session

ASKED_EVERY_S: Final = 30.0


class AuthoringState(rx.State):
    """``may_author``: whether to show the actions. Each action checks the privilege again."""

    may_author: bool = False
    _asked_at: float = -ASKED_EVERY_S

    @requires(background=True)
    async def ask(self) -> None:
        """Ask PVE for the user's privilege. If PVE does not answer, a notice says so and no actions are shown."""
        rt, who = runtime(), session()
        async with self:
            if time.monotonic() - self._asked_at < ASKED_EVERY_S:
                return
        allowed = await rights.may_author(rt, who)
        async with self:
            # Set only after the answer: leaving the page cancels this handler, and the next page must ask again.
            self._asked_at = time.monotonic()
            self.may_author = allowed


QUERY_CHARS: Final = 200
PAGE_ROWS: Final = 50
ABOUT_CHARS: Final = 240
FILTERS: Final = ("tag", "source", "os")
LAYOUTS: Final = ("table", "cards")


@dataclass(frozen=True)
class Mark:
    """A property of a template in one word; ``detail`` explains it on hover."""

    word: str
    tone: str = "plain"
    detail: str = ""


@dataclass(frozen=True)
class TemplateRow:
    """A template in the list. ``holds`` counts its parts; ``trouble`` is empty for a template without problems."""

    id: str
    name: str
    description: str
    tags: list[str]
    os: str
    source: str
    revision: str
    holds: str
    trouble: str
    href: str
    create_href: str
    updated_at: str = ""
    containers: int = 0
    containers_text: str = ""
    containers_href: str = ""
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True)
class Refused:
    """The place and reason of a template that could not be read, or of a finding."""

    source: str
    place: str
    why: str


def finding_row(finding: Finding) -> Refused:
    """A finding with its file and line."""
    place = f"{finding.file}:{finding.line}" if finding.line else finding.file
    return Refused("", place, text.in_words_of(finding.message))


@dataclass(frozen=True)
class View:
    """Filters, order and page of the list, as in the address. ``layout`` empty: the last layout of the browser."""

    q: str = ""
    tag: str = ""
    source: str = ""
    os: str = ""
    sort: str = "name"
    down: bool = False
    page: int = 1
    layout: str = ""

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> View:
        """Parse the query of an address. Ignores invalid values."""
        given = {name: str(query.get(name, ""))[:QUERY_CHARS] for name in ("q", *FILTERS, "sort", "page", "layout")}
        page = given["page"]
        return cls(
            q=given["q"],
            tag=given["tag"],
            source=given["source"],
            os=given["os"],
            sort=given["sort"] if given["sort"] in SORTS else "name",
            down=str(query.get("down", "")) == "1",
            page=int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 6 and int(page) else 1,  # noqa: PLR2004
            layout=given["layout"] if given["layout"] in LAYOUTS else "",
        )

    def typed_over(self, led: View | None, typed: str) -> View:
        """This view with the text that the user typed after choosing the view ``led``."""
        return replace(self, q=typed, page=1) if self == led and typed != self.q else self

    def address(self, **changed: Any) -> str:
        """The list's address with this view and ``changed``. Goes back to the first page by default."""
        view = replace(self, **({"page": 1} | changed))
        query = {name: getattr(view, name) for name in ("q", *FILTERS) if getattr(view, name)}
        query |= {"sort": view.sort} if view.sort != "name" else {}
        query |= {"down": "1"} if view.down else {}
        query |= {"page": str(view.page)} if view.page > 1 else {}
        query |= {"layout": view.layout} if view.layout else {}
        return f"{routes.TEMPLATES}?{urlencode(query)}" if query else routes.TEMPLATES


def _by_count(row: TemplateRow) -> int:
    return -row.containers


def _by_name(row: TemplateRow) -> str:
    return row.name.lower()


# Sort keys, ascending. The most used and the newest come first.
SORTS: Final[Mapping[str, Callable[[TemplateRow], Any]]] = {
    "name": _by_name,
    "updated": lambda row: row.updated_at,
    "containers": _by_count,
    "source": lambda row: row.source.lower(),
    "os": lambda row: row.os.lower(),
}
_NEWEST_FIRST: Final = frozenset({"updated"})


def row_of(summary: TemplateSummary, containers: int = 0, *, drafted: bool = False) -> TemplateRow:
    """The row of a template. ``containers``: how many were built from it; ``drafted``: the user has a draft of it."""
    config = summary.config
    counts = (
        (summary.packages, "package"),
        (summary.files, "file"),
        (summary.scripts, "script"),
    )
    marks = _marks(summary, drafted=drafted)
    return TemplateRow(
        id=str(summary.id),
        name=summary.name,
        description=_short(summary.description),
        tags=list(summary.tags),
        os=f"{config.os} {config.version}".strip(),
        source=summary.source_name,
        revision=f"r{summary.revision_number}",
        holds=", ".join(counted(count, noun) for count, noun in counts if count),
        trouble=next((mark.word for mark in marks if mark.tone in {"warm", "bad"}), ""),
        href=routes.template(summary.id),
        create_href=routes.create(summary.id),
        updated_at=summary.updated_at.isoformat(),
        containers=containers,
        containers_text=counted(containers, "container"),
        containers_href=routes.template_tab(summary.id, "containers"),
        marks=marks,
    )


def _short(description: str) -> str:
    return description if len(description) <= ABOUT_CHARS else f"{description[:ABOUT_CHARS]}…"


def _marks(summary: TemplateSummary, *, drafted: bool) -> list[Mark]:
    marks = []
    if summary.refusal:
        marks.append(
            Mark(text.REFUSED_MARK, "bad", text.REFUSED_NOTE.format(why=text.with_remedy(summary.refusal.why)))
        )
    elif summary.missing_since and summary.source_kind in OWN_KINDS:
        marks.append(Mark(text.DELETED_MARK, "warm", text.DELETED_NOTE))
    elif summary.missing_since:
        marks.append(Mark(text.MISSING_MARK, "warm", text.MISSING_NOTE))
    if summary.warnings:
        marks.append(Mark(counted(summary.warnings, "finding"), "warm", text.FINDINGS_MARK_NOTE))
    if not summary.config.unprivileged:
        marks.append(Mark(text.PRIVILEGED_MARK, "warm", text.PRIVILEGED_MARK_NOTE))
    if drafted:
        marks.append(Mark(text.DRAFT_MARK, "accent", text.DRAFT_MARK_NOTE))
    return marks


def counted(count: int, noun: str) -> str:
    """A count with its noun: ``1 file``, ``3 files``."""
    one, many = text.COUNTED[noun]
    return one if count == 1 else many.format(count=f"{count:,}")


def refusals_of(reports: Iterable[DiscoveryReport]) -> list[Refused]:
    return [
        Refused(
            report.source,
            f"{refusal.file}:{refusal.line}" if refusal.line else refusal.file,
            text.with_remedy(refusal.why),
        )
        for report in reports
        for refusal in report.refused
    ]


def words_of(query: str) -> list[str]:
    """The distinct words of a query."""
    return list(dict.fromkeys(query.lower().split()))


def matching(rows: Iterable[TemplateRow], view: View, deep: AbstractSet[str] = frozenset()) -> list[TemplateRow]:
    """The rows that pass the filters and contain every word of the query, in the view's order.

    ``deep``: ids of templates whose packages or scripts contain the words.
    """
    words = words_of(view.q)
    found = [row for row in rows if _passes(row, view) and (row.id in deep or _holds(row, words))]
    found.sort(key=_by_name)
    found.sort(key=SORTS[view.sort], reverse=view.down != (view.sort in _NEWEST_FIRST))
    return found


def _passes(row: TemplateRow, view: View) -> bool:
    return (
        (not view.tag or view.tag in row.tags)
        and (not view.source or view.source == row.source)
        and (not view.os or view.os == row.os)
    )


def _holds(row: TemplateRow, words: Sequence[str]) -> bool:
    if not words:
        return True
    shown = "\n".join((row.name, row.description, row.os, row.source, *row.tags)).lower()
    return all(word in shown for word in words)


def values_of(rows: Iterable[TemplateRow], view: View) -> dict[str, list[str]]:
    """The possible values of each filter of ``FILTERS``, including the current one."""
    found: dict[str, set[str]] = {name: {getattr(view, name)} - {""} for name in FILTERS}
    for row in rows:
        found["tag"].update(row.tags)
        found["source"].add(row.source)
        found["os"].update({row.os} - {""})
    return {name: sorted(values, key=str.lower) for name, values in found.items()}
