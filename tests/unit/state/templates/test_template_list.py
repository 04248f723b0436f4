"""The list of templates: the view in its address, filters, search, order and rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxc_dashboard import text
from lxc_dashboard.db.models import SourceKind, new_id
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.model import Refusal, RevisionSummary, TemplateConfig, TemplateSummary
from lxc_dashboard.state.templates.detail import Address, number_of
from lxc_dashboard.state.templates.revisions import revision_rows
from lxc_dashboard.state.templates.rows import (
    ABOUT_CHARS,
    FILTERS,
    LAYOUTS,
    SORTS,
    TemplateRow,
    View,
    matching,
    row_of,
    values_of,
)

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
SUMMARY = TemplateSummary(
    id=new_id(),
    name="web",
    description="Answers the world",
    config=TemplateConfig(app="Web", tags=("edge", "team"), os="debian", version="13"),
    source_name="shipped",
    source_kind=SourceKind.FOLDER,
    revision_id=new_id(),
    revision_number=7,
    scripts=2,
    files=1,
    packages=0,
    warnings=0,
    missing_since=None,
    updated_at=AT,
)

views = st.builds(
    View,
    q=st.text(max_size=40),
    tag=st.text(max_size=10),
    source=st.text(max_size=10),
    os=st.text(max_size=10),
    sort=st.sampled_from(list(SORTS)),
    down=st.booleans(),
    page=st.integers(1, 99_999),
    layout=st.sampled_from(["", *LAYOUTS]),
)


def row(name: str, **given: Any) -> TemplateRow:
    """A row named ``name`` with these fields."""
    return replace(row_of(replace(SUMMARY, id=new_id(), name=name)), **given)


@given(views)
def test_an_address_shows_the_view_that_it_was_made_of(view: View) -> None:
    query = dict(parse_qsl(urlsplit(view.address(page=view.page)).query, keep_blank_values=True))
    assert View.of(query) == view


@given(views, st.sampled_from(FILTERS), st.text(max_size=10))
def test_another_filter_begins_at_the_first_page(view: View, name: str, value: str) -> None:
    changed = View.of(dict(parse_qsl(urlsplit(view.address(**{name: value})).query)))
    assert (changed.page, getattr(changed, name), changed.q) == (1, value, view.q)


@given(st.dictionaries(st.sampled_from(["q", "sort", "page", "down", "layout", "tag"]), st.text(max_size=300)))
def test_any_address_is_a_view(query: dict[str, str]) -> None:
    view = View.of(query)
    assert view.sort in SORTS
    assert view.page >= 1
    assert len(view.q) <= 200


@pytest.mark.parametrize(
    ("query", "found"),
    [("", ["db", "web"]), ("WEB", ["web"]), ("world debian", ["db", "web"]), ("web edge", ["web"]), ("none", [])],
)
def test_every_word_has_to_be_found(query: str, found: list[str]) -> None:
    assert [shown.name for shown in matching([row("web"), row("db", tags=[])], View(q=query))] == found


def test_what_packages_and_scripts_hold_is_found_within_the_filters() -> None:
    web, db = row("web"), row("db", tags=["data"])
    deep = {web.id, db.id}
    assert matching([web, db], View(q="frobnicated"), deep) == [db, web]
    assert matching([web, db], View(q="frobnicated", tag="data"), deep) == [db]


@pytest.mark.parametrize(
    ("sort", "down", "order"),
    [
        ("name", False, ["a", "b", "c"]),
        ("name", True, ["c", "b", "a"]),
        ("updated", False, ["c", "a", "b"]),
        ("containers", False, ["b", "a", "c"]),
        ("containers", True, ["a", "c", "b"]),
    ],
)
def test_rows_are_sorted_and_equal_ones_by_name(sort: str, order: list[str], *, down: bool) -> None:
    rows = [
        row("c", updated_at="2026-11-24"),
        row("b", updated_at="2026-11-01", containers=3),
        row("a", updated_at="2026-11-20"),
    ]
    assert [shown.name for shown in matching(rows, View(sort=sort, down=down))] == order


def test_filters_offer_what_there_is_and_what_they_are_set_to() -> None:
    values = values_of([row("web"), row("bare", tags=["Data"], os="")], View(tag="gone"))
    assert values == {"tag": ["Data", "edge", "gone", "team"], "source": ["shipped"], "os": ["debian 13"]}


def test_a_row_tells_what_a_template_holds_in_short() -> None:
    shown = row_of(replace(SUMMARY, description="x" * 1000), 1)
    assert (shown.os, shown.revision, shown.holds, shown.containers_text) == (
        "debian 13",
        "r7",
        "1 file, 2 scripts",
        "1 container",
    )
    assert len(shown.description) == ABOUT_CHARS + 1
    assert (shown.marks, shown.trouble) == ([], "")


@pytest.mark.parametrize(
    ("changes", "marks"),
    [
        ({"refusal": Refusal("web/template.conf", 2, Message(text="why"), "web")}, [text.REFUSED_MARK]),
        ({"missing_since": AT}, [text.MISSING_MARK]),
        ({"missing_since": AT, "source_kind": SourceKind.CUSTOM}, [text.DELETED_MARK]),
        ({"warnings": 2}, ["2 findings"]),
        ({"config": TemplateConfig(app="Web", unprivileged=False)}, [text.PRIVILEGED_MARK]),
    ],
)
def test_a_row_is_marked_by_what_is_particular(changes: dict[str, Any], marks: list[str]) -> None:
    shown = row_of(replace(SUMMARY, **changes), drafted=True)
    assert [mark.word for mark in shown.marks] == [*marks, text.DRAFT_MARK]
    assert shown.trouble == marks[0]


def test_the_detail_s_address_names_template_tab_item_and_revision() -> None:
    path = f"/templates/{SUMMARY.id}"
    asked = Address.of(path, {"tab": "scripts", "item": "10-a.sh", "revision": "3"})
    assert (asked.template_id, asked.tab, asked.item, asked.number) == (SUMMARY.id, "scripts", "10-a.sh", 3)
    assert Address.of(path, {"tab": "nothing"}).tab == "config"


@pytest.mark.parametrize("value", ["", "0", "-1", "x", "²", "9" * 10, None])
def test_what_is_no_revision_s_number_is_none(value: object) -> None:
    assert number_of(value) is None


def test_each_revision_leads_to_what_it_changed_and_to_what_changed_since() -> None:
    made = [RevisionSummary(new_id(), number, "root@pam", "", AT) for number in (3, 2, 1)]
    newest, middle, first = revision_rows(SUMMARY.id, made)
    assert newest.change_href.endswith("old=2&new=3")
    assert middle.compare_href.endswith("old=2&new=3")
    assert (newest.compare_href, first.change_href) == ("", "")
