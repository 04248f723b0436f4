"""Which privileges a creation needs, and which of them its user lacks: named together where they are missing together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import ApiError, PrivilegeError
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.auth import TokenAuth
from lxc_dashboard.services.creation.access.entrance import ENTRY_PRIVILEGES
from lxc_dashboard.services.creation.preflight.findings import FindingCode

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.services.creation.form.spec import ContainerSpec

log = structlog.get_logger(__name__)

ROOT: Final = "root@pam"
LOCAL_ZONE: Final = "localnetwork"
VNET: Final = "vnet"
ALLOCATE: Final = "VM.Allocate"
POOLS: Final = "/pool"
GUEST_PRIVILEGES: Final = (
    (ALLOCATE, ""),
    ("VM.Audit", ""),
    ("VM.PowerMgmt", ""),
    ("VM.Config.CPU", "cores"),
    ("VM.Config.Memory", "memory_mib"),
    ("VM.Config.Disk", "disk_gib"),
    ("VM.Config.Network", "bridge"),
    ("VM.Config.Options", ""),
)


@dataclass(frozen=True, slots=True)
class Need:
    """``privilege`` at any one of ``paths``, or ``instead``; the first path is the one to name.

    ``since``: the PVE that began to ask for it. ``tags``: for which PVE asks for it. ``later``: PVE asks when the container is there.
    """

    privilege: str
    paths: tuple[str, ...]
    field: str = ""
    since: int = 0
    instead: str = ""
    tags: tuple[str, ...] = ()
    later: bool = False

    @property
    def named(self) -> str:
        return f"{self.privilege} or {self.instead}" if self.instead else self.privilege


@dataclass(frozen=True, slots=True)
class Lack:
    """What is missing, and who can help. ``field`` is the wizard's, empty where it is none's. ``later``: the container is made without."""

    field: str
    message: Message
    later: bool = False


async def missing(client: ProxmoxClient, spec: ContainerSpec, vmid: int, userid: str) -> list[Lack]:
    """What the user lacks for this, once a path. Asks ``GET /access/permissions`` once a path and, for the pools, for all, ``GET /version``, ``.../network``, ``/cluster/options``."""
    if userid == ROOT and not isinstance(client.auth, TokenAuth):
        return []
    version, zone, tags = await asyncio.gather(client.version(), _zone(client, spec), _guarded_tags(client, spec))
    needs = [need for need in needed(spec, vmid, zone, tags) if need.since <= (version.major or need.since)]
    paths = sorted({path for need in needs for path in need.paths})
    answers = await asyncio.gather(*(client.access.permissions(path) for path in paths))
    held = dict(zip(paths, answers, strict=True))
    unmet: dict[tuple[tuple[str, ...], str, tuple[str, ...]], list[Need]] = {}
    for need in needs:
        if not any({need.privilege, need.instead} & held[path] for path in need.paths):
            unmet.setdefault((need.paths, need.instead, need.tags), []).append(need)
    lacks = [_lack(together) for together in unmet.values()]
    of_guest = (_guest_paths(spec, vmid), "", ())
    if not spec.pool and any(need.privilege == ALLOCATE for need in unmet.get(of_guest, ())):
        at = list(unmet).index(of_guest)
        lacks[at] = await _through_pool(client, unmet[of_guest])
    return lacks + list(_only_root(spec, by_token=userid == ROOT))


async def _through_pool(client: ProxmoxClient, needs: list[Need]) -> Lack:
    """The pools in which the user may create the container all the same, if there are any."""
    pools = (await client.access.grants()).below(POOLS, ALLOCATE)
    if not pools:
        return _lack(needs)
    privileges, paths, held = _privileges(needs), _paths(needs), [f"{POOLS}/{pool}" for pool in pools]
    same = Message.of(FindingCode.RIGHT_LACKS, privileges=privileges, paths=paths)
    if len(pools) == 1:
        return Lack(
            "pool", Message.of(FindingCode.RIGHT_IN_POOL, lack=same, allocate=ALLOCATE, held=held, pool=pools[0])
        )
    return Lack(
        "pool", Message.of(FindingCode.RIGHT_IN_POOLS, lack=same, allocate=ALLOCATE, held=held, pools=list(pools))
    )


def _lack(needs: list[Need]) -> Lack:
    """PVE lets whoever holds ``Permissions.Modify`` at a path grant what he holds there."""
    first, privileges, paths = needs[0], _privileges(needs), _paths(needs)
    lack = Message.of(FindingCode.RIGHT_LACKS, privileges=privileges, paths=paths)
    if first.tags:
        lack = Message.of(FindingCode.RIGHT_LACKS_FOR_TAGS, privileges=privileges, paths=paths, tags=first.tags)
    return Lack(first.field, lack, first.later)


def _privileges(needs: list[Need]) -> list[str]:
    return list(dict.fromkeys(need.named for need in needs))


def _paths(needs: list[Need]) -> str:
    return " or ".join(needs[0].paths)


async def _zone(client: ProxmoxClient, spec: ContainerSpec) -> str:
    """The zone that the bridge is of: ``LOCAL_ZONE``, a virtual network's own, empty where that cannot be told."""
    try:
        devices = await client.nodes.network(spec.node, "any_bridge")
        if all(device.type != VNET for device in devices if device.iface == spec.bridge):
            return LOCAL_ZONE
        return next((vnet.zone for vnet in await client.cluster.vnets() if vnet.vnet == spec.bridge), "")
    except (ApiError, PrivilegeError) as error:
        log.info("zone of the bridge not told", bridge=spec.bridge, why=str(error))
        return ""


async def _guarded_tags(client: ProxmoxClient, spec: ContainerSpec) -> tuple[str, ...]:
    """Those that not everybody may set, as far as that is told."""
    try:
        return (await client.cluster.options()).guarded(spec.tags) if spec.tags else ()
    except (ApiError, PrivilegeError) as error:
        log.info("guarded tags not told", why=str(error))
        return ()


def needed(spec: ContainerSpec, vmid: int, zone: str = LOCAL_ZONE, guarded_tags: Sequence[str] = ()) -> Iterator[Need]:
    """Rights at a pool count for the guest in it. ``zone`` of the bridge: empty where it is not known, and not asked for."""
    guest = _guest_paths(spec, vmid)
    for privilege, field in GUEST_PRIVILEGES:
        yield Need(privilege, guest, field)
    if spec.enters_guest:
        for privilege in ENTRY_PRIVILEGES:
            yield Need(privilege, guest)
    for storage, field in {volume.storage: volume.field for volume in reversed(spec.volumes)}.items():
        yield Need("Datastore.AllocateSpace", (f"/storage/{storage}",), field)
    yield from _of_os_template(spec)
    if zone:
        bridge = f"/sdn/zones/{zone}/{spec.bridge}"
        yield Need("SDN.Use", (f"{bridge}/{spec.vlan}" if spec.vlan else bridge,), "bridge", since=8)
    if not spec.unprivileged:
        yield Need("Sys.Modify", ("/",), "unprivileged", since=9)
    if guarded_tags:
        yield Need("Sys.Modify", ("/",), "tags", tags=tuple(guarded_tags), later=bool(spec.pool))


def _guest_paths(spec: ContainerSpec, vmid: int) -> tuple[str, ...]:
    return (f"/vms/{vmid}", f"{POOLS}/{spec.pool}") if spec.pool else (f"/vms/{vmid}",)


def _of_os_template(spec: ContainerSpec) -> Iterator[Need]:
    """To read it, unless its storage is one that the container is to have a disk on; and to fetch it."""
    storage = spec.ostemplate.partition(":")[0]
    if spec.ostemplate_download:
        yield Need("Datastore.AllocateTemplate", (f"/storage/{storage}",), "ostemplate_download")
    if storage not in {volume.storage for volume in spec.volumes}:
        yield Need("Datastore.AllocateSpace", (f"/storage/{storage}",), "ostemplate", instead="Datastore.Audit")


def root_features(spec: ContainerSpec) -> tuple[str, ...]:
    """Those of the features asked for that PVE lets root@pam alone switch on, by password and not by token."""
    guarded = ("keyctl", "fuse") if spec.unprivileged else ("nesting", "keyctl", "fuse")
    return tuple(name for name in guarded if getattr(spec, name))


def _only_root(spec: ContainerSpec, *, by_token: bool = False) -> Iterator[Lack]:
    """PVE asks for a ticket of root@pam here. ``by_token``: it is root@pam who asks, with an API token."""
    for name in root_features(spec):
        kind = "unprivileged" if spec.unprivileged else "privileged"
        of_feature = FindingCode.ROOT_FEATURE_BY_TOKEN if by_token else FindingCode.ROOT_FEATURE
        yield Lack(name, Message.of(of_feature, feature=name, kind=kind))
    for at, mount in enumerate(spec.mounts):
        if mount.is_bind:
            of_folder = FindingCode.ROOT_FOLDER_BY_TOKEN if by_token else FindingCode.ROOT_FOLDER
            yield Lack(f"mounts.{at}.source", Message.of(of_folder, folder=mount.source))
