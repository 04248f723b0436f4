"""The end of a command's input, sent in the very moment in which the server closes the channel."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import paramiko
import pytest
from paramiko.common import cMSG_CHANNEL_EOF

from lxc_dashboard.guest.pool import SshPool

if TYPE_CHECKING:
    from tests.unit.guest.conftest import Node

SENDS = "_send_user_message"
LATE_S = 0.3  # by then the command has ended, and the server has said so
SENT_WITHIN_S = 30.0


async def test_it_does_not_end_the_connection_that_other_entries_share(
    node: Node, pool: SshPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def said(command: str) -> bytes:
        async with pool.channel(node.address(), command) as channel:
            await channel.send(b"")
            return (await channel.read())[0]

    send = getattr(paramiko.Transport, SENDS)
    late, sent = threading.Event(), threading.Event()

    def send_late(transport: paramiko.Transport, message: paramiko.Message) -> None:
        is_late = late.is_set() and message.asbytes()[:1] == cMSG_CHANNEL_EOF
        if is_late:
            late.clear()
            time.sleep(LATE_S)
        send(transport, message)
        if is_late:
            sent.set()

    monkeypatch.setattr(paramiko.Transport, SENDS, send_late)
    async with pool.channel(node.address(), "echo begun; exec sleep 60") as other:
        assert (await other.read())[0] == b"begun\n"
        late.set()
        assert await said("echo short") == b"short\n"
        assert await asyncio.to_thread(sent.wait, SENT_WITHIN_S)
        assert await said("echo next") == b"next\n"
        assert node.accepted == 1, "all by one connection, which is there still"
