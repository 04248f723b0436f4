"""Users who sign in to a sandbox and write templates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from lxc_dashboard.db.models import AuditEntry, FilePolicy, PackageManager
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates.library import authoring, drafts
from lxc_dashboard.services.templates.library.draft import Draft, DraftContent, DraftFile
from lxc_dashboard.services.templates.model import Bucket, RevisionSummary, Script, TemplateConfig

SignIn = Callable[..., Awaitable[Session]]

ANN, BEN, VIEWER = "root@pam", "operator@pve", "viewer@pve"
APT = PackageManager.APT


def content(name: str = "web", scripts: Mapping[str, str] | None = None, **config: Any) -> DraftContent:
    """A draft with these scripts, in their order."""
    written = {"10-core.sh": "#!/bin/bash\ntrue\n"} if scripts is None else scripts
    return DraftContent(
        name,
        TemplateConfig(**{"app": "Web", **config}),
        tuple(Script(script, text, place) for place, (script, text) in enumerate(written.items())),
    )


async def put(
    rt: Runtime, who: Session, draft_id: UUID, name: str, data: bytes, *, target_dir: str = "/etc"
) -> DraftFile:
    """Store a file of the draft; return its entry."""
    sha256 = await drafts.put_file(rt, who, draft_id, data)
    return DraftFile(name, target_dir, FilePolicy.DEFAULT, 0o644, "", sha256, len(data))


async def saved(
    rt: Runtime, who: Session, template_id: UUID | None, new: DraftContent, note: str = ""
) -> RevisionSummary:
    """Save ``new`` as a revision of the template, or as a new template."""
    draft = await drafts.open_draft(rt, who, template_id)
    await drafts.store(rt, who, draft.id, new)
    return await authoring.save(rt, who, draft.id, note)


async def template_of(rt: Runtime, revision: RevisionSummary) -> UUID:
    async with rt.db.transaction() as tx:
        template, _ = await tx.templates.revision(revision.id)
        return template.id


async def stored(rt: Runtime, who: Session, draft: Draft, new: DraftContent) -> Draft:
    """Store ``new`` in the draft; return the draft."""
    await drafts.store(rt, who, draft.id, new)
    return await drafts.get_draft(rt, who, draft.id)


async def audited(rt: Runtime, action: str = "template") -> Sequence[AuditEntry]:
    """Audit entries of the action, newest first."""
    async with rt.db.transaction() as tx:
        return await tx.audit.list(action=action)


async def bucket_audit(rt: Runtime, action: str = "bucket") -> list[tuple[str, str, str]]:
    """Action, subject and result of each entry, oldest first."""
    return [(entry.action, entry.subject, entry.result) for entry in reversed(await audited(rt, action))]


def bucket(name: str, manager: Any, *packages: Any, shared_id: UUID | None = None) -> Bucket:
    return Bucket(name, manager, tuple(packages), shared_id)
