"""The bound on packets for a page that does not read them."""

from __future__ import annotations

from engineio.packet import MESSAGE, PING, Packet  # type: ignore[import-untyped]

from lxc_dashboard.state.socket.sockets import UNSENT_BYTES, UnsentQueue

HALF = "x" * (UNSENT_BYTES // 2)


async def test_over_the_bound_the_queue_ends_and_takes_no_more() -> None:
    queue = UnsentQueue()
    for _ in range(20):
        await queue.put(Packet(MESSAGE, HALF))
    kept = [queue.get_nowait() for _ in range(queue.qsize())]
    assert [packet and packet.packet_type for packet in kept] == [MESSAGE, MESSAGE, MESSAGE, None]
    await queue.put(Packet(PING))
    assert queue.empty()


async def test_one_packet_may_be_larger_than_the_bound() -> None:
    queue = UnsentQueue()
    for _ in range(3):
        await queue.put(Packet(MESSAGE, HALF * 3))
        assert queue.get_nowait().data == HALF * 3


async def test_sent_packets_and_packets_without_text_do_not_count() -> None:
    queue = UnsentQueue()
    for _ in range(20):
        await queue.put(Packet(MESSAGE, HALF))
        await queue.put(Packet(PING))
        assert [queue.get_nowait().packet_type for _ in range(2)] == [MESSAGE, PING]
    await queue.put(None)
    assert queue.get_nowait() is None
