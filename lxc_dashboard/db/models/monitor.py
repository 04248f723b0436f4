"""Alert rules, alerts, and where they are told."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Uuid
from sqlmodel import Field

from lxc_dashboard.db.models.base import Table, id_field, json_field, one_of, text_field, time_field


class AlertState(StrEnum):
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertRule(Table, table=True):
    """Fires above ``threshold`` for ``for_s`` seconds, resolves below ``clear_below``."""

    __tablename__ = "alert_rule"
    __table_args__ = (
        one_of("severity", Severity),
        CheckConstraint("for_s >= 0", name="for_positive"),
        CheckConstraint("clear_below <= threshold", name="hysteresis"),
    )

    id: UUID = id_field()
    endpoint_id: UUID | None = Field(
        default=None, sa_column=Column(Uuid, ForeignKey("proxmox_node.id", ondelete="CASCADE"), index=True)
    )
    name: str = Field(unique=True, max_length=63)
    metric: str = Field(max_length=63)
    severity: str = Field(default=Severity.WARNING.value, max_length=16)
    threshold: float
    clear_below: float
    for_s: int = 60
    scope: dict[str, Any] = json_field()
    enabled: bool = True
    created_by: str = Field(default="", max_length=255)
    created_at: datetime = time_field()


class Alert(Table, table=True):
    """One firing of a rule on one object; at most one unresolved per rule and object."""

    __tablename__ = "alert"
    __table_args__ = (
        one_of("state", AlertState),
        Index("uq_alert_unresolved", "rule_id", "subject", unique=True, postgresql_where="state <> 'resolved'"),
        Index("ix_alert_fired_at", "fired_at"),
    )

    id: UUID = id_field()
    rule_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("alert_rule.id", ondelete="CASCADE"), nullable=False))
    subject: str = Field(max_length=255)
    state: str = Field(default=AlertState.FIRING.value, max_length=16)
    value: float
    message: str = text_field()
    fired_at: datetime = time_field()
    acknowledged_by: str = Field(default="", max_length=255)
    resolved_at: datetime | None = time_field(nullable=True)


class NotificationChannel(Table, table=True):
    """Where alerts are told. Encrypted: ``url_enc``, an apprise address, which holds its own secrets."""

    __tablename__ = "notification_channel"

    id: UUID = id_field()
    name: str = Field(unique=True, max_length=63)
    url_enc: str = text_field()
    enabled: bool = True
    created_by: str = Field(default="", max_length=255)
    created_at: datetime = time_field()
