"""Webhooks of git servers: verify the sender, then request a pass. The body is not interpreted."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from uuid import UUID

import structlog

from lxc_dashboard.db.models import AuditResult
from lxc_dashboard.errors import NotFoundError, RateLimitedError
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import limits
from lxc_dashboard.services.templates.sources import passes

WINDOW_S: Final = 60.0
PER_ADDRESS: Final = 60
PER_SOURCE: Final = 30
SENDER: Final = "webhook"
# GitHub (also sent by Gitea), Gitea and Forgejo, Gogs.
SIGNATURES: Final = {
    "x-hub-signature-256": "sha256=",
    "x-gitea-signature": "",
    "x-forgejo-signature": "",
    "x-gogs-signature": "",
}
GITLAB_TOKEN: Final = "x-gitlab-token"  # noqa: S105 a header's name

log = structlog.get_logger(__name__)


async def limit(rt: Runtime, address: str) -> None:
    """Count the request before its body is read. Raises ``RateLimitedError``."""
    wait_s = await rt.bus.hit(f"webhook:address:{limits.network(address)}", PER_ADDRESS, WINDOW_S)
    if wait_s:
        raise RateLimitedError(wait_s)


async def accept(rt: Runtime, source_id: UUID, headers: Mapping[str, str], body: bytes, address: str) -> bool:
    """Request a pass if the sender proves the secret; return whether it does. ``headers`` with lower-case names.

    Above the rate limit the schedule makes the pass, so that the last push of a burst is read within a minute. False also
    for a source that does not exist or accepts no webhooks.
    """
    try:
        async with rt.db.transaction() as tx:
            source = await tx.sources.get(source_id)
            secret = tx.sources.webhook_secret(source)
    except NotFoundError:
        return False
    if not secret or not is_signed(secret, headers, body):
        log.warning("webhook refused", source_id=str(source_id), address=address)
        return False
    await passes.add_request(rt.bus, source_id)
    if await rt.bus.hit(f"webhook:source:{source_id}", PER_SOURCE, WINDOW_S):
        log.info("webhook left to the schedule", source_id=str(source_id), address=address)
        return True
    async with rt.db.transaction() as tx:
        await tx.audit.append(
            userid=SENDER, action="source.webhook", subject=source.name, address=address, result=AuditResult.OK
        )
    await passes.enqueue(rt, source_id)
    return True


def is_signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a known header proves ``secret``: by an HMAC-SHA256 of ``body`` in hex, or by GitLab's token, the secret itself."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    proofs = [(headers.get(name, ""), f"{prefix}{expected}") for name, prefix in SIGNATURES.items()]
    proofs.append((headers.get(GITLAB_TOKEN, ""), secret))
    matches = [hmac.compare_digest(proof.encode(), valid.encode()) for proof, valid in proofs]
    return any(matches)
