"""The door ``ssh``: an SSH server in the guest itself, by a key that was made for one creation."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from lxc_dashboard.errors import CommandFailedError, HostKeyError, KeyRefusedError
from lxc_dashboard.guest.base import Door
from lxc_dashboard.guest.entry import EntryDoor, EntryStream, conversation

SSH_PORT: Final = 22
_KEYS: Final = "/root/.ssh/authorized_keys"
# ``$1`` is the key itself, the second word of its line. What PVE puts around the keys that it was given goes when nothing
# is left in between, and a file and folder that were made for this key alone go with it. Whole at every moment.
_REMOVE: Final = f"""
set -eu
file={_KEYS}; new=$file.lxc-dashboard
rm -f "$new"
[ -f "$file" ] && grep -qF -e "$1" "$file" || exit 0
cp -p "$file" "$new"
{{ grep -vF -e "$1" "$file" || :; }} | sed -e '/^# --- BEGIN PVE ---$/{{
$!N
/\\n# --- END PVE ---$/d
}}' > "$new"
if grep -q '[^[:space:]]' "$new"; then
    mv -f "$new" "$file"
else
    rm -f "$new" "$file"
    rmdir "${{file%/*}}" 2>/dev/null || :
fi
"""


class SshDoor(EntryDoor):
    """One guest by its own SSH server; the address is the guest's, its host key that of the first contact."""

    kind = "ssh"

    def command(self) -> str:
        """As ``EntryDoor.command``: root's shell in the guest."""
        return shlex.join(conversation())

    @asynccontextmanager
    async def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> AsyncIterator[EntryStream]:
        """As ``EntryDoor.stream``. Raises ``KeyRefusedError`` besides."""
        where = f"CT {self._vmid} at {self._address.host}"
        try:
            async with super().stream(argv, stdin=stdin) as stream:
                yield stream
        except HostKeyError as error:
            raise HostKeyError(
                f"{where} shows another SSH host key than at first. Nothing was sent. "
                "Another machine may have taken its address, or its keys were made anew",
                detail=error.detail,
            ) from error
        except KeyRefusedError as error:
            raise KeyRefusedError(
                f"The SSH server of {where} refuses the key of this creation", detail=error.detail
            ) from error


async def remove_key(door: Door, public: str) -> None:
    """Take the key out of root's ``authorized_keys``; nothing where it is not there. Raises ``CommandFailedError``."""
    result = await door.run(["/bin/sh", "-c", _REMOVE, "sh", public.split()[1]])
    if result.exit_status != 0:
        raise CommandFailedError("Taking the key of this creation out", result.exit_status, result.error_text)
