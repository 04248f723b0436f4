"""The API of the sandbox: ``fakepve`` with the answers of a real PVE and with real guests."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from typing import Any

import structlog
from aiohttp import web
from fakepve.lxc import FakeCt
from fakepve.server import FORMATS

from pve_sandbox import demo_cluster
from pve_sandbox.api.access.directory import Directory
from pve_sandbox.api.access.sign_in import SignIn, TicketIssuer
from pve_sandbox.api.appliances import Appliances
from pve_sandbox.api.backups import Backups
from pve_sandbox.api.cluster import Cluster
from pve_sandbox.api.containers.console import Console
from pve_sandbox.api.containers.creation import Creation
from pve_sandbox.api.history import History
from pve_sandbox.api.tasks import Record
from pve_sandbox.api.wire import Wire
from pve_sandbox.certificate import Certificate
from pve_sandbox.demo_cluster import DemoCluster
from pve_sandbox.faults import Faults
from pve_sandbox.guests.host import GuestHost
from pve_sandbox.store import ClusterState, GuestState, Store

log = structlog.get_logger(__name__)

NODE_UPTIME_S = 12 * 86400
SHUTDOWN_S = 1.0
MOST_REQUESTS_KEPT = 200
VMID_IN_PATH = re.compile(r"/lxc/(\d+)")


class SandboxApi(Wire, SignIn, Creation, Console, Cluster, History, Appliances, Backups):
    """Call ``load``, then ``listen``. ``close`` ends tasks, terminals and connections."""

    def __init__(
        self, store: Store, ticket_issuer: TicketIssuer, demo: DemoCluster, guest_host: GuestHost | None = None
    ) -> None:
        self.faults = Faults()
        self.ticket_issuer = ticket_issuer
        self.directory = Directory()
        self._changed_vmids: set[int] = set()
        self._loaded = False
        super().__init__(host="127.0.0.1", port=0)
        self.store = store
        self.demo = demo
        self.guest_host = guest_host
        self.tasks_detached = guest_host is not None
        self.acl: dict[str, Any] = {}  # with None fakepve allows everything
        self.cluster_name = demo_cluster.CLUSTER_NAME
        self.max_requests = MOST_REQUESTS_KEPT
        self.booted_at = time.time() - NODE_UPTIME_S
        self._statistics: asyncio.Task[None] | None = None

    # ----------------------------------------------------------- lifecycle

    async def load(self) -> None:
        """Load the demo cluster, then the changes of earlier runs, then the guests on this machine."""
        now = time.time()
        names = self.demo.node_names()
        self.nodes = {name: {"online": True} for name in names}
        self.storages = demo_cluster.storages(self.demo)
        for index in range(self.demo.containers):
            self.cts.append(demo_cluster.container(index, names, now))
        self._load_cluster()
        for vmid, state in self.store.guests().items():
            self._load_guest(vmid, state)
        self._sync_pools()
        for record in self.store.tasks():
            self.tasks[record["upid"]] = record
            self.tasklog.append(record)
        await self._recover_guests()
        self._changed_vmids.clear()
        self._loaded = True
        self.save_changes()

    async def _recover_guests(self) -> None:
        """Match the stored state with the guests on this machine. Remove guests without a container."""
        vmids = set(await self.guest_host.recover()) if self.guest_host is not None else set()
        for vmid in self.hosted - vmids:
            self._mark(self.cts.get(vmid), running=False)
        self.hosted &= vmids
        self.sync_states()
        for vmid in vmids:
            if self.guest_host is not None and self.cts.get(vmid) is None:
                log.warning("guest without a container removed", vmid=vmid)
                await self.guest_host.destroy(vmid)

    def _load_cluster(self) -> None:
        state = self.store.cluster()
        self.directory = Directory(state.directory if state else demo_cluster.directory_of(self.demo))
        for userid, password in self.demo.passwords().items():
            if userid in self.directory.users:
                self.directory.users[userid].password = password
        pools = state.pools if state else dict.fromkeys(sorted({g.pool for g in demo_cluster.DEMO_GUESTS if g.pool}))
        for name, comment in pools.items():
            self.pools[name] = set()
            self.pool_info[name] = {"comment": comment, "storage": set()}
        for guest in self.cts:
            if guest.pool:
                self.pools.setdefault(guest.pool, set()).add(guest.vmid)
        for name, volumes in (state.volumes if state else {}).items():
            if name in self.storages:
                self.storages[name]["volumes"] = volumes

    def _load_guest(self, vmid: int, state: GuestState) -> None:
        demo_guest = self.cts.get(vmid)
        if demo_guest is not None:
            self._drop(demo_guest)
        if state.gone:
            return
        node = state.node if state.node in self.nodes else min(self.nodes)
        guest = FakeCt(vmid, node=node, status=state.status, config=state.config, pending=state.pending, defaults=False)
        guest.snapshots, guest.started_at = state.snapshots, state.started_at
        self.cts.append(guest)
        if state.pool in self.pools:
            self.pools[state.pool].add(vmid)
        if state.hosted:
            self.hosted.add(vmid)
        self._templates[vmid] = state.ostemplate

    async def listen(self, certificate: Certificate, host: str, port: int) -> int:
        """Serve HTTPS and return the port."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.cert_file, certificate.key_file)
        self.fingerprint = certificate.fingerprint
        await self.take_statistics()
        self._statistics = asyncio.create_task(self.run_statistics())
        self.runner = web.AppRunner(self._build_app(), access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self.runner.setup()
        await web.TCPSite(self.runner, host, port, ssl_context=context).start()
        self.host, self.port = host, self.runner.addresses[0][1]
        return int(self.port)

    async def close(self) -> None:
        self.faults.unmute()
        if self._statistics is not None:
            self._statistics.cancel()
            await asyncio.gather(self._statistics, return_exceptions=True)
        await self.end_all()
        await self.close_terminals()
        await self.stop()

    def _build_app(self) -> web.Application:
        app = super()._build_app()
        for prefix in FORMATS:
            app.router.add_get(prefix, self.api_index)
        return app

    def _register_stateful(self, router: Any, prefixes: Any) -> None:
        for prefix in prefixes:
            router.add_get(prefix + "/", self.api_index)
        self.add_websocket(router)
        super()._register_stateful(router, prefixes)

    # ------------------------------------------------------------- keeping

    def guest_changed(self, vmid: int) -> None:
        self._changed_vmids.add(vmid)

    def task_changed(self, record: Record) -> None:
        self.store.save_task(record)
        if record["id"].isdecimal():
            self._changed_vmids.add(int(record["id"]))
        self.save_changes()

    async def _answer(self, request: web.Request, handler: Any, generic: Any, path_node: str | None) -> Any:
        answer = await super()._answer(request, handler, generic, path_node)
        if request.method != "GET":
            match = VMID_IN_PATH.search(request.path)
            if match:
                self._changed_vmids.add(int(match.group(1)))
            self.save_changes()
        return answer

    def save_changes(self) -> None:
        """Write what changed. A demo guest without changes needs no file."""
        if not self._loaded or self.closing:
            return
        for vmid in self._changed_vmids:
            self.store.save_guest(vmid, self._state_of(vmid))
        self._changed_vmids.clear()
        pools = {name: self._pool_meta(name)["comment"] for name in self.pools}
        volumes = {name: store.get("volumes", {}) for name, store in self.storages.items()}
        self.store.save_cluster(ClusterState(self.directory.state(), pools, volumes))

    def _state_of(self, vmid: int) -> GuestState | None:
        guest = self.cts.get(vmid)
        if guest is None:
            is_demo = demo_cluster.FIRST_VMID <= vmid < demo_cluster.FIRST_VMID + self.demo.containers
            return GuestState(gone=True) if is_demo else None
        return GuestState(
            node=guest.node,
            config=guest.config,
            pending=guest.pending,
            snapshots=guest.snapshots,
            pool=guest.pool,
            status=guest.status,
            started_at=guest.started_at,
            hosted=vmid in self.hosted,
            ostemplate=self._templates.get(vmid, ""),
        )
