"""Guests of the sandbox node. ``pick_host`` takes the best kind that this machine allows.

Kept light: ``launch.py`` runs below this package in a program that must start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pve_sandbox.guests.host import GuestHost

KINDS = ("auto", "root", "rootless", "rootless-single", "systemd", "simulated")


async def pick_host(data_dir: Path, kind: str = "auto") -> GuestHost:
    """An open host of ``kind``, or for ``auto`` the best one (never ``systemd``, whose guests take seconds); ``description`` says what works in its guests.

    Each kind is tried with a guest that really starts. ``InvalidInputError`` for an unknown kind, ``GuestError`` when
    a kind that was asked for by name is not possible here, ``ConflictError`` when another sandbox uses ``data_dir``.
    """
    from pve_sandbox.guests.selection import pick

    return await pick(data_dir, kind)
