"""TOTP (RFC 6238): SHA-1, six digits, 30 seconds, one step of tolerance both ways."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct

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
