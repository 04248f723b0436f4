"""Containers that the product made or adopted, their creations, and what a creation printed."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, UniqueConstraint, Uuid
from sqlmodel import Field

from lxc_dashboard.db.models.base import Table, id_field, json_field, new_id, one_of, text_field, time_field


class Lifecycle(StrEnum):
    CREATING = "creating"
    READY = "ready"
    ERROR = "error"


class CreationState(StrEnum):
    """``waiting``: the run needs a new sign-in of its user before it can go on. ``paused``: its user said that it stops here."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Phase(StrEnum):
    CREATING = "creating"
    STARTING = "starting"
    DEPLOYING = "deploying"
    SYNCING = "syncing"
    FINALIZING = "finalizing"


class EventType(StrEnum):
    STEP = "step"
    LOG = "log"
    WARNING = "warning"
    ERROR = "error"
    COMPLETE = "complete"


def _refers(table: str, ondelete: str, *, nullable: bool = False, index: bool = True) -> Any:
    default: dict[str, Any] = {"default": None} if nullable else {}
    return Field(
        **default,
        sa_column=Column(Uuid, ForeignKey(f"{table}.id", ondelete=ondelete), nullable=nullable, index=index),
    )


class Container(Table, table=True):
    """A guest. ``marker`` is what ``/etc/lxc-dashboard/id`` in it holds: a vmid alone may be another guest by now.

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
    endpoint_id: UUID = _refers("proxmox_node", "RESTRICT")
    vmid: int
    node: str = Field(max_length=63)
    hostname: str = Field(max_length=255)
    lifecycle: str = Field(default=Lifecycle.CREATING.value, max_length=16)
    template_revision_id: UUID | None = _refers("template_revision", "SET NULL", nullable=True)
    marker: UUID = Field(default_factory=new_id, sa_column=Column(Uuid, nullable=False, unique=True))
    address: str = Field(default="", max_length=64)
    services: list[Any] = json_field(list)
    credentials_enc: str | None = text_field(None, nullable=True)
    root_password_enc: str | None = text_field(None, nullable=True)
    created_by: str = Field(default="", max_length=255)
    created_at: datetime = time_field()
    deleted_at: datetime | None = time_field(nullable=True)


class ContainerEvent(Table, table=True):
    """What happened to a container, for its own page."""

    __tablename__ = "container_event"
    __table_args__ = (Index("ix_container_event_container_id_at", "container_id", "at"),)

    id: UUID = id_field()
    container_id: UUID = _refers("container", "CASCADE", index=False)
    at: datetime = time_field()
    userid: str = Field(default="", max_length=255)
    kind: str = Field(max_length=63)
    message: str = text_field()
    detail: dict[str, Any] = json_field()


class CreationBatch(Table, table=True):
    """Runs that were asked for together. ``pattern`` is the hostname's, such as ``web-{01..20}``; ``spec`` what they share."""

    __tablename__ = "creation_batch"
    __table_args__ = (Index("ix_creation_batch_endpoint_id_created_at", "endpoint_id", "created_at"),)

    id: UUID = id_field()
    endpoint_id: UUID = _refers("proxmox_node", "RESTRICT", index=False)
    userid: str = Field(max_length=255)
    pattern: str = Field(max_length=255)
    spec: dict[str, Any] = json_field()
    created_at: datetime = time_field()


class Creation(Table, table=True):
    """One run. ``spec`` holds no secret; those, and the job's copy of the ticket, are encrypted and wiped at the end.

    ``checkpoint`` says what is done: ``{"done": [step, ...], "upid": {step: upid}, "offset": {step: bytes}, ...}``.
    A worker holds the run while ``lease_until`` lies ahead; ``attempt`` counts the leases. ``enqueued_at``: when the run
    was last handed to the queue and not taken since, so that the reaper tells a lost delivery from a long line.
    ``slot_node``: the node that the run loads just now, while its lease is live; of a queued run the one that it waits for.
    """

    __tablename__ = "creation"
    __table_args__ = (
        one_of("state", CreationState),
        one_of("phase", Phase),
        CheckConstraint("percent BETWEEN 0 AND 100", name="percent_range"),
        CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="lease_whole"),
        Index("ix_creation_state_lease_until", "state", "lease_until"),
        Index("ix_creation_endpoint_id_created_at", "endpoint_id", "created_at"),
    )

    id: UUID = id_field()
    endpoint_id: UUID = _refers("proxmox_node", "RESTRICT", index=False)
    container_id: UUID = _refers("container", "CASCADE")
    revision_id: UUID | None = _refers("template_revision", "RESTRICT", nullable=True)
    batch_id: UUID | None = _refers("creation_batch", "SET NULL", nullable=True)
    userid: str = Field(max_length=255, index=True)
    spec: dict[str, Any] = json_field()
    secrets_enc: str | None = text_field(None, nullable=True)
    ticket_enc: str | None = text_field(None, nullable=True)
    signed_in_at: datetime = time_field()
    session_id: UUID | None = Field(default=None, sa_column=Column(Uuid, nullable=True, index=True))
    state: str = Field(default=CreationState.QUEUED.value, max_length=16)
    phase: str = Field(default=Phase.CREATING.value, max_length=16)
    percent: int = 0
    checkpoint: dict[str, Any] = json_field()
    lease_owner: str | None = Field(default=None, max_length=255)
    lease_until: datetime | None = time_field(nullable=True)
    attempt: int = 0
    enqueued_at: datetime | None = time_field(nullable=True)
    slot_node: str | None = Field(default=None, max_length=63)
    cancel_requested_at: datetime | None = time_field(nullable=True)
    cancelled_by: str = Field(default="", max_length=255)
    error: dict[str, Any] = json_field()
    result: dict[str, Any] = json_field()
    created_at: datetime = time_field()
    started_at: datetime | None = time_field(nullable=True)
    finished_at: datetime | None = time_field(nullable=True)


class CreationEvent(Table, table=True):
    """Progress, numbered. A log chunk is one row: ``seq`` is that of its first line, ``lines`` how many it holds."""

    __tablename__ = "creation_event"
    __table_args__ = (
        one_of("type", EventType),
        one_of("phase", Phase),
        CheckConstraint("lines >= 1", name="lines_positive"),
        CheckConstraint("percent BETWEEN 0 AND 100", name="percent_range"),
    )

    creation_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("creation.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False, nullable=False))
    lines: int = 1
    type: str = Field(max_length=16)
    phase: str = Field(max_length=16)
    percent: int = 0
    message: str = text_field()
    script: str = Field(default="", max_length=255)
    script_index: int = 0
    script_total: int = 0
    at: datetime = time_field()


class Preset(Table, table=True):
    """Wizard fields to start from, of one user at an endpoint, or shared with all who use it. ``fields`` holds no secret.

    ``shared_path``: where PVE let its owner create containers when they shared it, ``/vms`` or ``/pool/dev``. Empty: not shared.
    """

    __tablename__ = "preset"
    __table_args__ = (UniqueConstraint("endpoint_id", "owner", "name"),)

    id: UUID = id_field()
    endpoint_id: UUID = _refers("proxmox_node", "CASCADE", index=False)
    owner: str = Field(max_length=255)
    name: str = Field(max_length=63)
    shared_path: str = Field(default="", max_length=255)
    fields: dict[str, Any] = json_field()
    created_at: datetime = time_field()
    updated_at: datetime = time_field()
