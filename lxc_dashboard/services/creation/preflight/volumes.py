"""Checks of the storages and their free space, and of the OS template.

PVE ends a create task with OK even if the storage becomes full. Then the guest's file system is read-only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import DashboardError, PhaseFailedError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.codes import FailureCode
from lxc_dashboard.services.creation.form.choices import SEES_STORAGE
from lxc_dashboard.services.creation.preflight.findings import Finding, FindingCode, FindingSeverity, error, warning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lxc_dashboard.proxmox.schemas import NodeStorage
    from lxc_dashboard.services.creation.context import RunContext
    from lxc_dashboard.services.creation.form.spec import ContainerSpec, Volume
    from lxc_dashboard.services.creation.preflight.findings import Question


log = structlog.get_logger(__name__)

# LVM reports the use of a thin pool in hundredths of a percent, and many storages reserve their last blocks.
FULL_SHARE: Final = 0.001
FULL_BYTES: Final = 16 * 1024**2


def is_full(storage: NodeStorage) -> bool:
    """Whether the storage is full. False if its size is unknown."""
    return bool(storage.total) and storage.avail < max(FULL_BYTES, storage.total * FULL_SHARE)


async def find(ctx: RunContext) -> str:
    """The first full storage of this container. Empty if none is full, or PVE does not tell.

    ``GET /nodes/{node}/storage``.
    """
    own = {volume.storage for volume in ctx.spec.volumes}
    try:
        seen = await ctx.client.nodes.storage(ctx.guest.node)
    except DashboardError as error:
        log.info("storages not told", job_id=str(ctx.job_id), why=str(error))
        return ""
    return next((storage.storage for storage in seen if storage.storage in own and is_full(storage)), "")


async def named(ctx: RunContext, error: PhaseFailedError) -> PhaseFailedError:
    """``error``, with the full storage as its cause if there is one."""
    name = await find(ctx) if error.of_disk else ""
    return caused_by(name, error) if name else error


def caused_by(name: str, error: PhaseFailedError) -> PhaseFailedError:
    """``error`` with the full storage ``name`` as its cause."""
    return PhaseFailedError(
        error.phase, Message.of(FailureCode.STORAGE_FULL, storage=name, reason=error.reason), step=error.step
    )


GIB: Final = 1024**3
MIB: Final = 1024**2
UNPACKED_AT_LEAST: Final = 3
# Most OS templates are smaller than ``DOWNLOAD_BYTES``. None is smaller than ``LEAST_DOWNLOAD_BYTES``.
DOWNLOAD_BYTES: Final = 512 * MIB
LEAST_DOWNLOAD_BYTES: Final = 2 * MIB
# PVE formats the disk before it unpacks the OS template. With less free space, the format fails.
FORMATTED_BYTES: Final = 2 * MIB
THICK_STORAGES: Final = frozenset({"lvm", "iscsi", "iscsidirect"})


async def storage(question: Question) -> list[Finding]:
    """Check that each storage exists, holds container disks, and has enough free space for all volumes on it."""
    node = question.spec.node
    seen = {storage.storage: storage for storage in await question.client.nodes.storage(node)}
    found: list[Finding] = []
    for volumes in _by_storage(question.spec):
        if volumes[0].storage in seen or await _would_be_seen(question, volumes[0].storage):
            found += _of_storage(node, seen, volumes, question.count)
    return found


async def _would_be_seen(question: Question, name: str) -> bool:
    """Whether the user would see the storage. If not, ``identity.rights_held`` names the missing privilege."""
    return not SEES_STORAGE.isdisjoint(await question.client.access.permissions(f"/storage/{name}"))


def _by_storage(spec: ContainerSpec) -> list[list[Volume]]:
    found: dict[str, list[Volume]] = {}
    for volume in spec.volumes:
        found.setdefault(volume.storage, []).append(volume)
    return list(found.values())


def _of_storage(node: str, seen: Mapping[str, NodeStorage], volumes: Sequence[Volume], count: int) -> list[Finding]:
    name, field = volumes[0].storage, volumes[0].field
    storage = seen.get(name)
    if storage is None:
        fit = sorted(name for name, each in seen.items() if each.holds("rootdir"))
        if not fit:
            return [error(field, FindingCode.STORAGE_NONE_FITS, storage=name, node=node)]
        return [error(field, FindingCode.STORAGE_UNSEEN, storage=name, node=node, fit=fit)]
    if not storage.enabled or not storage.active:
        return [error(field, FindingCode.STORAGE_INACTIVE, storage=name, node=node)]
    if not storage.holds("rootdir"):
        return [error(field, FindingCode.STORAGE_CONTENT, storage=name)]
    return _room(storage, volumes, count)


def _room(storage: NodeStorage, volumes: Sequence[Volume], count: int) -> list[Finding]:
    wanted = sum(volume.size_gib for volume in volumes) * count
    if storage.avail >= wanted * GIB:
        return []
    if not storage.total:
        return [warning(volumes[0].field, FindingCode.STORAGE_UNMEASURED, storage=storage.storage)]
    name, free, need = storage.storage, round(storage.avail / GIB, 1), _need(volumes, count, wanted)
    field = max(volumes, key=lambda volume: volume.size_gib).size_field
    if storage.type in THICK_STORAGES or storage.avail < FORMATTED_BYTES:
        return [error(field, FindingCode.STORAGE_TOO_SMALL, storage=name, free=free, need=need)]
    return [warning(field, FindingCode.STORAGE_MAY_FILL_UP, storage=name, free=free, need=need)]


def _need(volumes: Sequence[Volume], count: int, gib: int) -> Message:
    if count > 1:
        return Message.of(FindingCode.NEED_SEVERAL, count=count, gib=gib)
    has_root = volumes[0].field == "storage"
    if len(volumes) == 1:
        return Message.of(FindingCode.NEED_DISK if has_root else FindingCode.NEED_MOUNT, gib=gib)
    return Message.of(FindingCode.NEED_DISK_AND_MOUNTS if has_root else FindingCode.NEED_MOUNTS, gib=gib)


async def os_template(question: Question) -> list[Finding]:
    """Check that the OS template exists or can be downloaded, and that it fits on the disk."""
    spec = question.spec
    storage = spec.ostemplate.partition(":")[0]
    volumes = await question.client.storage.content(spec.node, storage, "vztmpl")
    there = next((volume for volume in volumes if volume.volid == spec.ostemplate), None)
    if there is not None:
        return _too_small(spec, there.size)
    if not spec.ostemplate_download:
        return [error("ostemplate", FindingCode.OSTEMPLATE_MISSING, ostemplate=spec.ostemplate, node=spec.node)]
    offered = {appliance.template for appliance in await question.client.nodes.aplinfo(spec.node)}
    if spec.ostemplate_download not in offered:
        name = spec.ostemplate_download
        return [error("ostemplate_download", FindingCode.OSTEMPLATE_NOT_OFFERED, ostemplate=name)]
    return await _room_for_download(question, storage)


def _too_small(spec: ContainerSpec, packed: int) -> list[Finding]:
    if spec.disk_gib * GIB >= packed * UNPACKED_AT_LEAST:
        return []
    return [warning("disk_gib", FindingCode.OSTEMPLATE_LARGE, mib=round(packed / MIB), disk=spec.disk_gib)]


async def _room_for_download(question: Question, name: str) -> list[Finding]:
    """Check the space for a download by typical sizes, because PVE does not tell the size before."""
    field, node = "ostemplate_download", question.spec.node
    storage = next((s for s in await question.client.nodes.storage(node) if s.storage == name), None)
    if storage is None or not storage.active or not storage.holds("vztmpl"):
        return [error(field, FindingCode.OSTEMPLATE_STORAGE, storage=name, node=node)]
    if storage.avail >= DOWNLOAD_BYTES or not storage.total:
        return []
    room = Message.of(FindingCode.OSTEMPLATE_ROOM, storage=name, mib=round(storage.avail / MIB))
    fails = storage.avail < LEAST_DOWNLOAD_BYTES
    return [Finding(FindingSeverity.ERROR if fails else FindingSeverity.WARNING, field, room)]
