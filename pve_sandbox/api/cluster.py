"""The cluster and its nodes: version, resources, status, networks, time and indexes."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web
from fakepve import schema as pve_schema

from pve_sandbox.api.access.privileges import Routes
from pve_sandbox.api.checks import Values
from pve_sandbox.api.containers.lifecycle import BRIDGES, PORTS
from pve_sandbox.api.figures import GIB
from pve_sandbox.api.statistics import NODE_DISK_BYTES, Statistics

VERSION = {"version": "9.1.4", "release": "9.1", "repoid": "sandbox"}
KERNEL = "6.17.2-1-pve"
PROCESSOR = "Sandbox processor (no real one)"
ZONE = "localnetwork"
ONLY_ALIVE = ("cpu", "mem", "disk", "uptime")


class Cluster(Statistics):
    """``fingerprint`` is that of the certificate of all nodes. ``vlan_aware`` and ``down`` are bridges."""

    fingerprint = ""
    vlan_aware: tuple[str, ...] = ("vmbr1",)
    down: tuple[str, ...] = ()

    def _routes_cluster_state(self) -> Routes:
        node = "/nodes/{node}"
        return [
            ("GET", node, self._index),
            ("GET", node + "/status", self._node_status),
            ("GET", node + "/network", self._networks),
            ("GET", node + "/time", self._node_time),
            ("GET", node + "/lxc/{vmid}", self._guest_index),
            ("GET", "/cluster/options", self._options),
        ]

    async def _version(self, request: web.Request) -> web.Response:
        async def version(_v: Values, _user: str) -> Values:
            return dict(VERSION)

        return await self.checked(request, version)

    # ----------------------------------------------------------- resources

    async def _resources(self, request: web.Request) -> web.Response:
        return await self.checked(request, self._all_resources)

    async def _all_resources(self, v: Values, user: str) -> list[Values]:
        if not self.stats_interval_s:
            await self.take_statistics()
        kind = v.get("type")
        data: list[Values] = []
        if kind is None:
            data += self._pool_resources(user)
        if kind in (None, "vm"):
            data += self._guest_resources(user)
        if kind in (None, "node"):
            data += [self._node_resource(node, user, {"cgroup-mode": 2}) for node in sorted(self.nodes)]
        if kind in (None, "storage"):
            data += self._storage_resources(user)
        if kind in (None, "sdn"):
            data += self._network_resources(user)
        return data

    def _pool_resources(self, user: str) -> list[Values]:
        return [
            {"id": f"/pool/{name}", "type": "pool", "pool": name}
            for name in sorted(self.pools)
            if self.allowed(user, f"/pool/{name}", "Pool.Audit")
        ]

    def _guest_resources(self, user: str) -> list[Values]:
        """Node, lock, tags and pool are current. The other fields come from the last measurement."""
        sees_all = user == "root@pam"
        guests = (*((guest, self._guest_resource) for guest in self.cts), *((vm, _machine_resource) for vm in self.vms))
        return [
            resource(guest)
            for guest, resource in guests
            if sees_all or self.allowed(user, f"/vms/{guest.vmid}", "VM.Audit")
        ]

    def _guest_resource(self, guest: Any) -> Values:
        item: Values = {"id": f"lxc/{guest.vmid}", "vmid": guest.vmid, "type": "lxc", "node": guest.node}
        item.update(self.guest_stats.get(guest.vmid) or {"status": "unknown"})
        config = guest.config
        if "lock" in config:
            item["lock"] = config["lock"]
        if config.get("tags"):
            item["tags"] = config["tags"]
        if guest.pool:
            item["pool"] = guest.pool
        if guest.ha_state is not None:
            item["hastate"] = guest.ha_state
        return item

    def _node_resource(self, node: str, user: str, stats: Values) -> Values:
        online = self.is_online(node)
        item = {"id": f"node/{node}", "type": "node", "node": node, "level": "", **stats}
        item["status"] = "online" if online else "offline"
        if self.allowed(user, f"/nodes/{node}", "Sys.Audit"):
            stats = self.node_stats.get(node, {})
            item.update({k: x for k, x in stats.items() if online or k not in ONLY_ALIVE})
        return item

    def _storage_resources(self, user: str) -> list[Values]:
        rows = []
        for node in sorted(self.nodes):
            for name in sorted(self.storages):
                item = self._storage_resource(node, name) if self._can_audit(user, name) else None
                if item:
                    total, used, _ = self._space(self.storages[name])
                    status = "available" if self.is_online(node) else "unknown"
                    rows.append({**item, "status": status, "disk": used, "maxdisk": total})
        return rows

    def _network_resources(self, user: str) -> list[Values]:
        path = f"/sdn/zones/{ZONE}"
        if not any(self.allowed(user, path, priv) for priv in ("SDN.Audit", "SDN.Use", "SDN.Allocate")):
            return []
        kind = {"type": "network", "network-type": "zone", "network": ZONE, "status": "ok"}
        return [
            {"id": f"network/{node}/zone/{ZONE}", "node": node, **kind} for node in self.nodes if self.is_online(node)
        ]

    # --------------------------------------------------------------- nodes

    async def _nodes(self, request: web.Request) -> web.Response:
        async def nodes(_v: Values, user: str) -> list[Values]:
            if not self.stats_interval_s:
                await self.take_statistics()
            seal = {"ssl_fingerprint": self.fingerprint}
            return [self._node_resource(node, user, seal) for node in sorted(self.nodes)]

        return await self.checked(request, nodes)

    async def _cluster_status(self, request: web.Request) -> web.Response:
        return await self.checked(request, self._membership)

    async def _membership(self, _v: Values, _user: str) -> list[Values]:
        cluster = {
            "type": "cluster",
            "id": "cluster",
            "name": self.cluster_name,
            "nodes": len(self.nodes),
            "version": 3,
        }
        members = [
            {
                "type": "node",
                "id": f"node/{name}",
                "name": name,
                "nodeid": number,
                "ip": f"10.66.255.{number}",
                "online": int(self.is_online(name)),
                "local": int(number == 1),
                "level": "",
            }
            for number, name in enumerate(sorted(self.nodes), 1)
        ]
        return [{**cluster, "quorate": int(self.quorate)}, *members] if len(members) > 1 else members

    async def _node_status(self, v: Values, _user: str) -> Values:
        now = time.time()
        stats = self._node_figures(v["node"], now)
        cpu, processors, total = stats["cpu"], stats["maxcpu"], stats["maxmem"]
        idle = total - stats["mem"]
        disk = {"total": NODE_DISK_BYTES, "used": stats["disk"]}
        return {
            "cpu": cpu,
            "idle": 0,
            "wait": cpu / 20,
            "uptime": stats["uptime"],
            "loadavg": [f"{cpu * processors * share:.2f}" for share in (1, 0.95, 0.9)],
            "memory": {"total": total, "used": stats["mem"], "free": idle // 2, "available": idle},
            "swap": {"total": 8 * GIB, "used": 0, "free": 8 * GIB},
            "rootfs": {**disk, "free": disk["total"] - disk["used"], "avail": disk["total"] - disk["used"]},
            "ksm": {"shared": 0},
            "cpuinfo": _cpuinfo(processors),
            "kversion": f"Linux {KERNEL} #1 SMP PREEMPT_DYNAMIC",
            "current-kernel": {"sysname": "Linux", "release": KERNEL, "version": "#1 SMP", "machine": "x86_64"},
            "boot-info": {"mode": "legacy-bios"},
            "pveversion": f"pve-manager/{VERSION['version']}/{VERSION['repoid']}",
        }

    async def _networks(self, v: Values, user: str) -> list[Values]:
        kind = v.get("type")
        if kind == "eth":
            return [self._port(port) for port in PORTS]
        if kind not in (None, "bridge", "any_bridge", "any_local_bridge", "include_sdn"):
            return []
        listed = [self._port(port) for port in PORTS] if kind is None else []
        for number, bridge in enumerate(BRIDGES):
            visible = any(
                self.allowed(user, f"/sdn/zones/{ZONE}/{bridge}", priv) for priv in ("SDN.Audit", "SDN.Use")
            ) or self.allowed(user, f"/nodes/{v['node']}", "Sys.Audit")
            if visible:
                made = _bridge(
                    bridge,
                    f"10.{66 + number}.0.1",
                    vlan_aware=bridge in self.vlan_aware,
                    port=self.port_of(bridge),
                    up=bridge not in self.down,
                )
                listed.append(made | self._mtu(bridge))
        return listed

    def _port(self, name: str) -> Values:
        quiet = {"active": 1, "exists": 1, "priority": 3, "method": "manual", "method6": "manual", "families": ["inet"]}
        return {"iface": name, "type": "eth", **quiet, **self._mtu(name)}

    def _mtu(self, name: str) -> Values:
        """Return the configured MTU. PVE omits the default."""
        return {"mtu": str(self.mtus[name])} if name in self.mtus else {}

    async def _node_time(self, _v: Values, _user: str) -> Values:
        now = int(time.time())
        return {"time": now, "localtime": now, "timezone": "UTC"}

    async def _options(self, _v: Values, user: str) -> Values:
        text = "The sandbox node of LXC Template Manager Dashboard: a test double\n"
        config: Values = {"description": text, "mac_prefix": "BC:24:11", "allowed-tags": []}
        if self.registered_tags and self.allowed(user, "/", "Sys.Audit"):
            config["registered-tags"] = sorted(self.registered_tags)
        return config

    # ------------------------------------------------------------- indexes

    async def _index(self, _v: Values, _user: str) -> list[Values]:
        return [{"name": child} for child in pve_schema.load().children("/nodes/{node}")]

    async def _guest_index(self, v: Values, _user: str) -> list[Values]:
        self._find_ct(v["node"], v["vmid"])
        return [{"subdir": child} for child in pve_schema.load().children("/nodes/{node}/lxc/{vmid}")]

    async def api_index(self, _request: web.Request) -> web.Response:
        names = ("version", "cluster", "nodes", "storage", "access", "pools")
        return web.json_response({"data": [{"subdir": name} for name in names]})


def _bridge(name: str, address: str, *, vlan_aware: bool, port: str, up: bool) -> Values:
    vlans = {"bridge_vlan_aware": 1, "bridge_vids": "2-4094"} if vlan_aware else {}
    return {
        **vlans,
        **({"active": 1} if up else {}),
        "iface": name,
        "type": "bridge",
        "autostart": 1,
        "priority": 3,
        "method": "static",
        "method6": "manual",
        "families": ["inet"],
        "address": address,
        "netmask": "16",
        "cidr": f"{address}/16",
        "bridge_ports": port,
        "bridge_stp": "off",
        "bridge_fd": "0",
    }


def _cpuinfo(processors: int) -> Values:
    return {
        "model": PROCESSOR,
        "cpus": processors,
        "cores": processors // 2 or 1,
        "sockets": 1,
        "mhz": "3000.000",
        "user_hz": 100,
        "hvm": "1",
        "flags": "fpu sse sse2 lm",
    }


def _machine_resource(vm: Any) -> Values:
    """Build the row of a virtual machine. The product needs to know only that it exists."""
    names = {"id": f"qemu/{vm.vmid}", "type": "qemu", "vmid": vm.vmid, "node": vm.node, "name": vm.config["name"]}
    return {**names, "status": vm.status, "template": int(vm.template)}
