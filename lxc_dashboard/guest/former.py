"""What a guest brings along of another one: an OS template may be made from a container that was built here."""

from __future__ import annotations

from typing import Final

from lxc_dashboard.errors import CommandFailedError, WrongGuestError
from lxc_dashboard.guest.base import MARKER_FILE, STATE_FOLDER, Door

_OTHER_MARKER: Final = 96
# The state first: as long as it is there, the former marker says so.
_FORGET: Final = f"""
read -r found <{MARKER_FILE} && [ "$found" = "$1" ] || exit {_OTHER_MARKER}
rm -rf {STATE_FOLDER} && rm -f {MARKER_FILE}
"""


async def marker_of(door: Door) -> str:
    """What the guest carries. Raises ``CommandFailedError`` where that is nothing."""
    result = await door.run(["cat", MARKER_FILE])
    if result.exit_status != 0:
        raise CommandFailedError("Reading the marker", result.exit_status, result.error_text)
    return result.text.strip()


async def forget(door: Door, marker: str) -> None:
    """Take out ``marker`` and what steps have left beside it, so that none of them is taken for a new one.

    Raises ``WrongGuestError`` where the guest carries another marker, ``CommandFailedError``.
    """
    result = await door.run(["/bin/sh", "-c", _FORGET, "sh", marker])
    if result.exit_status == _OTHER_MARKER:
        raise WrongGuestError
    if result.exit_status != 0:
        raise CommandFailedError("Taking out the former marker", result.exit_status, result.error_text)
