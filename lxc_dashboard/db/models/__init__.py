"""All tables and enums of the product."""

from lxc_dashboard.db.models.base import Table, new_id, now
from lxc_dashboard.db.models.containers import (
    Container,
    ContainerEvent,
    CreationBatch,
    Lifecycle,
    Phase,
    Preset,
)
from lxc_dashboard.db.models.jobs import CREATE_KIND, DOWNLOAD_KIND, EventType, Job, JobEvent, JobState
from lxc_dashboard.db.models.nodes import AuditEntry, AuditResult, ProxmoxNode
from lxc_dashboard.db.models.templates import (
    SOURCE_REMOVED,
    FilePolicy,
    Package,
    PackageBucket,
    PackageManager,
    SourceKind,
    Template,
    TemplateDraft,
    TemplateDraftFile,
    TemplateFile,
    TemplateRevision,
    TemplateScript,
    TemplateSource,
)

__all__ = [
    "CREATE_KIND",
    "DOWNLOAD_KIND",
    "SOURCE_REMOVED",
    "AuditEntry",
    "AuditResult",
    "Container",
    "ContainerEvent",
    "CreationBatch",
    "EventType",
    "FilePolicy",
    "Job",
    "JobEvent",
    "JobState",
    "Lifecycle",
    "Package",
    "PackageBucket",
    "PackageManager",
    "Phase",
    "Preset",
    "ProxmoxNode",
    "SourceKind",
    "Table",
    "Template",
    "TemplateDraft",
    "TemplateDraftFile",
    "TemplateFile",
    "TemplateRevision",
    "TemplateScript",
    "TemplateSource",
    "new_id",
    "now",
]
