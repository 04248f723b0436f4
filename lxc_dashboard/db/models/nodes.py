"""Registered endpoints and the audit."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field

from lxc_dashboard.db.models.base import Table, id_field, json_field, one_of, text_field, time_field


class AuditResult(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"


class ProxmoxNode(Table, table=True):
    """A registered PVE endpoint.

    TLS: ``fingerprint`` (SHA-256) alone if set, else ``ca_pem``, else the system's CAs, unless ``verify_tls`` is off.
    ``doors`` maps a node's name, or ``*`` for all others, to ``{"host", "port", "host_key"}`` of its SSH server.
    Encrypted: ``token_secret_enc``, ``ssh_key_enc``.
    """

    __tablename__ = "proxmox_node"
    __table_args__ = (
        CheckConstraint("port BETWEEN 1 AND 65535", name="port_range"),
        CheckConstraint("(tokenid IS NULL) = (token_secret_enc IS NULL)", name="token_whole"),
        Index("uq_proxmox_node_default", "is_default", unique=True, postgresql_where="is_default"),
        Index("uq_proxmox_node_address", "host", "port", unique=True),
    )

    id: UUID = id_field()
    name: str = Field(unique=True, max_length=63)
    host: str = Field(max_length=255)
    port: int = 8006
    fingerprint: str | None = Field(default=None, max_length=95)
    ca_pem: str | None = text_field(None, nullable=True)
    verify_tls: bool = True
    tokenid: str | None = Field(default=None, max_length=255)
    token_secret_enc: str | None = text_field(None, nullable=True)
    ssh_user: str = Field(default="root", max_length=63)
    ssh_key_enc: str | None = text_field(None, nullable=True)
    doors: dict[str, dict[str, Any]] = json_field()
    owner: str = Field(default="", max_length=255)
    is_default: bool = False
    created_at: datetime = time_field()
    updated_at: datetime = time_field()


class AuditEntry(Table, table=True):
    """An entry of the audit. A trigger refuses UPDATE and DELETE."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        one_of("result", AuditResult),
        Index("ix_audit_entry_at", "at"),
        Index("ix_audit_entry_userid_at", "userid", "at"),
    )

    id: UUID = id_field()
    at: datetime = time_field()
    userid: str = Field(max_length=255)
    endpoint_name: str = Field(default="", max_length=63)
    action: str = Field(max_length=63)
    subject: str = Field(default="", max_length=255)
    address: str = Field(default="", max_length=64)
    result: str = Field(max_length=16)
    detail: dict[str, Any] = json_field()
