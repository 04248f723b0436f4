"""The bus on a real Valkey."""

from __future__ import annotations

import asyncio
import time

from lxc_dashboard.bus import BEGINNING, Bus


async def test_a_server_that_answers_names_its_version(bus: Bus) -> None:
    await bus.ping()
    assert (await bus.version()).startswith("valkey 9.")


class TestStreams:
    async def test_a_late_reader_gets_everything_in_order(self, bus: Bus) -> None:
        for number in range(5):
            await bus.publish("s", [b"%d" % number, b"\xff\x00"], maxlen=100, ttl_s=60)
        entries = await bus.read_after("s", BEGINNING)
        assert [data for _, data in entries] == [data for n in range(5) for data in (b"%d" % n, b"\xff\x00")]

    async def test_a_reader_goes_on_after_the_last_id_he_knows(self, bus: Bus) -> None:
        last = await bus.publish("s", [b"old"], maxlen=100, ttl_s=60)
        await bus.publish("s", [b"new"], maxlen=100, ttl_s=60)
        assert [data for _, data in await bus.read_after("s", last)] == [b"new"]

    async def test_the_last_id_is_that_of_the_newest_entry(self, bus: Bus) -> None:
        assert await bus.last_id("s") == BEGINNING
        last = await bus.publish("s", [b"a", b"b"], maxlen=100, ttl_s=60)
        assert await bus.last_id("s") == last
        assert await bus.publish("s", [], maxlen=100, ttl_s=60) == last

    async def test_many_streams_are_told_in_one_call_each_its_own_in_order(self, bus: Bus) -> None:
        told = {"s": [b"1", b"2"], "t": [b"3"], "u": [b"%d" % number for number in range(9000)]}
        last = await bus.publish_all(told, maxlen=10_000, ttl_s=60, max_bytes=8 * 1024 * 1024)
        for stream, entries in told.items():
            found = await bus.read_after(stream, BEGINNING, count=10_000)
            assert [data for _, data in found] == entries
            assert 0 < await bus._client.pttl(stream) <= 60_000
        assert await bus.last_id("u") == last

    async def test_a_waiting_reader_is_woken_by_an_entry(self, bus: Bus) -> None:
        waiting = asyncio.create_task(bus.read_after("s", BEGINNING, block_ms=10_000))
        await bus.publish("s", [b"now"], maxlen=100, ttl_s=60)
        assert [data for _, data in await waiting] == [b"now"]

    async def test_a_reader_whose_time_is_up_gets_nothing(self, bus: Bus) -> None:
        assert await bus.read_after("s", BEGINNING, block_ms=10) == []
        assert await bus.read_after("s", BEGINNING) == []

    async def test_a_reader_takes_at_most_as_many_as_asked(self, bus: Bus) -> None:
        await bus.publish("s", [b"x"] * 10, maxlen=100, ttl_s=60)
        assert len(await bus.read_after("s", BEGINNING, count=3)) == 3

    async def test_a_stream_forgets_its_oldest_entries_over_its_length(self, bus: Bus) -> None:
        for start in range(0, 1000, 100):
            await bus.publish("s", [b"%d" % n for n in range(start, start + 100)], maxlen=200, ttl_s=60)
        kept = [data for _, data in await bus.read_after("s", BEGINNING)]
        assert 200 <= len(kept) < 400
        assert kept[-1] == b"999"

    async def test_a_stream_forgets_its_oldest_entries_over_its_size(self, bus: Bus) -> None:
        for number in range(60):
            await bus.publish("s", [b"%d " % number + b"x" * 10_000], maxlen=1000, ttl_s=60, max_bytes=200_000)
        kept = [data for _, data in await bus.read_after("s", BEGINNING)]
        assert 5 <= len(kept) <= 20
        assert kept[-1].startswith(b"59 ")
        assert await bus._client.memory_usage("s") <= 200_000

    async def test_a_single_entry_over_the_size_is_kept(self, bus: Bus) -> None:
        await bus.publish("s", [b"x" * 100_000], maxlen=10, ttl_s=60, max_bytes=1000)
        assert len(await bus.read_after("s", BEGINNING)) == 1

    async def test_a_stream_ends_after_its_time(self, bus: Bus) -> None:
        await bus.publish("s", [b"x"], maxlen=10, ttl_s=0.01)
        async with asyncio.timeout(60):
            while await bus.read_after("s", BEGINNING):
                await asyncio.sleep(0.005)
        assert await bus.last_id("s") == BEGINNING


class TestLeases:
    async def test_one_owner_holds_it_and_may_take_it_again(self, bus: Bus) -> None:
        assert await bus.acquire_lease("l", "me", 30)
        assert await bus.acquire_lease("l", "me", 30)
        assert not await bus.acquire_lease("l", "you", 30)
        assert await bus.lease_holder("l") == "me"

    async def test_of_many_who_want_it_at_once_one_gets_it(self, bus: Bus) -> None:
        wanted = await asyncio.gather(*(bus.acquire_lease("l", f"owner {n}", 30) for n in range(20)))
        assert sum(wanted) == 1

    async def test_another_cannot_release_or_renew_it(self, bus: Bus) -> None:
        await bus.acquire_lease("l", "me", 30)
        assert not await bus.release_lease("l", "you")
        assert not await bus.renew_lease("l", "you", 30)
        assert await bus.lease_holder("l") == "me"

    async def test_a_released_one_is_free(self, bus: Bus) -> None:
        await bus.acquire_lease("l", "me", 30)
        assert await bus.release_lease("l", "me")
        assert not await bus.release_lease("l", "me")
        assert await bus.lease_holder("l") == ""
        assert await bus.acquire_lease("l", "you", 30)

    async def test_one_that_ended_cannot_be_renewed(self, bus: Bus) -> None:
        await bus.acquire_lease("l", "me", 0.01)
        async with asyncio.timeout(60):
            while await bus.lease_holder("l"):
                await asyncio.sleep(0.005)
        assert not await bus.renew_lease("l", "me", 30)

    async def test_renewing_prolongs_it(self, bus: Bus) -> None:
        await bus.acquire_lease("l", "me", 40)
        assert await bus.renew_lease("l", "me", 60)
        assert await bus._client.pttl("l") > 50_000


class TestLimits:
    async def test_attempts_over_the_limit_are_told_how_long_to_wait(self, bus: Bus) -> None:
        assert [await bus.hit("r", 3, 60) for _ in range(3)] == [0, 0, 0]
        assert 30 <= await bus.hit("r", 3, 60) <= 60

    async def test_refused_attempts_do_not_prolong_the_window(self, bus: Bus) -> None:
        attempts = [await bus.hit("r", 1, 0.05)]
        async with asyncio.timeout(60):
            while len(attempts) == 1 or attempts[-1]:
                attempts.append(await bus.hit("r", 1, 0.05))
                await asyncio.sleep(0.005)
        assert (attempts[0], attempts[1], attempts[-1]) == (0, 1, 0)

    async def test_counters_are_apart(self, bus: Bus) -> None:
        assert await bus.hit("a", 1, 60) == 0
        assert await bus.hit("b", 1, 60) == 0
        assert await bus.hit("a", 1, 60) > 0

    async def test_a_deleted_counter_begins_anew(self, bus: Bus) -> None:
        await bus.hit("r", 1, 60)
        await bus.delete("r")
        assert await bus.hit("r", 1, 60) == 0

    async def test_an_attempt_given_back_counts_no_more_and_no_other_is_forgotten(self, bus: Bus) -> None:
        await bus.unhit("r")
        assert [await bus.hit("r", 2, 60) for _ in range(2)] == [0, 0]
        await bus.unhit("r")
        assert await bus.hit("r", 2, 60) == 0
        assert await bus.hit("r", 2, 60) > 0
        assert await bus._client.pttl("r") > 0

    async def test_who_is_paced_comes_in_at_once_then_one_after_the_other_and_nobody_waits_too_long(
        self, bus: Bus
    ) -> None:
        taken = [await bus.pace("p", at_once=3, each_s=60, patience_s=125) for _ in range(7)]
        assert [let_in for let_in, _ in taken] == [True] * 5 + [False] * 2
        assert [round(wait_s, -1) for _, wait_s in taken] == [0, 0, 0, 60, 120, 180, 180]
        assert (await bus.pace("q", at_once=3, each_s=60, patience_s=125))[0]

    async def test_the_pace_holds_however_fast_they_come(self, bus: Bus) -> None:
        began, let_in = time.monotonic(), 0
        while let_in < 12:
            came, wait_s = await bus.pace("p", at_once=4, each_s=0.05, patience_s=0)
            let_in += came
            await asyncio.sleep(0 if came else wait_s / 10)
        assert time.monotonic() - began >= 8 * 0.05 - 0.01

    async def test_attempts_at_once_are_all_counted(self, bus: Bus) -> None:
        waits = await asyncio.gather(*(bus.hit("r", 10, 60) for _ in range(50)))
        assert waits.count(0) == 10


class TestBlobs:
    async def test_a_blob_comes_back_as_it_was(self, bus: Bus) -> None:
        await bus.set("b", b"\x00\xff", ttl_s=60)
        assert await bus.get("b") == b"\x00\xff"
        assert await bus.get("nothing") is None

    async def test_a_blob_ends_after_its_time_unless_prolonged(self, bus: Bus) -> None:
        await bus.set("b", b"x", ttl_s=40)
        assert await bus.prolong("b", 60)
        assert await bus._client.pttl("b") > 50_000
        assert not await bus.prolong("nothing", 60)

    async def test_one_taker_gets_it(self, bus: Bus) -> None:
        await bus.set("b", b"x", ttl_s=60)
        taken = await asyncio.gather(*(bus.take("b") for _ in range(10)))
        assert taken.count(b"x") == 1
        assert taken.count(None) == 9

    async def test_a_new_one_is_set_once(self, bus: Bus) -> None:
        assert await bus.set_new("b", b"first", ttl_s=60)
        assert not await bus.set_new("b", b"second", ttl_s=60)
        assert await bus.get("b") == b"first"

    async def test_what_is_put_in_its_place_brings_out_what_was_there(self, bus: Bus) -> None:
        assert await bus.swap("b", b"first", ttl_s=60) is None
        assert await bus.swap("b", b"second", ttl_s=60) == b"first"
        assert await bus.get("b") == b"second"

    async def test_one_that_is_set_with_another_ends_with_it(self, bus: Bus) -> None:
        assert not await bus.set_with("b", b"x", other="nothing")
        assert await bus.get("b") is None
        await bus.set("other", b"y", ttl_s=40)
        await bus.set("b", b"old", ttl_s=60)
        assert await bus.set_with("b", b"x", other="other")
        assert await bus.get("b") == b"x"
        assert 0 < await bus._client.pttl("b") <= 40_000

    async def test_deleting_says_how_many_there_were(self, bus: Bus) -> None:
        await bus.set("b", b"x", ttl_s=60)
        assert await bus.delete("b", "nothing") == 1
        assert await bus.delete() == 0


class TestTimetables:
    async def test_what_is_due_is_taken_by_one_and_due_again_later(self, bus: Bus) -> None:
        for member, at in (("early", 10.5), ("late", 30), ("next", 20)):
            await bus.put_due("t", member, at=at, ttl_s=60)
        taken = await asyncio.gather(*(bus.take_due("t", until=20, again_at=40, count=5) for _ in range(5)))
        assert max(taken) == ["early", "next"]
        assert sum(map(len, taken)) == 2
        assert await bus.take_due("t", until=40, again_at=50, count=2) == ["late", "early"]

    async def test_what_is_dropped_or_put_off_is_not_due(self, bus: Bus) -> None:
        await bus.put_due("t", "a", at=10, ttl_s=60)
        await bus.put_due("t", "b", at=10, ttl_s=1)
        assert await bus._client.pttl("t") > 50_000
        await bus.put_due("t", "b", at=30, ttl_s=60)
        assert await bus.drop_due("t", "a")
        assert not await bus.drop_due("t", "a")
        assert await bus.take_due("t", until=20, again_at=40, count=5) == []


class TestSets:
    async def test_members_come_and_go(self, bus: Bus) -> None:
        await bus.add_member("m", "a", ttl_s=60)
        await bus.add_member("m", "b", ttl_s=60)
        assert await bus.members("m") == {"a", "b"}
        assert await bus.remove_member("m", "a")
        assert not await bus.remove_member("m", "a")
        assert await bus.members("m") == {"b"}

    async def test_a_member_of_short_life_does_not_shorten_the_sets(self, bus: Bus) -> None:
        await bus.add_member("m", "long", ttl_s=60)
        await bus.add_member("m", "short", ttl_s=1)
        assert await bus._client.pttl("m") > 50_000


class TestAnnouncements:
    async def test_all_who_listen_hear_it(self, bus: Bus) -> None:
        async with bus.listen("c") as one, bus.listen("c", "d") as other:
            await bus.announce("c", b"\x00hello")
            await bus.announce("d", b"there")
            assert await anext(one) == ("c", b"\x00hello")
            assert [await anext(other), await anext(other)] == [("c", b"\x00hello"), ("d", b"there")]

    async def test_nobody_hears_what_was_said_before(self, bus: Bus) -> None:
        await bus.announce("c", b"early")
        async with bus.listen("c") as heard:
            await bus.announce("c", b"now")
            assert await anext(heard) == ("c", b"now")
