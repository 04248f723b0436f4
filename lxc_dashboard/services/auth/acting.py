"""PVE as the signed-in user: with that user's ticket or token, so that PVE's permissions and task log stay true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxc_dashboard.proxmox.auth import Ticket, TicketAuth, TokenAuth
from lxc_dashboard.services.auth import endpoints, sessions

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session


async def client(runtime: Runtime, session: Session) -> ProxmoxClient:
    """The session's endpoint, as its user. A ticket renewed on the way is stored with the session.

    Raises ``NotFoundError`` where the endpoint is not registered any more, ``TlsError`` where its CA cannot be read.
    """

    async def keep(ticket: str, csrf_token: str) -> None:
        await sessions.keep_ticket(runtime, session, ticket, csrf_token)

    endpoint = await endpoints.endpoint(runtime, session.endpoint_id)
    if session.tokenid:
        return runtime.pve.client(endpoint, TokenAuth(session.tokenid, session.token_secret))
    ticket = Ticket(session.userid, session.ticket, session.csrf_token, session.ticket_issued_at)
    return runtime.pve.client(endpoint, TicketAuth(ticket, keep))
