"""Checks of the node, the user's privileges, the vmid, the hostname and the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxc_dashboard.errors import UnreachableError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.preflight import rights
from lxc_dashboard.services.creation.preflight.findings import Finding, FindingCode, FindingSeverity, error, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

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
