"""Containers that the product knows, their events, batches and presets."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, UniqueConstraint, Uuid
from sqlmodel import Field

from lxc_dashboard.db.models.base import Table, id_field, json_field, new_id, one_of, reference, text_field, time_field


class Lifecycle(StrEnum):
    CREATING = "creating"
    READY = "ready"
    ERROR = "error"


class Phase(StrEnum):
    CREATING = "creating"
    STARTING = "starting"
    DEPLOYING = "deploying"
    SYNCING = "syncing"
    FINALIZING = "finalizing"


class Container(Table, table=True):
    """A container. ``marker``: the content of ``/etc/lxc-dashboard/id`` in its guest, as PVE reuses vmids.

    Encrypted: ``credentials_enc`` (JSON ``{service: {key: value}}``), ``root_password_enc``.
    """

    __tablename__ = "container"
    __table_args__ = (
        one_of("lifecycle", Lifecycle),
        CheckConstraint("vmid BETWEEN 100 AND 999999999", name="vmid_range"),
        Index(
            "uq_container_endpoint_vmid_existing",
            "endpoint_id",
            "vmid",
            unique=True,
            postgresql_where="deleted_at IS NULL",
        ),
    )

    id: UUID = id_field()
    endpoint_id: UUID = reference("proxmox_node", "RESTRICT")
    vmid: int
    node: str = Field(max_length=63)
    hostname: str = Field(max_length=255)
    lifecycle: str = Field(default=Lifecycle.CREATING.value, max_length=16)
    template_revision_id: UUID | None = reference("template_revision", "SET NULL", nullable=True)
    marker: UUID = Field(default_factory=new_id, sa_column=Column(Uuid, nullable=False, unique=True))
    address: str = Field(default="", max_length=64)
    services: list[Any] = json_field(list)
    credentials_enc: str | None = text_field(None, nullable=True)
    root_password_enc: str | None = text_field(None, nullable=True)
    created_by: str = Field(default="", max_length=255)
    created_at: datetime = time_field()
    deleted_at: datetime | None = time_field(nullable=True)


class ContainerEvent(Table, table=True):
    """An event of a container, for its page."""

    __tablename__ = "container_event"
    __table_args__ = (Index("ix_container_event_container_id_at", "container_id", "at"),)

    id: UUID = id_field()
    container_id: UUID = reference("container", "CASCADE", index=False)
    at: datetime = time_field()
    userid: str = Field(default="", max_length=255)
    kind: str = Field(max_length=63)
    message: str = text_field()
    detail: dict[str, Any] = json_field()


class CreationBatch(Table, table=True):
    """A batch of creations. ``pattern``: the hostnames, such as ``web-{01..20}``. ``spec``: their common values."""

    __tablename__ = "creation_batch"
    __table_args__ = (Index("ix_creation_batch_endpoint_id_created_at", "endpoint_id", "created_at"),)

    id: UUID = id_field()
    endpoint_id: UUID = reference("proxmox_node", "RESTRICT", index=False)
    userid: str = Field(max_length=255)
    pattern: str = Field(max_length=255)
    spec: dict[str, Any] = json_field()
    created_at: datetime = time_field()


class Preset(Table, table=True):
    """Wizard fields of one user at an endpoint, or shared with all its users. ``fields`` holds no secret.

    ``shared_path``: a path where its owner could create containers when they shared it, such as ``/pool/dev``.
    Empty: not shared.
    """

    __tablename__ = "preset"
    __table_args__ = (UniqueConstraint("endpoint_id", "owner", "name"),)

    id: UUID = id_field()
    endpoint_id: UUID = reference("proxmox_node", "CASCADE", index=False)
    owner: str = Field(max_length=255)
    name: str = Field(max_length=63)
    shared_path: str = Field(default="", max_length=255)
    fields: dict[str, Any] = json_field()
    created_at: datetime = time_field()
    updated_at: datetime = time_field()
