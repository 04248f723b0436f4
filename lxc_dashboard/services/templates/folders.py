"""All folders of templates, read again because a user asked."""

from __future__ import annotations

from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.templates import rights
from lxc_dashboard.services.templates.report import DiscoveryReport
from lxc_dashboard.services.templates.sync import sync_folders
from lxc_dashboard.services.templates.syncing import Asker


async def read_again(rt: Runtime, session: Session) -> tuple[DiscoveryReport, ...]:
    """A report for each folder; one that cannot be read says so in its ``refused``. Raises ``PrivilegeError``, ``ConflictError``."""
    folders = rt.settings.template_folders()
    async with rights.authored(rt, session, "source.sync", ", ".join(name for name, _ in folders)):
        return await sync_folders(rt.db, folders, Asker.of(session).tell)
