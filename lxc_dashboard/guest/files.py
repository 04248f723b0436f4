"""Files into and out of a guest. The guest compares their SHA-256 and replaces a file whole or not at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from lxc_dashboard.errors import CommandFailedError, GuestError, GuestUnreachableError
from lxc_dashboard.guest.base import Door
from lxc_dashboard.guest.codes import GuestCode
from lxc_dashboard.messages import Message

TRANSFER_TIMEOUT_S: Final = 300.0
_TRIES: Final = 3
_DAMAGED: Final = 92

# Arguments: directory, name, mode, owner or empty, policy, SHA-256, time stamp. stdin is the content.
_PLACE: Final = r"""
set -u; umask 077
target=${1%/}/$2; keep=$target.backup-$7
sum() { line=$(sha256sum <"$1") && printf '%s' "${line%% *}"; }
if [ ! -d "$1" ]; then
    up=$1
    while [ -n "$up" ] && [ ! -e "$up" ]; do up=${up%/*}; done
    if [ -n "$up" ] && [ ! -d "$up" ]; then echo "$up is not a directory" >&2; exit 1; fi
    echo held
    exit 0
fi
if [ -d "$target" ] && [ ! -L "$target" ]; then echo "$target is a directory" >&2; exit 1; fi
if [ -e "$target" ] || [ -L "$target" ]; then
    if [ -f "$target" ] && [ "$(sum "$target")" = "$6" ]; then echo same; exit 0; fi
    [ "$5" = default ] && { echo kept; exit 0; }
fi
new=${1%/}/.lxc-dashboard-$7.$$
trap 'rm -f "$new"' EXIT
: >"$new" || exit 1
if [ -n "$4" ] && ! error=$(chown "$4" "$new" 2>&1); then
    case $error in
    *nvalid*user* | *nvalid*group* | *nvalid*spec* | *nknown*user* | *nknown*group*) echo unowned; exit 0 ;;
    esac
    echo "$error" >&2
    exit 1
fi
cat >"$new" || exit 1
[ "$(sum "$new")" = "$6" ] || exit 92
chown "${4:-$(stat -L -c %u:%g "$1")}" "$new" && chmod "$3" "$new" || exit 1
result=written
if [ "$5" = backup ] && { [ -e "$target" ] || [ -L "$target" ]; }; then
    result=saved
    # A link first, so that there is no moment without the file; a rename where the file system knows no links.
    [ -e "$keep" ] || ln "$target" "$keep" 2>/dev/null || mv "$target" "$keep" || exit 1
fi
mv -f "$new" "$target" || exit 1
[ "$(sum "$target")" = "$6" ] || exit 92
echo "$result"
"""


class Placement(StrEnum):
    """The result of ``place``. ``held``: the directory does not exist yet. ``unowned``: the owner does not exist."""

    SAME = "same"
    KEPT = "kept"
    WRITTEN = "written"
    SAVED = "saved"
    HELD = "held"
    UNOWNED = "unowned"


@dataclass(frozen=True, slots=True)
class GuestFile:
    """A file for a guest.

    ``owner``: ``user`` or ``user:group``, empty for the directory's. ``stamp`` names a backup: YYYYMMDD-HHMMSS.
    """

    directory: str
    name: str
    content: bytes = field(repr=False)
    policy: Literal["replace", "default", "backup"]
    stamp: str
    mode: int = 0o644
    owner: str = ""

    def __post_init__(self) -> None:
        if not self.directory.startswith("/") or "\0" in self.directory:
            raise GuestError(Message.of(GuestCode.NOT_ABSOLUTE, name=self.name))
        if not self.name or "/" in self.name or self.name in {".", ".."} or "\0" in self.name:
            raise GuestError(Message.of(GuestCode.NOT_A_FILE_NAME, name=repr(self.name)))

    @property
    def path(self) -> str:
        return f"{self.directory.rstrip('/')}/{self.name}"


async def place(door: Door, file: GuestFile) -> Placement:
    """Write the file as its policy says. A repetition changes nothing.

    Retries a damaged transfer. Raises ``CommandFailedError``, ``GuestUnreachableError``.
    """
    for _ in range(_TRIES):
        result = await door.run(_argv(file), stdin=file.content, timeout_s=TRANSFER_TIMEOUT_S)
        word = result.text.strip()
        if result.exit_status == 0 and word in set(Placement):
            return Placement(word)
        # Status 0 without our word is no success: pct exits 0 after some failures.
        if result.exit_status not in {0, _DAMAGED}:
            writing = Message.of(GuestCode.WRITING_FILE, path=file.path)
            raise CommandFailedError(writing, result.exit_status, result.error_text)
    raise GuestUnreachableError(Message.of(GuestCode.DAMAGED_AGAIN, path=file.path, tries=_TRIES))


def _argv(file: GuestFile) -> list[str]:
    checksum = hashlib.sha256(file.content).hexdigest()
    return [
        "/bin/sh", "-c", _PLACE, "sh", file.directory, file.name, f"{file.mode:04o}", file.owner, file.policy,
        checksum, file.stamp,
    ]  # fmt: skip


async def read(door: Door, path: str, *, limit_bytes: int = 8 * 1024 * 1024) -> bytes:
    """Read a file of the guest and compare its SHA-256. Raises ``CommandFailedError``, ``GuestUnreachableError``."""
    script = 'sha256sum <"$1" >&2 && cat "$1"'
    result = await door.run(
        ["/bin/sh", "-c", script, "sh", path], limit_bytes=limit_bytes, timeout_s=TRANSFER_TIMEOUT_S
    )
    if result.exit_status != 0:
        reading = Message.of(GuestCode.READING_FILE, path=path)
        raise CommandFailedError(reading, result.exit_status, result.error_text)
    if result.error_text.split()[:1] != [hashlib.sha256(result.stdout).hexdigest()]:
        raise GuestUnreachableError(Message.of(GuestCode.DAMAGED, path=path))
    return result.stdout
