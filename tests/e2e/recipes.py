"""An operator's own templates for the browser tests: in a folder, and stored in the dashboard."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from playwright.sync_api import Page

from lxc_dashboard.db.models import (
    CREATE_KIND,
    Container,
    FilePolicy,
    Job,
    JobState,
    Lifecycle,
    PackageManager,
    now,
)
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.auth.model import Session
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.jobs.identity import line_of
from lxc_dashboard.services.templates.library import authoring, catalog, drafts
from lxc_dashboard.services.templates.library.draft import DraftContent, DraftFile
from lxc_dashboard.services.templates.model import Bucket, PackageEntry, Script, TemplateConfig
from tests.e2e.job_runs import in_services
from tests.e2e.stack import Stack, are_read, until

BINARY = b"\x1f\x8b\x00\xff picture"
INSTALL = """#!/bin/bash
# Installs the frobnicator
# timeout: 60
# optional: yes
set -e
echo frobnicated
"""
FOLDER: Mapping[str, str | bytes] = {
    "web/template.conf": """TEMPLATE_APP="Web"
TEMPLATE_TAGS="edge;team"
TEMPLATE_DESCRIPTION="Answers the world"
TEMPLATE_OS="debian"
TEMPLATE_VERSION="13"
TEMPLATE_CPU=2
TEMPLATE_RAM=1024
""",
    "web/container-configs/scripts/10-check.sh": "#!/bin/bash\nset -e\ntrue\n",
    "web/container-configs/scripts/20-install.sh": INSTALL,
    "web/container-configs/packages/base.apt": "nginx\ncurl=8.14.1-2\n",
    "web/container-configs/packages/tools.custom": "frob|command -v frob|true|timeout_s=600\n",
    "web/container-configs/files/site.conf": "listen 80;\n",
    "web/container-configs/files/site.conf.path": "/etc/web",
    "web/container-configs/files/site.conf.policy": "backup",
    "web/container-configs/files/logo.gz": BINARY,
    "web/container-configs/files/logo.gz.path": "/srv",
    "db/template.conf": """TEMPLATE_APP="Database"
TEMPLATE_TAGS="data;team"
TEMPLATE_DESCRIPTION="Keeps rows"
TEMPLATE_OS="alpine"
TEMPLATE_VERSION="3.22"
TEMPLATE_UNPRIVILEGED=0
""",
    "db/container-configs/packages/base.apk": "postgresql17\n",
}


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())


@contextmanager
def served(stack: Stack, root: Path) -> Iterator[None]:
    """Restart the web server so that it reads ``FOLDER`` below ``root``."""
    write(root, FOLDER)
    before = dict(stack.environ)
    stack.environ["TEMPLATES_DIR"] = str(root)
    try:
        stack.children["web"].stop()
        web = stack.start_web(stack.port)
        until(lambda: are_read(stack, root), web)
        yield
    finally:
        stack.environ.clear()
        stack.environ.update(before)
        stack.children["web"].stop()
        stack.start_web(stack.port)


def content_of(name: str, *, ram_mib: int, greeting: str, packages: tuple[str, ...]) -> DraftContent:
    """The content of a custom template without files."""
    return DraftContent(
        name=name,
        config=TemplateConfig(app=name, description="Made by a test", os="debian", version="13", ram_mib=ram_mib),
        scripts=(Script("10-greet.sh", f"#!/bin/bash\necho {greeting}\n", 0),),
        buckets=(Bucket("base", PackageManager.APT, tuple(PackageEntry(spec) for spec in packages)),),
    )


def custom(stack: Stack, page: Page) -> tuple[str, str]:
    """Store a custom template with three revisions; return its id and name. It sorts last in the list."""
    name = f"zz-own-{secrets.token_hex(4)}"

    async def make(rt: Runtime, session: Session) -> str:
        first = content_of(name, ram_mib=512, greeting="hello", packages=("curl",))
        second = content_of(name, ram_mib=1024, greeting="good day", packages=("curl", "jq"))
        template_id = await _saved(rt, session, first, None, "First")
        await _saved(rt, session, second, template_id, "More memory")
        await _saved(rt, session, second, template_id, "With a file", with_file=b"one\ntwo\n")
        return str(template_id)

    return in_services(stack, page, make), name


def wishing(stack: Stack, page: Page, **wishes: str) -> tuple[str, str]:
    """Store a custom template that names an ``os``, ``storage`` or ``bridge``; return its id and name."""
    name = f"zz-wish-{secrets.token_hex(4)}"

    async def make(rt: Runtime, session: Session) -> str:
        content = DraftContent(name=name, config=TemplateConfig(app=name, **wishes))  # type: ignore[arg-type] # texts
        return str(await _saved(rt, session, content, None, "First"))

    return in_services(stack, page, make), name


async def _saved(
    rt: Runtime,
    session: Session,
    content: DraftContent,
    template_id: UUID | None,
    note: str,
    *,
    with_file: bytes | None = None,
) -> UUID:
    draft = await drafts.open_draft(rt, session, template_id)
    if with_file is not None:
        sha256 = await drafts.put_file(rt, session, draft.id, with_file)
        file = DraftFile("notes.txt", "/srv", FilePolicy.REPLACE, 0o640, "root:root", sha256, len(with_file))
        content = DraftContent(content.name, content.config, content.scripts, (file,), content.buckets)
    await drafts.store(rt, session, draft.id, content)
    await authoring.save(rt, session, draft.id, note)
    found = await catalog.list_templates(session, rt.db)
    return next(template.id for template in found if template.name == content.name)


def built_from(
    stack: Stack, page: Page, template_id: str, number: int, vmid: int, *, name: str = "", marked: bool = True
) -> None:
    """Store that the guest ``vmid``, then called ``name``, was built from that revision.

    ``marked``: the guest's notes hold the marker.
    """

    async def add(rt: Runtime, session: Session) -> None:
        detail = await catalog.get_template(session, rt.db, UUID(template_id), number)
        async with rt.db.transaction() as tx:
            container = await tx.containers.reserve(
                Container(
                    endpoint_id=session.endpoint_id,
                    vmid=vmid,
                    node="pve1",
                    hostname=name or f"built-{vmid}",
                    lifecycle=Lifecycle.READY.value,
                    template_revision_id=detail.summary.revision_id,
                    created_by=session.userid,
                )
            )
            job = await tx.jobs.add(
                Job.about(
                    container,
                    CREATE_KIND,
                    step="creating",
                    userid=session.userid,
                    params=ContainerSpec("pve1", "local:vztmpl/x.tar.zst", container.hostname, "local-lvm").to_json(),
                    state=JobState.DONE.value,
                    checkpoint={"done": ["create.container"]},
                    finished_at=now(),
                )
            )
        client = await acting.client(rt, session)
        guest = await client.cluster.find_guest(vmid)
        if guest is not None and marked:
            await client.lxc.set_config(guest.node, vmid, {"description": line_of(job.id)})

    in_services(stack, page, add)
