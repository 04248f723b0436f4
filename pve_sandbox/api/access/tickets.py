"""Tickets, CSRF tokens and TFA challenges in PVE's format, signed with a key on disk; and TOTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from pve_sandbox.store import write_atomically

STEP_S = 30
DIGITS = 6
TOLERANCE_STEPS = 1


def code_at(secret: str, step: int) -> str:
    """The code of a base32 ``secret`` in time step ``step`` (epoch seconds // 30)."""
    padded = secret.upper() + "=" * (-len(secret) % 8)
    digest = hmac.new(base64.b32decode(padded), struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def matching_step(secret: str, code: str, now: float, last_step: int) -> int | None:
    """Return the time step of ``code``, or ``None``. Steps up to ``last_step`` are used already."""
    current = int(now // STEP_S)
    for step in range(current - TOLERANCE_STEPS, current + TOLERANCE_STEPS + 1):
        if step > last_step and hmac.compare_digest(code_at(secret, step), code):
            return step
    return None


def next_code(secret: str, now: float, last_step: int) -> str:
    """Return the code of the first unused step that ``matching_step`` accepts now."""
    return code_at(secret, max(int(now // STEP_S) - TOLERANCE_STEPS, last_step + 1))


TICKET_LIFETIME_S = 7200
EARLIEST_S = -300  # tolerance for a clock that is ahead
CONSOLE_TICKET_LIFETIME_S = 40
KEY_BYTES = 64
SIGNATURE_BYTES = 256  # the length of a real node's RSA signature
TICKET = re.compile(r"^(PVE|PVEVNC):(.+):([0-9A-F]{8})::([A-Za-z0-9+/=]+)$")


@dataclass(frozen=True, slots=True)
class TicketContent:
    """The content of a valid ticket. ``subject`` is a userid or ``!tfa!<challenge>``."""

    subject: str
    age_s: float


class TicketIssuer:
    """Issue and verify tickets. ``skew_s`` moves the clock in tests."""

    def __init__(self, key_file: Path, lifetime_s: float = TICKET_LIFETIME_S) -> None:
        self.key_file = key_file
        self.lifetime_s = lifetime_s
        self.skew_s = 0.0
        self._key = key_file.read_bytes() if key_file.exists() else b""
        if len(self._key) != KEY_BYTES:
            self.new_key()

    def new_key(self) -> None:
        """Invalidate every ticket issued so far."""
        self._key = secrets.token_bytes(KEY_BYTES)
        write_atomically(self.key_file, self._key)

    def now(self) -> float:
        return time.time() + self.skew_s

    def issue(self, subject: str, *, prefix: str = "PVE", bound_to: str = "") -> str:
        plain = f"{prefix}:{subject}:{int(self.now()):08X}"
        return f"{plain}::{self._sign(plain, bound_to)}"

    def open(
        self, ticket: str, *, prefix: str = "PVE", bound_to: str = "", lifetime_s: float | None = None
    ) -> TicketContent | None:
        """Verify a ticket. ``None`` if it is malformed, forged, expired or bound to something else."""
        match = TICKET.match(ticket)
        if match is None or match.group(1) != prefix:
            return None
        plain = ticket.rpartition("::")[0]
        if not hmac.compare_digest(self._sign(plain, bound_to), match.group(4)):
            return None
        age = self.now() - int(match.group(3), 16)
        limit = self.lifetime_s if lifetime_s is None else lifetime_s
        return TicketContent(match.group(2), age) if EARLIEST_S < age < limit else None

    def csrf(self, userid: str) -> str:
        stamp = f"{int(self.now()):08X}"
        return f"{stamp}:{self._mac(stamp, userid)}"

    def is_csrf_valid(self, userid: str, token: str) -> bool:
        stamp, _, mac = token.partition(":")
        if not re.fullmatch(r"[0-9A-F]{8}", stamp) or not hmac.compare_digest(self._mac(stamp, userid), mac):
            return False
        return EARLIEST_S < self.now() - int(stamp, 16) < self.lifetime_s

    def _mac(self, stamp: str, userid: str) -> str:
        digest = hmac.new(self._key, f"csrf:{stamp}:{userid}".encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode().rstrip("=")

    def _sign(self, plain: str, bound_to: str) -> str:
        sponge = hashlib.shake_256(self._key + f"{plain}\0{bound_to}".encode())
        return base64.b64encode(sponge.digest(SIGNATURE_BYTES)).decode()
