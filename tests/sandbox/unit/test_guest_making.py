"""Cancelling the creation of a guest, whose thread continues."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from pve_sandbox.guests.host import GuestSpec
from pve_sandbox.guests.kind import ROOT, GuestRecord
from pve_sandbox.guests.namespaced import NamespaceHost
from pve_sandbox.guests.rootfs.base import Base

BASE = Base(Path("/nowhere/base"), "test", "today", "0")
SPEC = GuestSpec(vmid=100, hostname="web", address="10.9.9.10/24")


async def test_a_guest_can_be_created_again_after_a_cancelled_creation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = NamespaceHost(tmp_path, ROOT)
    host._environment._base = BASE
    folder = host._folder(SPEC.vmid)
    folder.parent.mkdir()
    begun, go_on = threading.Event(), threading.Event()

    def build(_record: GuestRecord) -> None:
        folder.with_suffix(".new").mkdir()
        begun.set()
        assert go_on.wait(60)
        folder.with_suffix(".new").rename(folder)

    monkeypatch.setattr(host, "_build", build)
    making = asyncio.create_task(host.create(SPEC))
    assert await asyncio.to_thread(begun.wait, 60)
    making.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    over_before_its_thread = making.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert not over_before_its_thread
    assert not folder.exists()
    assert not host.exists(SPEC.vmid)
    await host.create(SPEC)
    assert host.exists(SPEC.vmid)


async def test_leftovers_of_a_failed_creation_do_not_block_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = NamespaceHost(tmp_path, ROOT)
    host._environment._base = BASE
    new = host._folder(SPEC.vmid).with_suffix(".new")
    new.parent.mkdir()
    faults = [OSError("disk full")]

    def build(_record: GuestRecord) -> None:
        new.mkdir()
        if faults:
            raise faults.pop()

    monkeypatch.setattr(host, "_build", build)
    with pytest.raises(OSError, match="disk full"):
        await host.create(SPEC)
    await host.create(SPEC)
    assert host.exists(SPEC.vmid)
