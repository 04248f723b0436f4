"""PVE's answers as msgspec Structs. Fields that PVE does not send keep their defaults.

Sizes are in bytes, times in epoch seconds of the node's clock. ``cpu`` is a fraction of the cores of the guest or
node.
"""

from __future__ import annotations

from lxc_dashboard.proxmox.schemas.cluster import ClusterEntry, ClusterOptions, Domain, Pool, Resource, SignIn, Vnet
from lxc_dashboard.proxmox.schemas.lxc import (
    Guest,
    GuestStatus,
    HaState,
    Interface,
    InterfaceAddress,
    LxcConfig,
    PendingValue,
    RrdPoint,
    Snapshot,
    TerminalTicket,
    property_string,
    split_property_string,
)
from lxc_dashboard.proxmox.schemas.nodes import (
    Appliance,
    Content,
    CpuInfo,
    NetworkDevice,
    Node,
    NodeStatus,
    NodeStorage,
    Space,
    StorageStatus,
    Version,
)
from lxc_dashboard.proxmox.schemas.tasks import LogLine, LogPage, TaskInfo, TaskStatus

__all__ = [
    "Appliance",
    "ClusterEntry",
    "ClusterOptions",
    "Content",
    "CpuInfo",
    "Domain",
    "Guest",
    "GuestStatus",
    "HaState",
    "Interface",
    "InterfaceAddress",
    "LogLine",
    "LogPage",
    "LxcConfig",
    "NetworkDevice",
    "Node",
    "NodeStatus",
    "NodeStorage",
    "PendingValue",
    "Pool",
    "Resource",
    "RrdPoint",
    "SignIn",
    "Snapshot",
    "Space",
    "StorageStatus",
    "TaskInfo",
    "TaskStatus",
    "TerminalTicket",
    "Version",
    "Vnet",
    "property_string",
    "split_property_string",
]
