"""Checks of the node, the user's privileges, the vmid and the names, and of the work inside the guest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from lxc_dashboard.errors import GuestError, UnreachableError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.access import NoWay, brings_ssh_server
from lxc_dashboard.services.creation.form.choices import is_system
from lxc_dashboard.services.creation.preflight import rights
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
    from collections.abc import Iterator

    from lxc_dashboard.guest.connection import SshAddress
    from lxc_dashboard.proxmox.schemas import Node
    from lxc_dashboard.services.creation.preflight.findings import Question

MIB: Final = 1024**2
UNKNOWN: Final = "unknown"


async def node(question: Question) -> list[Finding]:
    """Check that the node exists, is online and large enough. In a worker, raises ``UnreachableError`` if offline."""
    spec = question.spec
    nodes = {node.node: node for node in await question.client.nodes.list()}
    node = nodes.get(spec.node)
    if node is None:
        return [error("node", FindingCode.NODE_MISSING, node=spec.node, nodes=sorted(nodes))]
    if not node.online:
        state = Message.of(FindingCode.NODE_OFFLINE, node=spec.node, status=node.status)
        if node.status == UNKNOWN:
            state = Message.of(FindingCode.NODE_UNKNOWN, node=spec.node)
        if question.own is not None:
            raise UnreachableError(state, path="/nodes")  # retried later: pvestatd may only be restarting
        return [Finding(FindingSeverity.ERROR, "node", state)]
    return list(_size(question, node))


def _size(question: Question, node: Node) -> Iterator[Finding]:
    """Warn about too much memory or too many cores. No error, because containers share both. Needs Sys.Audit."""
    spec, wanted = question.spec, question.spec.memory_mib * question.count
    if node.maxmem and wanted * MIB > node.maxmem:
        yield warning("memory_mib", FindingCode.MEMORY_ABOVE_ALL, node=spec.node, mib=node.maxmem // MIB)
    elif node.maxmem and wanted * MIB > node.maxmem - node.mem:
        free = max(0, node.maxmem - node.mem) // MIB
        yield warning("memory_mib", FindingCode.MEMORY_ABOVE_FREE, node=spec.node, free=free, wanted=wanted)
    if node.maxcpu and spec.cores > node.maxcpu:
        yield warning("cores", FindingCode.CORES_ABOVE_ALL, node=spec.node, cores=node.maxcpu)


async def pool(question: Question) -> list[Finding]:
    """Check that the pool exists. PVE's list hides pools, so it is an error only if the user may see the pool."""
    name = question.spec.pool
    if not name or name in {pool.poolid for pool in await question.client.pools.list()}:
        return []
    if "Pool.Audit" in await question.client.access.permissions(f"/pool/{name}"):
        return [error("pool", FindingCode.POOL_MISSING, pool=name)]
    return [warning("pool", FindingCode.POOL_UNSEEN, pool=name)]


async def rights_held(question: Question) -> list[Finding]:
    """Findings for missing privileges, one per path."""
    vmid = question.vmid or await question.client.cluster.nextid()
    missing = await rights.missing(question.client, question.spec, vmid, question.userid)
    severities = {True: FindingSeverity.WARNING, False: FindingSeverity.ERROR}
    return [Finding(severities[lack.later], lack.field, lack.message) for lack in missing]


async def vmid(question: Question) -> list[Finding]:
    """Check that the vmid is free in PVE and in the database."""
    if question.vmid is None:
        return []
    async with question.rt.db.transaction() as tx:
        holder = await tx.containers.by_vmid(question.endpoint_id, question.vmid)
    if holder is not None and holder.id != question.not_in_the_way:
        return [error("vmid", FindingCode.VMID_OURS, vmid=question.vmid)]
    if question.leaving is not None and question.leaving.vmid == question.vmid:
        return []
    if not await question.client.cluster.vmid_is_free(question.vmid):
        return [error("vmid", FindingCode.VMID_TAKEN, vmid=question.vmid)]
    return []


async def names(question: Question) -> list[Finding]:
    """Warn if another guest has the hostname."""
    spec = question.spec
    guests = await question.client.cluster.resources("vm")
    own = {question.vmid, question.leaving.vmid if question.leaving else None}
    double = next((guest for guest in guests if guest.name == spec.hostname and guest.vmid not in own), None)
    if double is None:
        return []
    return [warning("hostname", FindingCode.NAME_TWICE, name=spec.hostname, vmid=double.vmid or 0, node=double.node)]


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
