"""A sandbox node: API, SSH server and guests over one data folder."""

from __future__ import annotations

import ipaddress
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import structlog

from pve_sandbox.api.access import sign_in
from pve_sandbox.api.access.sign_in import TicketIssuer
from pve_sandbox.api.application import SandboxApi
from pve_sandbox.certificate import Certificate, node_certificate
from pve_sandbox.demo_cluster import DemoCluster
from pve_sandbox.faults import Faults, WriteFault
from pve_sandbox.guests.host import GuestHost
from pve_sandbox.store import Store

if TYPE_CHECKING:
    from pve_sandbox.ssh.door import SshDoor

log = structlog.get_logger(__name__)

DEFAULT_TIME_SCALE = 0.1
DEFAULT_STATS_INTERVAL_S = 10.0
PVE_LOCK_WAIT_S = 10


class SandboxNode:
    """A test double of Proxmox VE on loopback.

    ``time_scale`` is the number of real seconds for one second of PVE. With 0, tasks end at once. ``pct_s`` is the
    real time that each call of ``pct`` takes before it does anything.

    Set after ``start``: ``api_port``, ``ssh_port`` (0 without guests), ``fingerprint`` (SHA-256), ``ca_file``,
    ``ssh_host_key`` (public key line) and ``ssh_client_key`` (private OpenSSH key of root).

    The methods under *faults* are for tests. Their times are real seconds.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        api_port: int = 0,
        ssh_port: int = 0,
        guests: GuestHost | None = None,
        demo: DemoCluster | None = None,
        time_scale: float = DEFAULT_TIME_SCALE,
        stats_interval_s: float = DEFAULT_STATS_INTERVAL_S,
        auth_delay_s: float | None = None,
        pct_s: float = 0.0,
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the sandbox listens on loopback only, not on {host}")
        if guests is not None and not time_scale:
            raise ValueError("time_scale must be above 0 with real guests")
        data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir
        self.host = host
        self.api_port = api_port
        self.ssh_port = ssh_port
        self.guests = guests
        self.demo = demo or DemoCluster()
        self.ticket_issuer = TicketIssuer(data_dir / "authkey")
        self.api = self._new_api(time_scale, stats_interval_s, auth_delay_s)
        self._pct_s = pct_s
        self._certificate: Certificate | None = None
        self._door: SshDoor | None = None

    def _new_api(self, time_scale: float, stats_interval_s: float, auth_delay_s: float | None) -> SandboxApi:
        api = SandboxApi(Store(self.data_dir), self.ticket_issuer, self.demo, self.guests)
        api.time_scale = time_scale
        api.stats_interval_s = stats_interval_s
        api.auth_delay_s = auth_delay_s
        if self.guests is not None:
            api.lock_wait = PVE_LOCK_WAIT_S / min(time_scale, 1)  # the task that holds the lock takes real time
        return api

    # ----------------------------------------------------------- lifecycle

    async def start(self) -> None:
        """Load the state of earlier runs from the data folder, then serve."""
        self._certificate = node_certificate(self.data_dir, tuple(self.demo.node_names()))
        await self.api.load()
        self.api_port = await self.api.listen(self._certificate, self.host, self.api_port)
        if self.guests is not None:
            await self._open_door(self.guests)
        log.info("sandbox started", api_port=self.api_port, ssh_port=self.ssh_port, guests=self.guest_kind)

    async def _open_door(self, guests: GuestHost) -> None:
        from pve_sandbox.ssh.door import SshDoor

        self._door = SshDoor(
            self.data_dir,
            guests,
            host=self.host,
            port=self.ssh_port,
            node_of=self.node_of,
            name_of=self.name_of,
            unlock=self._pct_unlock,
            pct_s=self._pct_s,
        )
        await self._door.start()
        self.ssh_port = self._door.port

    async def close(self) -> None:
        """Stop serving and stop the guests. The guests' layers and the state stay."""
        if self._door is not None:
            await self._door.close()
            self._door = None
        await self.api.close()
        if self.guests is not None:
            await self.guests.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --------------------------------------------------------------- facts

    @property
    def fingerprint(self) -> str:
        return self._certificate.fingerprint if self._certificate else ""

    @property
    def ca_file(self) -> Path:
        return self.data_dir / "pve-root-ca.pem"

    @property
    def ssh_host_key(self) -> str:
        return self._door.host_key if self._door else ""

    @property
    def pct_calls(self) -> list[tuple[str, ...]]:
        """The arguments of each call of ``pct`` over SSH."""
        return self._door.pct.calls if self._door else []

    @property
    def ssh_client_key(self) -> str:
        return self._door.client_key if self._door else ""

    @property
    def guest_kind(self) -> str:
        return self.guests.kind if self.guests else "none"

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.api_port}"

    @property
    def faults(self) -> Faults:
        return self.api.faults

    def node_of(self, vmid: int) -> str:
        """The node of a guest, or the first node where the guest does not exist."""
        guest = self.api.cts.get(vmid)
        return str(guest.node) if guest else min(self.api.nodes)

    def name_of(self, vmid: int) -> str:
        guest = self.api.cts.get(vmid)
        return str(guest.name) if guest else ""

    def describe(self) -> dict[str, Any]:
        """Describe the node for JSON: addresses, keys and the demo passwords."""
        return {
            "sandbox": True,
            "url": self.url,
            "api_port": self.api_port,
            "ssh_port": self.ssh_port,
            "fingerprint": self.fingerprint,
            "ca_file": str(self.ca_file),
            "nodes": sorted(self.api.nodes),
            "containers": len(self.api.cts),
            "users": self.demo.passwords(),
            "tfa_secret": self.demo.tfa_secret,
            "guests": self.guest_kind,
            "guests_description": self.guests.description if self.guests else "",
            "ssh_host_key": self.ssh_host_key,
            "ssh_client_key": self.ssh_client_key,
        }

    def totp_code(self, userid: str = "tfa@pve") -> str:
        """Return the oldest TOTP code that is valid now and not used yet. PVE takes each code once."""
        entry = next(iter(self.api.directory.users[userid].totp.values()))
        return sign_in.next_code(entry.secret, self.ticket_issuer.now(), entry.last_step)

    # -------------------------------------------------------------- faults

    def node_offline(self, node: str, offline: bool = True) -> None:
        """Answer requests for ``node`` with 595. The cluster shows its guests' last figures for a while."""
        self.api.set_node_offline(node, offline)
        if offline:
            self.api.gone_since[node] = time.time()

    def pvedaemon_down(self, node: str = "", down: bool = True) -> None:
        """Answer calls for the pvedaemon of ``node`` (default: the first) with 595.

        ``/cluster`` and ``/version`` still answer.
        """
        name = node or min(self.api.nodes)
        (self.faults.daemons_down.add if down else self.faults.daemons_down.discard)(name)

    def slow(self, seconds: float) -> None:
        """Delay every answer. 0 ends the delay."""
        self.faults.latency_s = seconds

    def drop(self, share: float, seed: int | None = None) -> None:
        """Cut the connection of this share of the requests (0 to 1). A ``seed`` makes it repeatable."""
        self.faults.drop_share = share
        self.faults.rng.seed(seed)

    def mute(self, muted: bool = True) -> None:
        """Accept connections and never answer. Waiting requests lose their connection when this ends."""
        if muted:
            self.faults.mute = True
        else:
            self.faults.unmute()

    def expire_tickets(self) -> None:
        """Invalidate every ticket issued so far."""
        self.ticket_issuer.new_key()

    def lose_write(self, suffix: str, *, before: bool, method: str = "POST", times: int = 1) -> None:
        """Cut the connection of the next write whose path ends with ``suffix``."""
        self.faults.writes.append(WriteFault(suffix, before, method, times))

    def fail(self, method: str, suffix: str, *args: Any, **kwargs: Any) -> None:
        """Fail requests as ``fakepve`` does: with a status and message, or with a named PVE error."""
        self.api.fail(method, suffix, *args, **kwargs)

    def hang_task(self, ttype: str) -> None:
        """Let the next task of this type (``vzcreate``, ``vzstart``) run until it is stopped."""
        self.faults.hanging.append(ttype)

    def power_off(self, vmid: int) -> None:
        """Power off a guest without processes, from inside: there is no task."""
        self.api.power_off(vmid)
        self._save(vmid)

    def lock_guest(self, vmid: int, lock: str = "backup") -> None:
        self.api.snapshot_lock(vmid, lock)
        self._save(vmid)

    def unlock_guest(self, vmid: int) -> None:
        """Remove the lock, as ``pct unlock`` does."""
        self.api.unlock(vmid)
        self._save(vmid)

    def _pct_unlock(self, vmid: int) -> bool:
        if self.api.cts.get(vmid) is None:
            return False
        self.unlock_guest(vmid)
        return True

    def _save(self, vmid: int) -> None:
        self.api.guest_changed(vmid)
        self.api.save_changes()

    def fill_storage(self, storage: str, free_bytes: int = 0) -> None:
        """Leave only ``free_bytes`` free on the storage."""
        self.api.storages[storage]["avail"] = free_bytes

    def empty_storage(self, storage: str) -> None:
        """End ``fill_storage``."""
        self.api.storages[storage].pop("avail", None)

    def lose_quorum(self) -> None:
        self.api.lose_quorum()

    def regain_quorum(self) -> None:
        self.api.regain_quorum()

    def filesystem_down(self, down: bool = True) -> None:
        """Fail every call, as while pmxcfs restarts. Tasks and guests go on."""
        self.faults.filesystem_down = down

    def freeze_statistics(self, frozen: bool = True) -> None:
        """Freeze figures and states in ``/cluster/resources``, as without pvestatd."""
        self.faults.stale_stats = frozen

    def heal(self) -> None:
        """End every fault. Locks stay, and expired tickets stay invalid."""
        self.faults.clear()
        self.api.failures.clear()
        self.regain_quorum()
        for node in self.api.nodes:
            self.node_offline(node, offline=False)
        for storage in self.api.storages:
            self.empty_storage(storage)
