"""The notes in PVE that name the job of a container."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from lxc_dashboard.services.creation.form import readers
from lxc_dashboard.services.creation.steps import notes
from lxc_dashboard.services.jobs import identity


def test_notes_tell_whose_container_it_is() -> None:
    mine, other = uuid4(), uuid4()
    making = notes.while_creating("My notes", mine)
    assert notes.is_of(making, mine)
    assert not notes.is_of(making, other)
    assert identity.without_lines(making) == "My notes"
    ready = notes.when_ready(
        "My notes", mine, built_from="web r3", userid="root@pam", at=datetime(2026, 11, 24, 9, 5, tzinfo=UTC)
    )
    assert notes.is_of(ready, mine)
    assert identity.without_lines(ready) == (
        "My notes\n\n---\n\nBuilt by LXC Dashboard from **web r3**, 2026-11-24 09:05 UTC, by root@pam"
    )
    assert notes.when_ready(ready, mine, built_from="web r4", userid="b@pam", at=datetime.now(UTC)) == ready
    assert identity.without_lines(
        notes.when_ready("", mine, built_from="", userid="a@pve", at=datetime.now(UTC))
    ).startswith("Created")


def test_the_longest_notes_fit_with_ours_behind_them_into_what_pve_takes() -> None:
    made = uuid4()
    ready = notes.when_ready(
        notes.while_creating("x" * readers.DESCRIPTION_MAX_CHARS, made),
        made,
        built_from=f"{'n' * 63} r{10**9}",
        userid="u" * 64,
        at=datetime.now(UTC),
    )
    assert notes.is_of(ready, made)
    assert len(ready) <= 8192
