"""Authentication: tickets, TFA, CSRF tokens and API tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import struct
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from fakepve.model import PveError
from fakepve.server import API, FORMATS

from pve_sandbox.api.access.directory import User
from pve_sandbox.api.access.privileges import Access
from pve_sandbox.api.checks import Values
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


COOKIE = re.compile(r"(?:^|[;\s])PVEAuthCookie=([^;]+)")
TFA_SUBJECT = "!tfa!"


class SignIn(Access):
    """``ticket_issuer`` issues the tickets, ``directory`` has the users."""

    ticket_issuer: TicketIssuer

    # ------------------------------------------------------------- sign-in

    async def _ticket(self, request: web.Request) -> web.Response:
        return await self.checked(request, self._sign_in)

    async def _sign_in(self, v: Values, _user: str | None) -> Values:
        userid = v["username"] if "@" in v["username"] else f"{v['username']}@{v.get('realm', '')}"
        user = self.directory.users.get(userid)
        if user is None or not user.is_active:
            raise PveError(401, "authentication failure")
        password = v["password"]
        if v.get("tfa-challenge"):
            self._second_step(userid, user, v["tfa-challenge"], password)
        elif not self._is_renewal(userid, password):  # no second factor when a ticket is used as the password
            if not self.directory.check_password(userid, password):
                raise PveError(401, "authentication failure")
            if user.needs_second_step:
                return self._challenge(userid, user)
        return self._success(userid)

    def _is_renewal(self, userid: str, password: str) -> bool:
        content = self.ticket_issuer.open(password)
        return content is not None and content.subject == userid

    def _success(self, userid: str) -> Values:
        ticket, csrf = self.issue_ticket(userid)
        answer = {"username": userid, "ticket": ticket, "CSRFPreventionToken": csrf, "cap": self.capabilities(userid)}
        if len(self.nodes) > 1:
            answer["clustername"] = self.cluster_name
        return answer

    def _challenge(self, userid: str, user: User) -> Values:
        kinds: dict[str, Any] = {"totp": True} if user.totp else {}
        if any(user.recovery):
            kinds["recovery"] = [index for index, key in enumerate(user.recovery) if key]
        factors = json.dumps(kinds, separators=(",", ":")).replace(":", "%3A")
        ticket = self.ticket_issuer.issue(TFA_SUBJECT + factors, bound_to=userid)
        return {
            "ticket": ticket,
            "username": userid,
            "NeedTFA": 1,
            "CSRFPreventionToken": self.ticket_issuer.csrf(userid),
        }

    def _second_step(self, userid: str, user: User, challenge: str, answer: str) -> None:
        content = self.ticket_issuer.open(challenge, bound_to=userid)
        kind, _, code = answer.partition(":")
        if content is None or not content.subject.startswith(TFA_SUBJECT):
            raise PveError(401, "authentication failure")
        if not (kind == "totp" and self._use_totp(user, code)) and not (
            kind == "recovery" and self._use_recovery_key(user, code)
        ):
            raise PveError(401, "authentication failure")
        self.directory.changed()

    def _use_totp(self, user: User, code: str) -> bool:
        for entry in user.totp.values():
            step = matching_step(entry.secret, code, self.ticket_issuer.now(), entry.last_step)
            if step is not None:
                entry.last_step = step
                return True
        return False

    @staticmethod
    def _use_recovery_key(user: User, code: str) -> bool:
        """Use a recovery key. Each is valid once."""
        for index, key in enumerate(user.recovery):
            if key and hmac.compare_digest(key.encode(), code.strip().encode()):
                user.recovery[index] = ""
                return True
        return False

    def issue_ticket(self, user: str) -> tuple[str, str]:
        return self.ticket_issuer.issue(user), self.ticket_issuer.csrf(user)

    def revoke_tickets(self) -> None:
        self.ticket_issuer.new_key()

    def check_password(self, user: str, password: str) -> bool:
        return self.directory.check_password(user, password)

    async def _password(self, request: web.Request) -> web.Response:
        return await self.checked(request, self._set_password)

    async def _set_password(self, v: Values, user: str) -> None:
        target = self.directory.users.get(v["userid"])
        if target is None:
            raise PveError(500, f"no such user ('{v['userid']}')")
        if user != "root@pam" and not self.directory.check_password(user, v.get("confirmation-password") or ""):
            raise PveError(401, "authentication failure")
        target.password = v["password"]

    # ------------------------------------------------- every later request

    def _authenticate(self, request: web.Request) -> str | None:
        """Return the userid or token of a request, ``None`` where no sign-in is needed.

        Raises 401 with the cause as its reason.
        """
        if request.path in tuple(prefix + "/access/ticket" for prefix in FORMATS):
            return None
        try:
            return self._identify(request)
        except PveError:
            if self.is_world(self.resolve(request, API), request.method):
                return None
            raise

    def _identify(self, request: web.Request) -> str:
        header = request.headers.get("Authorization", "")
        if header.startswith("PVEAPIToken="):
            return self._token_holder(header.removeprefix("PVEAPIToken="))
        cookie = COOKIE.search(request.headers.get("Cookie", "") or header)
        if cookie is None:
            raise PveError(401, "No ticket")
        content = self.ticket_issuer.open(urllib.parse.unquote(cookie.group(1)))
        user = self.directory.users.get(content.subject) if content else None
        if content is None or user is None or not user.is_active:
            raise PveError(401, "permission denied - invalid PVE ticket")
        if request.method != "GET":
            given = request.headers.get("CSRFPreventionToken", "")
            if not self.ticket_issuer.is_csrf_valid(content.subject, given):
                raise PveError(401, "Permission denied - invalid csrf token")
        return content.subject

    def _token_holder(self, credential: str) -> str:
        match = re.fullmatch(r"(.*)=(.*)", credential)
        if match is None or "!" not in match.group(1):
            raise PveError(401, "no tokenid specified")
        authid, secret = match.groups()
        userid, _, tokenid = authid.rpartition("!")
        user = self.directory.users.get(userid)
        if user is None:
            raise PveError(401, f"no such user ('{userid}')")
        token = user.tokens.get(tokenid)
        if token is None:
            raise PveError(401, f"no such token '{tokenid}' for user '{userid}'")
        if not user.is_active or (token.expire and token.expire < time.time()):
            raise PveError(401, "token expired" if user.is_active else f"user '{userid}' is disabled")
        if not hmac.compare_digest(token.secret.encode(), secret.encode()):
            raise PveError(401, "invalid token value!")
        return authid
