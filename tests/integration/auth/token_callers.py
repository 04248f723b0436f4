"""Callers with an API token, valid or invalid."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import tokens
from lxc_dashboard.services.auth.sign_in import Origin
from pve_sandbox.api.access.directory import Token
from pve_sandbox.node import SandboxNode

ORIGIN = Origin("192.0.2.9", "ci")


def made(sandbox: SandboxNode, userid: str = "root@pam", name: str = "ci", *, privsep: int = 0, expire: int = 0) -> str:
    """Make a token in the sandbox; return its header."""
    secret = str(uuid4())
    sandbox.api.directory.users[userid].tokens[name] = Token(secret, privsep, expire)
    sandbox.api.directory.changed()
    return f"PVEAPIToken={userid}!{name}={secret}"


def made_up(name: str = "") -> str:
    return f"PVEAPIToken=root@pam!{name or f'x{uuid4().hex}'}={uuid4()}"


async def outcomes(rt: Runtime, headers: Sequence[str], origins: Sequence[Origin] = (ORIGIN,)) -> list[object]:
    """Send all requests at once, from ``origins`` in turn; return their results."""
    each = (tokens.session_of(rt, header, "", origins[at % len(origins)]) for at, header in enumerate(headers))
    return list(await asyncio.gather(*each, return_exceptions=True))


def of_kind(found: Sequence[object], kind: type) -> int:
    return sum(isinstance(each, kind) for each in found)
