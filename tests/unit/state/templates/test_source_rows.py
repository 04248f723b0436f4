"""How the page of sources shows each source."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import SourceKind, now
from lxc_dashboard.messages import Message
from lxc_dashboard.services.templates.model import DiscoveryReport, Refusal
from lxc_dashboard.services.templates.sources.registry import SourceView
from lxc_dashboard.state.templates.sources import REFUSED_SHOWN, opened_of, row_of

VIEW = SourceView(
    id=UUID(int=7),
    name="team",
    kind=SourceKind.GIT,
    location="https://git.example.org/r",
    ref="main",
    subfolder="recipes",
    every_s=300,
    commit="0123456789abcdef",
    opened_with="password",
    host_key="",
    takes_webhooks=True,
    tried_at=now(),
    synced_at=now(),
    error="",
    report=DiscoveryReport("team", added=("a", "b"), removed=("c",)),
    templates=3,
    missing=1,
    created_by="ann@pve",
)
REFUSED = tuple(
    Refusal(f"t{number}/template.conf", number, Message(text="is wrong"), f"t{number}") for number in range(1, 104)
)


@pytest.mark.parametrize(
    ("view", "state", "tone"),
    [
        (VIEW, text.SOURCE_STATES["ok"], "good"),
        (replace(VIEW, error="gone"), text.SOURCE_STATES["error"], "bad"),
        (replace(VIEW, error="Removed by x", removed=True), text.SOURCE_STATE_REMOVED, "warm"),
        (replace(VIEW, synced_at=None), text.SOURCE_STATES["new"], "plain"),
        (replace(VIEW, report=DiscoveryReport("team", refused=REFUSED[:2])), "2 refused", "warm"),
        (replace(VIEW, kind=SourceKind.CUSTOM, synced_at=None), text.SOURCE_STATES["own"], "plain"),
    ],
)
def test_one_word_says_how_a_source_stands(view: SourceView, state: str, tone: str) -> None:
    row = row_of(view)
    assert (row.state, row.tone) == (state, tone)
    assert not row_of(replace(view, removed=True)).syncs
    assert row.syncs is (view.kind is SourceKind.GIT and not view.removed)
    assert opened_of(view).removed is view.removed


def test_a_row_names_place_and_what_is_missing() -> None:
    row = row_of(VIEW)
    assert row.location == "https://git.example.org/r/recipes @ main"
    assert (row.templates, row.missing, row.href) == ("3", "1 of 3 missing", routes.source(VIEW.id))
    assert (
        row_of(replace(VIEW, missing=0)).missing,
        row_of(replace(VIEW, tried_at=None, synced_at=None)).tried_at,
    ) == ("", "")


def test_an_open_source_tells_its_report_and_no_secret() -> None:
    opened = opened_of(VIEW)
    assert [(line.word, line.names) for line in opened.brought] == [("Added", "a, b"), ("Removed", "c")]
    assert (opened.schedule, opened.commit) == (text.SOURCE_SCHEDULES["300"], "0123456789ab")
    assert (opened.access, opened.webhook) == (text.SOURCE_OPENED_WITH["password"], routes.webhook(VIEW.id))
    assert opened_of(replace(VIEW, takes_webhooks=False)).webhook == ""
    assert opened_of(replace(VIEW, every_s=77)).schedule == "Every 77 s"


def test_a_long_report_is_cut_and_says_so() -> None:
    opened = opened_of(
        replace(VIEW, report=DiscoveryReport("team", refused=(*REFUSED, Refusal("x", 0, Message(text="is whole")))))
    )
    assert len(opened.refused) == REFUSED_SHOWN
    assert (opened.refused[0].place, opened.refused_more) == ("t1/template.conf:1", "and 4 more")
