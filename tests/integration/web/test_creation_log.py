"""A job's log over HTTP: by number, searched, by phase, and whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from lxc_dashboard.api.v1.stream import LogStream
from lxc_dashboard.db.models import JobEvent, JobState, Phase
from lxc_dashboard.db.repositories.events import EventRepository
from lxc_dashboard.errors import UnreachableError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation import service
from lxc_dashboard.services.jobs.events import log as job_log
from lxc_dashboard.settings import Settings
from lxc_dashboard.text import in_words
from tests.integration.web.conftest import Visitor
from tests.integration.web.told_jobs import begin, coded, log, read, session_of, step, texts

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    " AND query LIKE '%job_event%'"
)


@pytest.fixture
async def rt(settings: Settings) -> AsyncIterator[Runtime]:
    async with Runtime.open(settings) as runtime:
        yield runtime


async def test_lines_are_read_by_number_and_from_the_end(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    await job.tell(step("begins"), log("\n".join(f"line {n}" for n in range(2, 1002)), 1000), log("last"))
    page = await read(signed_in, f"{job.base}/log?after=500&limit=3")
    assert [(line["seq"], line["text"]) for line in page["lines"]] == [(n, f"line {n}") for n in (501, 502, 503)]
    assert page["last"] == 1002
    assert texts(await read(signed_in, f"{job.base}/log?tail=2")) == ["line 1001", "last"]
    assert texts(await read(signed_in, f"{job.base}/log?after=1002")) == []
    first = (await read(signed_in, f"{job.base}/log?limit=1"))["lines"][0]
    assert (first["type"], first["phase"], first["script"]) == ("step", "syncing", "")


async def test_a_page_is_no_longer_than_it_may_be_and_odd_numbers_are_passed_over(
    rt: Runtime, signed_in: Visitor
) -> None:
    job = await begin(rt, signed_in)
    await job.tell(log("\n".join(map(str, range(3000))), 3000))
    assert len((await read(signed_in, f"{job.base}/log?limit=999999"))["lines"]) == 1000
    assert (await read(signed_in, f"{job.base}/log?after=-3&limit=x"))["lines"][0]["seq"] == 1


async def test_a_page_of_long_lines_is_read_a_megabyte_at_a_time_and_is_whole(
    rt: Runtime, signed_in: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, session = await begin(rt, signed_in), await session_of(rt, signed_in)
    await job.tell(log("short\nshorter", 2), *(log("y" * 60_000) for _ in range(60)), log("a\nb\nc", 3))
    loaded: list[int] = []
    between = EventRepository.between

    async def counted(*args: Any, **options: Any) -> Sequence[JobEvent]:
        rows = await between(*args, **options)
        loaded.append(sum(len(row.message) for row in rows))
        return rows

    monkeypatch.setattr(EventRepository, "between", counted)
    page = await job_log.page(rt, session, job.row.id, after=1, limit=63)
    assert [line.seq for line in page.lines] == list(range(2, 65))
    assert (page.lines[0].text, page.lines[-1].text, page.last) == ("shorter", "b", 65)
    assert len(loaded) > 2
    assert max(loaded) < job_log.READ_BYTES_AT_ONCE + 60_000


async def test_a_search_ends_when_its_client_leaves(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    await job.tell(log("a"))

    async def waiting() -> int:
        """How many queries wait for this test's lock: the server runs one search at a time."""
        async with rt.db.transaction() as tx:
            return await tx.session.scalar(text(WAITING)) or 0

    async def until_waiting(count: int) -> None:
        async with asyncio.timeout(60):
            while await waiting() != count:
                await asyncio.sleep(0.02)

    async with rt.db.transaction() as tx:
        await tx.session.execute(text("LOCK TABLE job_event IN ACCESS EXCLUSIVE MODE"))
        asking = asyncio.create_task(signed_in.get(f"{job.base}/log/search?q=a"))
        await until_waiting(1)
        asking.cancel()
        await until_waiting(0)
    assert (await read(signed_in, f"{job.base}/log/search?q=a"))["seqs"] == [1]


async def test_search_finds_what_is_shown_whatever_its_case_and_goes_on_where_it_stopped(
    rt: Runtime, signed_in: Visitor
) -> None:
    job = await begin(rt, signed_in)
    await job.tell(log("Setting up \x1b[32mnginx\x1b[0m\nUNPACKING NGINX\nnginx 10%\rdone\n100% _\\ ok", 4))
    await job.tell(*(log(f"nginx {n}") for n in range(120)))
    found = await read(signed_in, f"{job.base}/log/search?q=nginx")
    assert found["seqs"] == [1, 2, *range(5, 125)]
    assert (found["more"], found["last"]) == (False, 124)
    assert (await read(signed_in, f"{job.base}/log/search?q=nginx&after=122"))["seqs"] == [123, 124]
    assert (await read(signed_in, f"{job.base}/log/search?q=%25%20_%5C"))["seqs"] == [4]
    assert (await read(signed_in, f"{job.base}/log/search?q=32m"))["seqs"] == []
    assert (await read(signed_in, f"{job.base}/log/search?q="))["seqs"] == []


async def test_more_matches_than_can_be_told_are_named_as_more(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    await job.tell(log("\n".join(["same"] * 1500), 1500))
    found = await read(signed_in, f"{job.base}/log/search?q=same")
    assert (len(found["seqs"]), found["more"]) == (1000, True)


async def test_a_search_looks_at_so_many_rows_and_says_that_there_are_others(
    rt: Runtime, signed_in: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_log, "SEARCHED_ROWS_AT_MOST", 40)
    job, session = await begin(rt, signed_in), await session_of(rt, signed_in)
    await job.tell(*(log(f"\x1b[32mx{number}") for number in range(50)))
    hidden = await job_log.search(rt, session, job.row.id, "32m", in_words)
    assert (hidden.seqs, hidden.more) == ((), False)
    await job.tell(*(log(f"\x1b[32mx{number}") for number in range(50)))
    hidden = await job_log.search(rt, session, job.row.id, "32m", in_words)
    assert (hidden.seqs, hidden.more) == ((), True)
    shown = await job_log.search(rt, session, job.row.id, "x49", in_words)
    assert (shown.seqs, shown.more) == ((50, 100), False)


def log_stream(rt: Runtime, session: Session, job_id: UUID) -> LogStream:
    return LogStream(rt, session, job_id, partial(service.require_visible, rt, session, job_id))


async def test_a_long_log_is_read_in_small_pieces(rt: Runtime, signed_in: Visitor) -> None:
    job, session = await begin(rt, signed_in), await session_of(rt, signed_in)
    await job.tell(*(log("\n".join(["x"] * 500), 500) for _ in range(50)))
    await job.tell(*(log("y" * 60_000) for _ in range(30)))
    pieces = [piece async for piece in await job_log.whole(rt, session, job.row.id)]
    assert sum(map(len, pieces)) == 50 * 500 + 30
    assert max(map(len, pieces)) <= 500
    assert max(sum(len(line.text) for line in piece) for piece in pieces) < 100_000
    stream = log_stream(rt, session, job.row.id)
    stored = [piece async for piece in stream.stored(0)]
    await job.finish(JobState.DONE)
    followed = [piece async for piece in stream.follow(0)]
    for found, lines in ((stored, 25_030), (followed, 25_031)):
        assert sum(piece.count(b"\n") for piece in found) == lines + 1
        assert max(piece.count(b"\n") for piece in found) <= 500


async def test_a_log_that_cannot_be_read_to_its_end_says_so_in_its_last_object(rt: Runtime, signed_in: Visitor) -> None:
    job, session = await begin(rt, signed_in), await session_of(rt, signed_in)
    await job.tell(log("a"))
    for read_through in (log_stream(rt, session, uuid4()).stored, log_stream(rt, session, uuid4()).follow):
        (end,) = [json.loads(piece) async for piece in read_through(0)]
        assert (end["type"], end["state"]) == ("end", "")
        assert end["message"]

    async def away(*_: object) -> None:
        raise UnreachableError

    line, end = [json.loads(piece) async for piece in LogStream(rt, session, job.row.id, away).stored(0)]
    assert (line["text"], end) == ("a", {"type": "end", "state": "running", "message": ""})


async def test_each_phase_knows_its_lines(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    await job.tell(step("a", Phase.CREATING), log("b\nc", 2, Phase.CREATING), step("d"))
    await job.tell(step("e", Phase.CREATING), log("f"), log("g"))
    spans = (await read(signed_in, f"{job.base}/log/phases"))["spans"]
    assert spans == [["creating", 1, 3], ["syncing", 4, 4], ["creating", 5, 5], ["syncing", 6, 7]]


async def test_the_whole_log_is_a_file_of_plain_lines(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    await job.tell(step("begins"), log("\n".join(f"\x1b[31mline {n}\x1b[0m" for n in range(2, 3002)), 3000))
    response = await signed_in.get(f"{job.base}/log.txt")
    assert response.headers["content-disposition"] == f'attachment; filename="job-{job.row.id}.log"'
    lines = response.text.splitlines()
    assert len(lines) == 3001
    assert lines[-1].endswith("syncing    20-nginx.sh line 3001")


async def test_what_is_told_as_a_code_is_shown_found_and_downloaded_in_words(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    await job.tell(
        log("10.0.0.5 answers"), coded("guest.address", address="10.0.0.5\x1b[2J"), coded("guest.ports", ports=[22, 80])
    )
    words = ["10.0.0.5 answers", "Its address is 10.0.0.5", "Listens on 22, 80"]
    assert texts(await read(signed_in, f"{job.base}/log")) == words
    assert (await read(signed_in, f"{job.base}/log/search?q=10.0.0.5"))["seqs"] == [1, 2]
    assert (await read(signed_in, f"{job.base}/log/search?q=LISTENS%20on%2022"))["seqs"] == [3]
    assert (await read(signed_in, f"{job.base}/log/search?q=guest.ports"))["seqs"] == []
    response = await signed_in.get(f"{job.base}/log.txt")
    assert [line.partition(" - ")[2] for line in response.text.splitlines()[1:]] == words[1:]


async def test_the_api_gives_code_and_parameters_beside_the_words(rt: Runtime, signed_in: Visitor) -> None:
    job = await begin(rt, signed_in)
    await job.tell(log("printed"), coded("guest.address", address="10.0.0.5"))
    pieces = [piece async for piece in log_stream(rt, await session_of(rt, signed_in), job.row.id).stored(0)]
    lines = [json.loads(line) for line in pieces[0].splitlines()]
    assert [(line["text"], line["code"], line["params"]) for line in lines] == [
        ("printed", "", {}),
        ("Its address is 10.0.0.5", "guest.address", {"address": "10.0.0.5"}),
    ]
