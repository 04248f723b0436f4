"""The input of a preflight, and its findings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from lxc_dashboard.messages import Message, MessageCode, Param

if TYPE_CHECKING:
    from lxc_dashboard.proxmox.client import ProxmoxClient
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.creation.access import NoWay, Way
    from lxc_dashboard.services.creation.form.spec import ContainerSpec
    from lxc_dashboard.services.templates.model import TemplateContent


@dataclass(frozen=True, slots=True)
class Leaving:
    """A container of the product that is destroyed first. The new one may use its vmid, name and address."""

    container_id: UUID
    vmid: int


@dataclass(frozen=True, slots=True)
class Question:
    """``own``: the container of the job that asks. ``leaving``: one to destroy first. ``count``: how many to create."""

    rt: Runtime
    client: ProxmoxClient
    endpoint_id: UUID
    userid: str
    spec: ContainerSpec
    vmid: int | None
    way: Way | NoWay
    content: TemplateContent | None
    own: UUID | None = None
    leaving: Leaving | None = None
    count: int = 1

    @property
    def not_in_the_way(self) -> UUID | None:
        """The product's container whose name, vmid and address the new one may use."""
        return self.own or (self.leaving.container_id if self.leaving else None)


class FindingCode(MessageCode):
    """By subject: the check itself, the node, privileges, names, volumes, the network, the guest and the template."""

    UNCHECKED = "preflight.unchecked"
    UNCHECKED_RIGHT = "preflight.unchecked.right"
    PVE_FAILED = "preflight.pve_failed"
    INVALID = "preflight.invalid"

    NODE_MISSING = "preflight.node.missing"
    NODE_OFFLINE = "preflight.node.offline"
    NODE_UNKNOWN = "preflight.node.unknown"
    MEMORY_ABOVE_ALL = "preflight.memory.above_all"
    MEMORY_ABOVE_FREE = "preflight.memory.above_free"
    CORES_ABOVE_ALL = "preflight.cores.above_all"

    RIGHT_LACKS = "preflight.right.lacks"
    RIGHT_LACKS_FOR_TAGS = "preflight.right.lacks_for_tags"
    RIGHT_IN_POOL = "preflight.right.in_pool"
    RIGHT_IN_POOLS = "preflight.right.in_pools"
    ROOT_FEATURE = "preflight.root.feature"
    ROOT_FEATURE_BY_TOKEN = "preflight.root.feature_by_token"  # noqa: S105 a code
    ROOT_FOLDER = "preflight.root.folder"
    ROOT_FOLDER_BY_TOKEN = "preflight.root.folder_by_token"  # noqa: S105 a code

    POOL_MISSING = "preflight.pool.missing"
    POOL_UNSEEN = "preflight.pool.unseen"
    VMID_OURS = "preflight.vmid.ours"
    VMID_TAKEN = "preflight.vmid.taken"
    NAME_TWICE = "preflight.name.twice"

    STORAGE_UNSEEN = "preflight.storage.unseen"
    STORAGE_NONE_FITS = "preflight.storage.none_fits"
    STORAGE_INACTIVE = "preflight.storage.inactive"
    STORAGE_CONTENT = "preflight.storage.content"
    STORAGE_UNMEASURED = "preflight.storage.unmeasured"
    STORAGE_TOO_SMALL = "preflight.storage.too_small"
    STORAGE_MAY_FILL_UP = "preflight.storage.may_fill_up"
    NEED_DISK = "preflight.need.disk"
    NEED_MOUNT = "preflight.need.mount"
    NEED_MOUNTS = "preflight.need.mounts"
    NEED_DISK_AND_MOUNTS = "preflight.need.disk_and_mounts"
    NEED_SEVERAL = "preflight.need.several"
    OSTEMPLATE_MISSING = "preflight.ostemplate.missing"
    OSTEMPLATE_NOT_OFFERED = "preflight.ostemplate.not_offered"
    OSTEMPLATE_LARGE = "preflight.ostemplate.large"
    OSTEMPLATE_STORAGE = "preflight.ostemplate.storage"
    OSTEMPLATE_ROOM = "preflight.ostemplate.room"

    BRIDGES_UNSEEN = "preflight.bridge.none_seen"
    BRIDGE_UNSEEN = "preflight.bridge.unseen"
    BRIDGE_DOWN = "preflight.bridge.down"
    VLAN_BESIDE = "preflight.vlan.beside"
    VLAN_IMPOSSIBLE = "preflight.vlan.impossible"
    MTU_UNKNOWN = "preflight.mtu.unknown"
    MTU_ABOVE_BRIDGE = "preflight.mtu.above_bridge"

    ADDRESS_OURS = "preflight.address.ours"
    ADDRESS_TAKEN = "preflight.address.taken"
    ADDRESS_OF_GATEWAY = "preflight.address.of_gateway"
    ADDRESS_TAKEN_ELSEWHERE = "preflight.address.taken_elsewhere"
    ADDRESS_OF_GATEWAY_ELSEWHERE = "preflight.address.of_gateway_elsewhere"
    ADDRESS_OF_STOPPED = "preflight.address.of_stopped"
    ADDRESS_OFF_BRIDGE = "preflight.address.off_bridge"
    ADDRESSES_UNASKED = "preflight.addresses.unasked"
    RANGE_UNASKED = "preflight.range.unasked"
    GATEWAY_NONE = "preflight.gateway.none"
    GATEWAY_OUTSIDE = "preflight.gateway.outside"
    GATEWAY_OF_GUEST = "preflight.gateway.of_guest"
    GATEWAY_UNUSUAL = "preflight.gateway.unusual"

    WAY_IN_PCT = "preflight.way_in.pct"
    WAY_IN_SSH = "preflight.way_in.ssh"
    SSH_SERVER_UNKNOWN = "preflight.ssh_server.unknown"
    DOOR_FAILED = "preflight.door.failed"
    DOOR_SILENT = "preflight.door.silent"

    TEMPLATE_GONE = "preflight.template.gone"
    TEMPLATE_OTHER_SYSTEM = "preflight.template.other_system"
    TEMPLATE_OTHER_STORAGE = "preflight.template.other_storage"
    TEMPLATE_OTHER_BRIDGE = "preflight.template.other_bridge"
    PACKAGES_UNFIT = "preflight.packages.unfit"
    SCRIPTS_MISSING = "preflight.scripts.missing"


class FindingSeverity(StrEnum):
    """Most severe first. An error stops the creation, a warning does not. A note says how the creation will work."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """``field``: the wizard's field, or empty."""

    severity: FindingSeverity
    field: str
    message: Message


def error(field: str, code: MessageCode, /, **params: Param) -> Finding:
    return Finding(FindingSeverity.ERROR, field, Message.of(code, **params))


def warning(field: str, code: MessageCode, /, **params: Param) -> Finding:
    return Finding(FindingSeverity.WARNING, field, Message.of(code, **params))


def note(code: MessageCode, /, **params: Param) -> Finding:
    return Finding(FindingSeverity.NOTE, "", Message.of(code, **params))
