"""Events and checkpoints are unchanged by the stream and the database. Also where a retry begins."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from lxc_dashboard.db.models import EventType, Phase
from lxc_dashboard.services.creation.service import from_failed_step
from lxc_dashboard.services.jobs.engine.run import Checkpoint
from lxc_dashboard.services.jobs.events.follow import _Follower
from lxc_dashboard.services.jobs.events.lines import ProgressEvent, decode, encode


def event(seq: int, *lines: str) -> ProgressEvent:
    return ProgressEvent(
        seq, EventType.LOG, Phase.SYNCING, 70, "\n".join(lines), datetime.now(UTC), lines=len(lines), script="a.sh"
    )


def test_an_event_survives_the_stream() -> None:
    first = event(7, "a", "ü")
    assert decode(encode(first)) == first


def test_the_rest_of_a_chunk_follows_a_number_in_it() -> None:
    chunk = event(10, "a", "b", "", "d")
    assert chunk.last == 13
    assert chunk.after(9) == chunk
    rest = chunk.after(11)
    assert rest
    assert (rest.seq, rest.lines, rest.message) == (12, 2, "\nd")
    assert chunk.after(13) is None


def test_of_events_with_a_gap_those_before_it_are_taken_and_each_number_once() -> None:
    nowhere: Any = None
    follower = _Follower(nowhere, uuid4(), 7)
    taken = follower._take([event(6, "old", "told"), event(8, "new"), event(10, "behind a gap")])
    assert [each.message for each in taken] == ["new"]
    assert follower._take([event(9, "between"), event(10, "behind a gap")])[-1].seq == 10


def test_a_checkpoint_survives_the_database_and_is_a_copy() -> None:
    checkpoint = Checkpoint(done=["a"], upid={"b": "UPID"}, offset={"c": 7}, facts={"held": ["x"]})
    values = checkpoint.to_json()
    checkpoint.facts["held"].append("y")
    assert values["facts"] == {"held": ["x"]}
    assert Checkpoint.from_json(values | {"later": 1}).to_json() == values


def test_a_step_that_is_run_again_has_another_name_and_starts_from_nothing() -> None:
    checkpoint = Checkpoint(done=["s"], upid={"s": "U"}, intent={"s": []}, offset={"s": 9}, lines={"s": 3}, active="s")
    checkpoint.told = ["s", "s:warnings", "st"]
    assert checkpoint.run_of("s") == "s"
    checkpoint.again("s")
    assert checkpoint.run_of("s") == "s.2"
    assert not checkpoint.is_done("s")
    assert not checkpoint.upid | checkpoint.intent | checkpoint.offset | checkpoint.lines
    assert checkpoint.told == ["st"]
    assert not checkpoint.active


def test_a_retry_begins_at_the_failed_step() -> None:
    done = ["create.check", "create.container", "phase.creating", "start.container", "start.init", "phase.starting"]
    done += ["deploy.prepare", "deploy.file.x", "script.001.a.sh"]
    checkpoint = from_failed_step(Checkpoint(done=done, failed="script.002.b.sh", active="script.002.b.sh"))
    assert checkpoint.done == ["create.check", "create.container", "deploy.file.x", "script.001.a.sh"]
    assert checkpoint.run_of("script.002.b.sh") == "script.002.b.sh.2"
    assert checkpoint.run_of("script.001.a.sh") == "script.001.a.sh"


def test_a_step_that_was_only_cut_off_is_adopted_by_a_retry() -> None:
    cut_off = Checkpoint(
        done=["create.check", "create.container"], active="script.001.a.sh", offset={"script.001.a.sh": 7}
    )
    checkpoint = from_failed_step(cut_off)
    assert checkpoint.run_of("script.001.a.sh") == "script.001.a.sh"
    assert checkpoint.offset == {"script.001.a.sh": 7}


def test_a_retry_of_the_create_looks_at_everything_again() -> None:
    checkpoint = from_failed_step(
        Checkpoint(
            done=["create.check"],
            failed="create.container",
            intent={"create.container": ["U1"]},
            upid={"create.container": "U2"},
        )
    )
    assert checkpoint.done == []
    assert "create.container" not in checkpoint.intent


def test_a_step_that_is_there_all_the_same_has_not_failed() -> None:
    checkpoint = Checkpoint(active="start.container", failed="start.container")
    checkpoint.mark_done("start.container")
    assert (checkpoint.done, checkpoint.active, checkpoint.failed) == (["start.container"], "", "")


def test_a_step_that_is_over_stands_there_once_however_often_that_is_told() -> None:
    checkpoint = Checkpoint(done=["a"], active="a")
    checkpoint.mark_done("a")
    assert (checkpoint.done, checkpoint.active) == (["a"], "")


def test_a_task_that_is_adopted_again_stands_there_once() -> None:
    checkpoint = Checkpoint()
    for upid in ("U1", "U2", "U2"):
        checkpoint.begin("create.container", upid)
    assert checkpoint.upid == {"create.container": "U2"}
    assert checkpoint.begun == {"create.container": ["U1", "U2"]}


def test_a_task_that_came_to_nothing_is_not_taken_for_the_next_one_of_its_step() -> None:
    checkpoint = Checkpoint(intent={"a": ["older"]}, lines={"a": 3}, failed="a")
    checkpoint.begin("a", "refused")
    checkpoint.came_to_nothing("a")
    checkpoint.came_to_nothing("a")
    assert checkpoint == Checkpoint(intent={"a": ["older", "refused"]}, begun={"a": ["refused"]})
