"""Registered endpoints, with encrypted secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lxc_dashboard.crypto import Keyring, SealedColumn
from lxc_dashboard.db.errors import DatabaseCode
from lxc_dashboard.db.models import Container, CreationBatch, ProxmoxNode, now
from lxc_dashboard.errors import ConflictError, NotFoundError
from lxc_dashboard.messages import Message

USERS_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class NodeSecrets:
    """An endpoint's secrets in plain text, None where there is none. ``repr`` hides them."""

    token_secret: str | None = field(default=None, repr=False)
    ssh_key: str | None = field(default=None, repr=False)


class NodeChanges(TypedDict, total=False):
    """Changes of an endpoint. ``make_default`` changes the default."""

    name: str
    host: str
    port: int
    fingerprint: str | None
    ca_pem: str | None
    verify_tls: bool
    tokenid: str | None
    ssh_user: str
    doors: dict[str, dict[str, Any]]
    owner: str


class NodeRepository:
    def __init__(self, session: AsyncSession, keyring: Keyring) -> None:
        self._session = session
        self._token = SealedColumn(keyring, "proxmox_node", "token_secret_enc")
        self._ssh_key = SealedColumn(keyring, "proxmox_node", "ssh_key_enc")

    async def add(self, node: ProxmoxNode, secrets: NodeSecrets | None = None) -> ProxmoxNode:
        """Add an endpoint. A default one replaces the present default.

        Raises ``ConflictError`` (name, or host and port, exist), ``InvalidInputError`` (a ``tokenid`` without secret,
        a port out of range).
        """
        if node.is_default:
            await self._clear_default()
        self._seal(node, secrets or NodeSecrets())
        self._session.add(node)
        await self._session.flush()
        return node

    async def get(self, node_id: UUID) -> ProxmoxNode:
        """Return the endpoint. Raises ``NotFoundError``."""
        node = await self._session.get(ProxmoxNode, node_id)
        if node is None:
            raise NotFoundError(Message.of(DatabaseCode.ENDPOINT_GONE))
        return node

    async def by_name(self, name: str) -> ProxmoxNode | None:
        return await self._session.scalar(select(ProxmoxNode).where(col(ProxmoxNode.name) == name))

    async def by_address(self, host: str, port: int) -> ProxmoxNode | None:
        at_address = (col(ProxmoxNode.host) == host, col(ProxmoxNode.port) == port)
        return await self._session.scalar(select(ProxmoxNode).where(*at_address))

    async def default(self) -> ProxmoxNode | None:
        return await self._session.scalar(select(ProxmoxNode).where(col(ProxmoxNode.is_default)))

    async def list(self) -> Sequence[ProxmoxNode]:
        """Return all endpoints, the default first, then by name."""
        order = (col(ProxmoxNode.is_default).desc(), col(ProxmoxNode.name))
        return (await self._session.scalars(select(ProxmoxNode).order_by(*order))).all()

    def secrets(self, node: ProxmoxNode) -> NodeSecrets:
        """Return the endpoint's secrets in plain text. Raises ``WrongKeyError``, ``TamperedError``."""
        return NodeSecrets(
            token_secret=self._token.open_text(node.token_secret_enc, node.id),
            ssh_key=self._ssh_key.open_text(node.ssh_key_enc, node.id),
        )

    async def update(
        self, node_id: UUID, *, secrets: NodeSecrets | None = None, **changes: Unpack[NodeChanges]
    ) -> ProxmoxNode:
        """Change the named fields. ``secrets`` replaces all secrets. Raises as ``add``, and ``NotFoundError``."""
        node = await self.get(node_id)
        for name, value in changes.items():
            setattr(node, name, value)
        if secrets is not None:
            self._seal(node, secrets)
        node.updated_at = now()
        await self._session.flush()
        return node

    async def make_default(self, node_id: UUID) -> ProxmoxNode:
        """Make the endpoint the only default.

        Raises ``NotFoundError``, ``ConflictError`` (another endpoint at the same time).
        """
        node = await self.get(node_id)
        if not node.is_default:
            await self._clear_default()
            node.is_default = True
            node.updated_at = now()
            await self._session.flush()
        return node

    async def delete(self, node_id: UUID) -> None:
        """Delete the endpoint with the records of its deleted containers.

        Raises ``NotFoundError``, ``ConflictError`` naming the containers that still use it.
        """
        locked = select(ProxmoxNode).where(col(ProxmoxNode.id) == node_id).with_for_update()
        if await self._session.scalar(locked) is None:
            raise NotFoundError(Message.of(DatabaseCode.ENDPOINT_GONE))
        await self._refuse_used(node_id)
        for table in (Container, CreationBatch):  # their jobs are deleted with them
            await self._session.execute(delete(table).where(col(table.endpoint_id) == node_id))
        await self._session.execute(delete(ProxmoxNode).where(col(ProxmoxNode.id) == node_id))

    async def _refuse_used(self, node_id: UUID) -> None:
        existing = (col(Container.endpoint_id) == node_id, col(Container.deleted_at).is_(None))
        count = await self._session.scalar(select(func.count()).select_from(Container).where(*existing)) or 0
        if not count:
            return
        first = select(Container).where(*existing).order_by(col(Container.vmid)).limit(USERS_NAMED)
        names = [f"CT {guest.vmid} {guest.hostname}" for guest in await self._session.scalars(first)]
        if count > len(names):
            raise ConflictError(Message.of(DatabaseCode.ENDPOINT_USED_BY_MORE, guests=names, more=count - len(names)))
        raise ConflictError(Message.of(DatabaseCode.ENDPOINT_USED, guests=names))

    async def _clear_default(self) -> None:
        clear = update(ProxmoxNode).where(col(ProxmoxNode.is_default)).values(is_default=False, updated_at=now())
        await self._session.execute(clear)

    def _seal(self, node: ProxmoxNode, secrets: NodeSecrets) -> None:
        node.token_secret_enc = self._token.seal_text(secrets.token_secret, node.id)
        node.ssh_key_enc = self._ssh_key.seal_text(secrets.ssh_key, node.id)
