"""The client of Proxmox VE.

pool = ProxmoxPool()
ticket = await login(pool.client(endpoint), "root@pam", password)
client = pool.client(endpoint, TicketAuth(ticket))
upid = await client.lxc.start("pve1", 101)
await client.tasks.wait(upid)
"""

from __future__ import annotations

from lxc_dashboard.proxmox.auth import Ticket, TicketAuth, TokenAuth, answer_tfa, login
from lxc_dashboard.proxmox.client import Endpoint, ProxmoxClient, ProxmoxPool
from lxc_dashboard.proxmox.endpoint import normal_fingerprint, peer_fingerprint
from lxc_dashboard.proxmox.schemas.tasks import Upid
from lxc_dashboard.proxmox.tasks import TaskResult

__all__ = [
    "Endpoint",
    "ProxmoxClient",
    "ProxmoxPool",
    "TaskResult",
    "Ticket",
    "TicketAuth",
    "TokenAuth",
    "Upid",
    "answer_tfa",
    "login",
    "normal_fingerprint",
    "peer_fingerprint",
]
