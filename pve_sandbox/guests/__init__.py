"""Guests of the sandbox node.

Imports nothing at the top, because ``launch.py`` is below this package and must start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pve_sandbox.guests.host import GuestHost

KINDS = ("auto", "root", "rootless", "rootless-single", "systemd", "simulated")


async def pick_host(data_dir: Path, kind: str = "auto") -> GuestHost:
    """Open the host for guests of ``kind``. ``auto`` selects the best kind, except ``systemd``.

    Each kind is tried with a guest that really starts. ``description`` of the host says what works. Guests with
    systemd take seconds to start. ``InvalidInputError`` for an unknown kind. ``GuestError`` if this machine does not
    allow the named kind. ``ConflictError`` if another sandbox uses ``data_dir``.
    """
    from pve_sandbox.guests.selection import pick

    return await pick(data_dir, kind)
