"""What is to be done inside the guest: a way in, and packages and scripts that fit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from lxc_dashboard.errors import GuestError
from lxc_dashboard.services.creation.access.doors import REGISTER, NoWay, brings_ssh_server
from lxc_dashboard.services.creation.findings import Finding, error, note, warning
from lxc_dashboard.services.creation.form.choices import is_system
from lxc_dashboard.services.creation.steps.packages import batches
from lxc_dashboard.services.templates.format.packages import is_known, unfit

if TYPE_CHECKING:
    from lxc_dashboard.guest.connection import SshAddress
    from lxc_dashboard.services.creation.preflight.question import Question

DOOR_WAIT_S: Final = 5.0


async def way_in(question: Question) -> list[Finding]:
    """Whether it is open, as far as that can be told before there is a guest, and which one it is."""
    if not question.spec.enters_guest:
        return []
    way = question.way
    if isinstance(way, NoWay):
        return [error("node", way.cause, way.remedy)]
    told = [note(f"Way in: {way.title}")]
    if way.address is not None:
        return told + await _pct(question, way.address)
    if brings_ssh_server(question.spec.ostemplate) is None:
        name = question.spec.ostemplate.rpartition("/")[2]
        cause = f"Whether {name} brings an SSH server is not known: without one its guests cannot be entered"
        told.append(
            warning("ostemplate", cause, f"Choose a standard one of Debian or Ubuntu. {REGISTER}".format(node=way.node))
        )
    return told


async def _pct(question: Question, address: SshAddress) -> list[Finding]:
    try:
        async with asyncio.timeout(DOOR_WAIT_S):
            await question.rt.ssh.check_access(address)
    except GuestError as fault:
        return [error("node", fault.user_message, "Check the SSH door of this node at the endpoint")]
    except TimeoutError:
        return [error("node", f"The SSH door of {question.spec.node} does not answer", "Check it at the endpoint")]
    return []


def os_family(ostemplate: str) -> str:
    """``debian`` of ``local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst``."""
    return ostemplate.rpartition("/")[2].partition("-")[0].lower()


def system(question: Question) -> list[Finding]:
    """What the template is made for, where that and what is chosen are known."""
    config = question.content.config if question.content else None
    name = question.spec.ostemplate.rpartition("/")[2]
    family, _, rest = name.partition("-")
    if config is None or not is_known(config.os) or not is_known(family.lower()):
        return []
    version = config.version if rest[:1].isdigit() else ""
    if is_system(name.lower(), config.os, version.lower()):
        return []
    wanted = f"{config.os} {config.version}".strip()
    cause = f"The template is made for {wanted}, and {name} is another system"
    return [
        warning("ostemplate", cause, f"Choose an OS template of {wanted}, or see that its scripts do with this one")
    ]


def wishes(question: Question) -> list[Finding]:
    """The storage and the bridge that the template names, where others were chosen or the node has them not."""
    config, spec = question.content.config if question.content else None, question.spec
    if config is None:
        return []
    named = (("storage", config.storage, spec.storage), ("bridge", config.bridge, spec.bridge))
    return [
        note(f"The template names {what} {wanted}, and {taken} is taken")
        for what, wanted, taken in named
        if wanted and wanted != taken
    ]


def managers(question: Question) -> list[Finding]:
    """Where the OS is known, its packages must be of its manager."""
    family = os_family(question.spec.ostemplate)
    foreign = unfit(family, (batch.manager for batch in batches(question.spec, question.content)))
    if not foreign:
        return []
    return [
        error(
            "packages",
            f"{', '.join(foreign)} packages do not fit {family}",
            "Take them out, or choose another OS template",
        )
    ]


def scripts(question: Question) -> list[Finding]:
    there = {script.name for script in question.content.scripts} if question.content else set()
    unknown = [name for name in question.spec.scripts or () if name not in there]
    if not unknown:
        return []
    return [error("scripts", f"The template has no script {', '.join(unknown)}", "Choose its scripts again")]
