"""Find the privileges that a creation needs and its user lacks, grouped by path."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from lxc_dashboard.errors import ApiError, PrivilegeError
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox.auth import TokenAuth
from lxc_dashboard.services.creation.access import ENTRY_PRIVILEGES
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
    """``privilege`` or ``instead``, at any one of ``paths``.

    ``since``: the first major version of PVE that needs it. ``tags``: the tags that need it.
    ``later``: needed only after the container was created.
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
    """A missing privilege. ``field``: the wizard's field, or empty. ``later``: PVE creates the container without it."""

    field: str
    message: Message
    later: bool = False


async def missing(client: ProxmoxClient, spec: ContainerSpec, vmid: int, userid: str) -> list[Lack]:
    """The privileges that the user lacks, grouped by path.

    ``GET /version``, ``/nodes/{node}/network``, ``/cluster/sdn/vnets``, ``/cluster/options``, and
    ``/access/permissions`` once per path, then for all paths if a pool could help.
    """
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
    """The lack for ``needs``, with the pools in which the user may create the container instead."""
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
    """Combine needs at the same paths into one lack."""
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
    """The bridge's SDN zone: ``LOCAL_ZONE``, or that of a virtual network. Empty if PVE does not tell."""
    try:
        devices = await client.nodes.network(spec.node, "any_bridge")
        if all(device.type != VNET for device in devices if device.iface == spec.bridge):
            return LOCAL_ZONE
        return next((vnet.zone for vnet in await client.cluster.vnets() if vnet.vnet == spec.bridge), "")
    except (ApiError, PrivilegeError) as error:
        log.info("zone of the bridge not told", bridge=spec.bridge, why=str(error))
        return ""


async def _guarded_tags(client: ProxmoxClient, spec: ContainerSpec) -> tuple[str, ...]:
    """The tags of ``spec`` that need a privilege to set. Empty if PVE does not tell."""
    try:
        return (await client.cluster.options()).guarded(spec.tags) if spec.tags else ()
    except (ApiError, PrivilegeError) as error:
        log.info("guarded tags not told", why=str(error))
        return ()


def needed(spec: ContainerSpec, vmid: int, zone: str = LOCAL_ZONE, guarded_tags: Sequence[str] = ()) -> Iterator[Need]:
    """The privileges that a creation needs. One at a pool counts for its guests. ``zone``: empty if unknown."""
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
    """The privileges to download the OS template, and to read it unless its storage also gets a disk."""
    storage = spec.ostemplate.partition(":")[0]
    if spec.ostemplate_download:
        yield Need("Datastore.AllocateTemplate", (f"/storage/{storage}",), "ostemplate_download")
    if storage not in {volume.storage for volume in spec.volumes}:
        yield Need("Datastore.AllocateSpace", (f"/storage/{storage}",), "ostemplate", instead="Datastore.Audit")


def root_features(spec: ContainerSpec) -> tuple[str, ...]:
    """The requested features that PVE lets only root@pam enable, with a password and not with a token."""
    guarded = ("keyctl", "fuse") if spec.unprivileged else ("nesting", "keyctl", "fuse")
    return tuple(name for name in guarded if getattr(spec, name))


def _only_root(spec: ContainerSpec, *, by_token: bool = False) -> Iterator[Lack]:
    """What PVE allows only with a ticket of root@pam. ``by_token``: the user is root@pam with an API token."""
    for name in root_features(spec):
        kind = "unprivileged" if spec.unprivileged else "privileged"
        of_feature = FindingCode.ROOT_FEATURE_BY_TOKEN if by_token else FindingCode.ROOT_FEATURE
        yield Lack(name, Message.of(of_feature, feature=name, kind=kind))
    for at, mount in enumerate(spec.mounts):
        if mount.is_bind:
            of_folder = FindingCode.ROOT_FOLDER_BY_TOKEN if by_token else FindingCode.ROOT_FOLDER
            yield Lack(f"mounts.{at}.source", Message.of(of_folder, folder=mount.source))
