"""A PVE client that acts as the signed-in user, so that PVE's permissions and task log apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxc_dashboard.proxmox.auth import Ticket, TicketAuth, TokenAuth
from lxc_dashboard.services.auth import endpoints, sessions

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session


async def client(runtime: Runtime, session: Session) -> ProxmoxClient:
    """A client for the session's endpoint and user. Stores a renewed ticket with the session.

    Raises ``NotFoundError`` if the endpoint is no longer registered, ``TlsError`` if its CA is invalid.
    """

    async def store(ticket: str, csrf_token: str) -> None:
        await sessions.keep_ticket(runtime, session, ticket, csrf_token)

    endpoint = await endpoints.endpoint(runtime, session.endpoint_id)
    if session.tokenid:
        return runtime.pve.client(endpoint, TokenAuth(session.tokenid, session.token_secret))
    ticket = Ticket(session.userid, session.ticket, session.csrf_token, session.ticket_issued_at)
    return runtime.pve.client(endpoint, TicketAuth(ticket, store))
