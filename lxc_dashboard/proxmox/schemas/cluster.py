from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct, field

from lxc_dashboard.proxmox.schemas.values import Figure, words


class Resource(Struct, frozen=True, gc=False):
    """An entry of ``GET /cluster/resources``: guest (lxc, qemu), node, storage, pool, sdn or network.

    Status and figures come from pvestatd and are up to 10 s old. ``vmid`` is 0 unless it is a guest.
    """

    type: str
    id: str = ""
    node: str = ""
    status: str = ""
    vmid: int = 0
    name: str = ""
    pool: str = ""
    tags: str = ""
    lock: str = ""
    hastate: str = ""
    template: bool = False
    cpu: Figure = 0.0
    maxcpu: Figure = 0.0
    mem: int = 0
    maxmem: int = 0
    memhost: int = 0
    disk: int = 0
    maxdisk: int = 0
    diskread: int = 0
    diskwrite: int = 0
    netin: int = 0
    netout: int = 0
    uptime: int = 0
    storage: str = ""
    plugintype: str = ""
    content: str = ""
    shared: bool = False
    level: str = ""

    @property
    def is_guest(self) -> bool:
        return self.type in {"lxc", "qemu"}

    @property
    def tag_list(self) -> tuple[str, ...]:
        return words(self.tags)


class ClusterEntry(Struct, frozen=True):
    """An entry of ``GET /cluster/status``: a node, or the cluster itself (``type`` cluster).

    A single node has no entry for a cluster.
    """

    type: str
    name: str
    id: str = ""
    nodeid: int = 0
    online: bool = False
    local: bool = False
    ip: str = ""
    level: str = ""
    quorate: bool = False
    nodes: int = 0
    version: int = 0


class Vnet(Struct, frozen=True):
    """An entry of ``GET /cluster/sdn/vnets``: a virtual network, which is a bridge on the nodes of its zone."""

    vnet: str
    zone: str = ""


class TagAccess(Struct, frozen=True):
    """Which tags users may set without ``Sys.Modify`` at ``/``: free, existing, list or none."""

    user_allow: str = field(default="free", name="user-allow")


class ClusterOptions(Struct, frozen=True):
    """The tag settings of ``GET /cluster/options``. Without ``Sys.Audit`` at ``/`` PVE sends only ``allowed_tags``."""

    allowed_tags: list[str] = field(default_factory=list, name="allowed-tags")
    registered_tags: list[str] = field(default_factory=list, name="registered-tags")
    user_tag_access: TagAccess = field(default_factory=TagAccess, name="user-tag-access")

    def guarded(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Return the tags that need ``Sys.Modify`` at ``/``, as far as PVE shows them."""
        registered, allowed = _lower(self.registered_tags), _lower(self.allowed_tags)
        is_bound = self.user_tag_access.user_allow in _BOUND
        return tuple(tag for tag in tags if tag in registered or (is_bound and tag not in allowed))


_BOUND: Final = frozenset({"none", "list", "existing"})


def _lower(tags: Iterable[str]) -> frozenset[str]:
    return frozenset(tag.lower() for tag in tags)


class Pool(Struct, frozen=True):
    poolid: str
    comment: str = ""


class Domain(Struct, frozen=True):
    """A realm of ``GET /access/domains``."""

    realm: str
    type: str = ""
    comment: str = ""
    default: bool = False
    tfa: str | None = None


class SignIn(Struct, frozen=True):
    """The answer of ``POST /access/ticket``. With ``need_tfa`` the ticket is only a challenge."""

    ticket: str
    username: str = ""
    csrf_token: str = field(default="", name="CSRFPreventionToken")
    need_tfa: bool = field(default=False, name="NeedTFA")
    clustername: str = ""

    def __repr__(self) -> str:
        return f"SignIn(username={self.username!r}, need_tfa={self.need_tfa})"
