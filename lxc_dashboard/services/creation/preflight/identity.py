"""Where it shall be, who asks for it, and whether its number, name and address are its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxc_dashboard.errors import UnreachableError
from lxc_dashboard.services.creation.preflight import rights
from lxc_dashboard.services.creation.preflight.findings import Finding, error, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxc_dashboard.proxmox.schemas import Node
    from lxc_dashboard.services.creation.preflight.question import Question

MIB: Final = 1024**2
UNKNOWN: Final = "unknown"
UNKNOWN_STATE: Final = "PVE does not know the state of node {}"


async def node(question: Question) -> list[Finding]:
    """There, online, and large enough. Raises ``UnreachableError`` to a worker where it is not online."""
    spec = question.spec
    nodes = {node.node: node for node in await question.client.nodes.list()}
    node = nodes.get(spec.node)
    if node is None:
        return [error("node", f"There is no node {spec.node}", f"Choose one of {', '.join(sorted(nodes))}")]
    if not node.online:
        cause = f"Node {spec.node} is {node.status}" if node.status != UNKNOWN else UNKNOWN_STATE.format(spec.node)
        if question.own is not None:
            raise UnreachableError(cause, path="/nodes")  # a worker has time, and pvestatd may only be restarting
        return [error("node", cause, "Choose another one, or wait until it is back")]
    return list(_size(question, node))


def _size(question: Question, node: Node) -> Iterator[Finding]:
    """Containers share memory and cores: what is more than there is only warns. Nothing is known without Sys.Audit."""
    spec, wanted = question.spec, question.spec.memory_mib * question.count
    if node.maxmem and wanted * MIB > node.maxmem:
        yield warning("memory_mib", f"Node {spec.node} has {node.maxmem // MIB} MiB in all")
    elif node.maxmem and wanted * MIB > node.maxmem - node.mem:
        free = max(0, node.maxmem - node.mem) // MIB
        yield warning("memory_mib", f"Node {spec.node} has {free} MiB free, {wanted} MiB are asked for")
    if node.maxcpu and spec.cores > node.maxcpu:
        yield warning("cores", f"Node {spec.node} has {node.maxcpu} cores in all", "More do not make it faster")


async def pool(question: Question) -> list[Finding]:
    """Seen by the user. PVE's list leaves out the pools that he may not see, so one that he might is not there."""
    name = question.spec.pool
    if not name or name in {pool.poolid for pool in await question.client.pools.list()}:
        return []
    if "Pool.Audit" in await question.client.access.permissions(f"/pool/{name}"):
        return [error("pool", f"There is no pool {name}", "Choose one that is there, or none")]
    return [warning("pool", f"No pool {name} is seen: it does not exist, or you lack Pool.Audit at /pool/{name}")]


async def rights_held(question: Question) -> list[Finding]:
    """What is missing, once a path."""
    vmid = question.vmid or await question.client.cluster.nextid()
    missing = await rights.missing(question.client, question.spec, vmid, question.userid)
    return [(warning if lack.later else error)(lack.field, lack.cause, lack.remedy) for lack in missing]


async def vmid(question: Question) -> list[Finding]:
    """Free in PVE and here."""
    if question.vmid is None:
        return []
    async with question.rt.db.transaction() as tx:
        holder = await tx.containers.by_vmid(question.endpoint_id, question.vmid)
    if holder is not None and holder.id != question.not_in_the_way:
        return [error("vmid", f"{question.vmid} is held by a container of this dashboard", "Choose another one")]
    if question.leaving is not None and question.leaving.vmid == question.vmid:
        return []
    if not await question.client.cluster.vmid_is_free(question.vmid):
        return [error("vmid", f"{question.vmid} is taken in PVE", "Choose another one, or leave it empty")]
    return []


async def names(question: Question) -> list[Finding]:
    """Host name seen nowhere else."""
    spec = question.spec
    guests = await question.client.cluster.resources("vm")
    own = {question.vmid, question.leaving.vmid if question.leaving else None}
    double = next((guest for guest in guests if guest.name == spec.hostname and guest.vmid not in own), None)
    if double is None:
        return []
    cause = f"{spec.hostname} is the name of {double.vmid} on {double.node} too"
    return [warning("hostname", cause, "Choose another one, if they are to be told apart by name")]
