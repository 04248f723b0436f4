"""The checks before a creation: once for the wizard's review, and again in the worker before it creates anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lxc_dashboard.errors import NotFoundError, PrivilegeError, ProxmoxError
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import access, vmids
from lxc_dashboard.services.creation.preflight import checks, neighbourhood, volumes
from lxc_dashboard.services.creation.preflight.findings import (
    Finding,
    FindingCode,
    FindingSeverity,
    Leaving,
    Question,
    error,
    warning,
)
from lxc_dashboard.services.templates.library.catalog import load_revision

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.creation.context import RunContext
    from lxc_dashboard.services.creation.form.spec import ContainerSpec
    from lxc_dashboard.services.templates.model import TemplateContent


async def check(
    rt: Runtime, session: Session, spec: ContainerSpec, *, leaving: Leaving | None = None, count: int = 1
) -> list[Finding]:
    """Check a request for ``count`` containers that differ only in name and address. Errors first, notes last.

    Raises ``SessionExpiredError``, ``ServiceUnavailableError``. An unreachable PVE is a finding.
    """
    content: TemplateContent | None = None
    if spec.revision_id is not None:
        try:
            async with rt.db.transaction() as tx:
                content = (await load_revision(tx, spec.revision_id)).content
        except NotFoundError:
            return [error("revision_id", FindingCode.TEMPLATE_GONE)]
    client = await acting.client(rt, session)
    way = await access.choose_door(rt, session.endpoint_id, spec.node, spec)
    return await inspect(
        Question(
            rt,
            client,
            session.endpoint_id,
            session.userid,
            spec,
            spec.vmid,
            way,
            content,
            leaving=leaving,
            count=count,
        )
    )


async def check_again(ctx: RunContext) -> list[Finding]:
    """Check again in the worker, perhaps hours later, with the reserved vmid."""
    content = ctx.revision.content if ctx.revision else None
    return await inspect(
        Question(
            ctx.rt,
            ctx.client,
            ctx.endpoint_id,
            ctx.userid,
            ctx.spec,
            ctx.guest.vmid,
            ctx.way,
            content,
            own=ctx.container_id,
        )
    )


async def inspect(question: Question) -> list[Finding]:
    """Run all checks at once. First forgets containers that PVE no longer has, so that they cause no conflicts."""
    await _tolerant(_forget_gone(question), question)
    coroutines: Sequence[Coroutine[None, None, list[Finding]]] = (
        checks.node(question),
        checks.rights_held(question),
        checks.vmid(question),
        checks.names(question),
        checks.pool(question),
        volumes.storage(question),
        neighbourhood.bridge(question),
        neighbourhood.addresses(question),
        volumes.os_template(question),
        checks.way_in(question),
    )
    results = await asyncio.gather(*(_tolerant(part, question) for part in coroutines))
    of_node = results[0]
    if any(finding.severity is FindingSeverity.ERROR for finding in of_node):
        results = [of_node]  # answers about a missing node mean nothing
    found = [finding for result in results for finding in result]
    for of_template in (checks.system, checks.wishes, checks.managers, checks.scripts):
        found += of_template(question)
    unique = [finding for at, finding in enumerate(found) if finding not in found[:at]]
    return sorted(unique, key=lambda finding: tuple(FindingSeverity).index(finding.severity))


async def _forget_gone(question: Question) -> list[Finding]:
    wanted = vmids.address_test(question.spec)
    await vmids.forget_gone(question.rt, question.client, question.endpoint_id, vmid=question.vmid, is_wanted=wanted)
    return []


async def _tolerant(part: Coroutine[None, None, list[Finding]], question: Question) -> list[Finding]:
    try:
        return await part
    except PrivilegeError as missing:
        if not missing.privilege:
            return [warning("", FindingCode.UNCHECKED)]
        return [warning("", FindingCode.UNCHECKED_RIGHT, privilege=missing.privilege, path=missing.path)]
    except ProxmoxError as fault:
        if fault.retryable and question.own is not None:
            raise  # the worker tries again later
        return [error("", FindingCode.PVE_FAILED, reason=fault.reason)]
