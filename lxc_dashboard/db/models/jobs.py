"""Jobs and their events."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Uuid
from sqlmodel import Field

from lxc_dashboard.db.models.base import Table, id_field, json_field, one_of, reference, text_field, time_field

if TYPE_CHECKING:
    from lxc_dashboard.db.models.containers import Container

CREATE_KIND: Final = "container.create"
DOWNLOAD_KIND: Final = "ostemplate.download"
# Secrets are bound to the table's first name.
SEALED_AS: Final = "creation"


class JobState(StrEnum):
    """``waiting``: the job's user must sign in. ``paused``: its user paused it and must continue it.

    ``cancelling``: a user has cancelled it, and a worker has not yet stopped what runs.
    """

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class EventType(StrEnum):
    STEP = "step"
    LOG = "log"
    WARNING = "warning"
    ERROR = "error"
    COMPLETE = "complete"


class Job(Table, table=True):
    """A job.

    ``params`` holds no secret.
    Encrypted, and wiped at the end: ``secrets_enc``, ``ticket_enc`` (the user's ticket or API token).
    ``vmid``, ``node`` and ``name``: the guest's, as last known. vmid is 0 for a job without a guest.
    ``locks_guest``: a guest can have only one such unfinished job.
    ``container_id``: null for guests that the product does not know.
    ``checkpoint``: ``{"done": [step, ...], "upid": {step: upid}, "offset": {step: bytes}, ...}``.
    ``lease_until``: until when ``lease_owner`` holds the job. ``attempt`` counts the leases.
    ``enqueued_at``: when the job was last enqueued, null once a worker takes it. The reaper finds lost messages by it.
    ``slot_node``: the node whose slot the job uses (live lease) or waits for (queued).
    """

    __tablename__ = "job"
    __table_args__ = (
        one_of("state", JobState),
        CheckConstraint("percent BETWEEN 0 AND 100", name="percent_range"),
        CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="lease_whole"),
        CheckConstraint(f"kind <> '{CREATE_KIND}' OR container_id IS NOT NULL", name="container_known"),
        CheckConstraint("vmid > 0 OR NOT locks_guest", name="guest_known"),
        Index("ix_job_state_lease_until", "state", "lease_until"),
        Index("ix_job_endpoint_id_created_at", "endpoint_id", "created_at"),
        Index(
            "uq_job_endpoint_id_vmid_locked",
            "endpoint_id",
            "vmid",
            unique=True,
            postgresql_where="locks_guest AND state IN ('queued', 'running', 'waiting', 'paused', 'cancelling')",
        ),
        Index(
            "uq_job_endpoint_id_node_name_download",
            "endpoint_id",
            "node",
            "name",
            unique=True,
            postgresql_where=f"kind = '{DOWNLOAD_KIND}' AND finished_at IS NULL",
        ),
        {"info": {"sealed_as": SEALED_AS}},
    )

    id: UUID = id_field()
    kind: str = Field(max_length=63)
    endpoint_id: UUID = reference("proxmox_node", "RESTRICT", index=False)
    vmid: int
    node: str = Field(default="", max_length=63)
    name: str = Field(default="", max_length=255)
    locks_guest: bool = True
    container_id: UUID | None = reference("container", "CASCADE", nullable=True)
    revision_id: UUID | None = reference("template_revision", "RESTRICT", nullable=True)
    batch_id: UUID | None = reference("creation_batch", "SET NULL", nullable=True)
    userid: str = Field(max_length=255, index=True)
    params: dict[str, Any] = json_field()
    secrets_enc: str | None = text_field(None, nullable=True)
    ticket_enc: str | None = text_field(None, nullable=True)
    signed_in_at: datetime = time_field()
    session_id: UUID | None = Field(default=None, sa_column=Column(Uuid, nullable=True, index=True))
    state: str = Field(default=JobState.QUEUED.value, max_length=16)
    step: str = Field(default="", max_length=63)
    percent: int = 0
    checkpoint: dict[str, Any] = json_field()
    lease_owner: str | None = Field(default=None, max_length=255)
    lease_until: datetime | None = time_field(nullable=True)
    attempt: int = 0
    enqueued_at: datetime | None = time_field(nullable=True)
    slot_node: str | None = Field(default=None, max_length=63)
    cancelled_by: str = Field(default="", max_length=255)
    error: dict[str, Any] = json_field()
    result: dict[str, Any] = json_field()
    created_at: datetime = time_field()
    started_at: datetime | None = time_field(nullable=True)
    finished_at: datetime | None = time_field(nullable=True)

    @property
    def subject(self) -> str:
        """The subject as in the audit: ``CT 101 web-01``, or a volume."""
        return f"CT {self.vmid} {self.name}".rstrip() if self.vmid else self.name

    @property
    def own_container_id(self) -> UUID:
        """The id of the job's container. Raises ``ValueError`` if the product does not know it."""
        if self.container_id is None:
            raise ValueError(f"job {self.id} ({self.kind}) has no container of the product")
        return self.container_id

    @classmethod
    def about(cls, container: Container, kind: str, **values: Any) -> Job:
        """Return a new job on a container that the product knows."""
        return cls(
            kind=kind,
            endpoint_id=container.endpoint_id,
            container_id=container.id,
            vmid=container.vmid,
            node=container.node,
            name=container.hostname,
            **values,
        )


class JobEvent(Table, table=True):
    """A numbered event of a job. A log chunk is one row: ``seq`` of its first line, and the number of ``lines``.

    ``code`` and ``params`` say what happened; pages show their text. ``message``: output of scripts and PVE, and the
    text of older rows without a code.
    """

    __tablename__ = "job_event"
    __table_args__ = (
        one_of("type", EventType),
        CheckConstraint("lines >= 1", name="lines_positive"),
        CheckConstraint("percent BETWEEN 0 AND 100", name="percent_range"),
    )

    job_id: UUID = Field(
        sa_column=Column(Uuid, ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False, nullable=False))
    lines: int = 1
    type: str = Field(max_length=16)
    step: str = Field(default="", max_length=63)
    percent: int = 0
    code: str = Field(default="", max_length=63)
    params: dict[str, Any] = json_field()
    message: str = text_field()
    script: str = Field(default="", max_length=255)
    script_index: int = 0
    script_total: int = 0
    at: datetime = time_field()
