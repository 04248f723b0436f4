"""Checks of the work inside the guest: the way in, the OS, the packages and the scripts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from lxc_dashboard.errors import GuestError
from lxc_dashboard.services.creation.access.doors import NoWay, brings_ssh_server
from lxc_dashboard.services.creation.form.choices import is_system
from lxc_dashboard.services.creation.preflight.findings import (
    Finding,
    FindingCode,
    FindingSeverity,
    error,
    note,
    warning,
)
from lxc_dashboard.services.creation.steps.packages import batches
from lxc_dashboard.services.templates.format.packages import is_known, unfit

if TYPE_CHECKING:
    from lxc_dashboard.guest.connection import SshAddress
    from lxc_dashboard.services.creation.preflight.findings import Question

DOOR_WAIT_S: Final = 5.0


async def way_in(question: Question) -> list[Finding]:
    """Say which way into the guest will be used, and check it as far as possible without a guest."""
    if not question.spec.enters_guest:
        return []
    way = question.way
    if isinstance(way, NoWay):
        return [Finding(FindingSeverity.ERROR, "node", way.reason)]
    if (address := way.address) is not None:
        way_in = note(FindingCode.WAY_IN_PCT, node=way.node, user=address.user, host=address.host)
        return [way_in, *await _pct(question, address)]
    found = [note(FindingCode.WAY_IN_SSH)]
    if brings_ssh_server(question.spec.ostemplate) is None:
        name = question.spec.ostemplate.rpartition("/")[2]
        found.append(warning("ostemplate", FindingCode.SSH_SERVER_UNKNOWN, ostemplate=name, node=way.node))
    return found


async def _pct(question: Question, address: SshAddress) -> list[Finding]:
    try:
        async with asyncio.timeout(DOOR_WAIT_S):
            await question.rt.ssh.check_access(address)
    except GuestError as fault:
        return [error("node", FindingCode.DOOR_FAILED, reason=fault.reason)]
    except TimeoutError:
        return [error("node", FindingCode.DOOR_SILENT, node=question.spec.node)]
    return []


def os_family(ostemplate: str) -> str:
    """``debian`` for ``local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst``."""
    return ostemplate.rpartition("/")[2].partition("-")[0].lower()


def system(question: Question) -> list[Finding]:
    """Warn if the template is made for another OS. Needs a known OS in the template and in the OS template."""
    config = question.content.config if question.content else None
    name = question.spec.ostemplate.rpartition("/")[2]
    family, _, rest = name.partition("-")
    if config is None or not is_known(config.os) or not is_known(family.lower()):
        return []
    version = config.version if rest[:1].isdigit() else ""
    if is_system(name.lower(), config.os, version.lower()):
        return []
    wanted = f"{config.os} {config.version}".strip()
    return [warning("ostemplate", FindingCode.TEMPLATE_OTHER_SYSTEM, wanted=wanted, ostemplate=name)]


def wishes(question: Question) -> list[Finding]:
    """Note if the container will not use the storage or the bridge that the template names."""
    config, spec = question.content.config if question.content else None, question.spec
    if config is None:
        return []
    found = []
    if config.storage and config.storage != spec.storage:
        found.append(note(FindingCode.TEMPLATE_OTHER_STORAGE, wanted=config.storage, used=spec.storage))
    if config.bridge and config.bridge != spec.bridge:
        found.append(note(FindingCode.TEMPLATE_OTHER_BRIDGE, wanted=config.bridge, used=spec.bridge))
    return found


def managers(question: Question) -> list[Finding]:
    """Check that the package managers fit the OS, if it is known."""
    family = os_family(question.spec.ostemplate)
    foreign = unfit(family, (batch.manager for batch in batches(question.spec, question.content)))
    if not foreign:
        return []
    return [error("packages", FindingCode.PACKAGES_UNFIT, managers=list(foreign), family=family)]


def scripts(question: Question) -> list[Finding]:
    there = {script.name for script in question.content.scripts} if question.content else set()
    unknown = [name for name in question.spec.scripts or () if name not in there]
    if not unknown:
        return []
    return [error("scripts", FindingCode.SCRIPTS_MISSING, scripts=unknown)]
