"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, thirty seconds, one step of tolerance each way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct

STEP_S = 30
DIGITS = 6
TOLERANCE_STEPS = 1


def code_at(secret: str, step: int) -> str:
    """The code of a base32 ``secret`` in time step ``step`` (seconds since the epoch // 30)."""
    padded = secret.upper() + "=" * (-len(secret) % 8)
    digest = hmac.new(base64.b32decode(padded), struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def matching_step(secret: str, code: str, now: float, last_step: int) -> int | None:
    """The time step that ``code`` belongs to, or None. A step used once (``last_step`` and before) never counts again."""
    current = int(now // STEP_S)
    for step in range(current - TOLERANCE_STEPS, current + TOLERANCE_STEPS + 1):
        if step > last_step and hmac.compare_digest(code_at(secret, step), code):
            return step
    return None


def next_code(secret: str, now: float, last_step: int) -> str:
    """A code that ``matching_step`` takes now: the first step of the window that was not used yet."""
    return code_at(secret, max(int(now // STEP_S) - TOLERANCE_STEPS, last_step + 1))
