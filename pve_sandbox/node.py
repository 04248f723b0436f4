"""A whole sandbox node: API, SSH door and guests, with everything it keeps in one folder."""

from __future__ import annotations

import ipaddress
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import structlog

from pve_sandbox.api.access import totp
from pve_sandbox.api.access.tickets import TicketOffice
from pve_sandbox.api.application import SandboxApi
from pve_sandbox.certificate import Certificate, node_certificate
from pve_sandbox.faults import Faults, WriteFault
from pve_sandbox.guests.host import GuestHost
from pve_sandbox.seed import Seed
from pve_sandbox.store import Store

if TYPE_CHECKING:
    from pve_sandbox.ssh.door import SshDoor

log = structlog.get_logger(__name__)

DEFAULT_TIME_SCALE = 0.1
DEFAULT_STATS_INTERVAL_S = 10.0
PVE_LOCK_WAIT_S = 10


class SandboxNode:
    """A test double of Proxmox VE on loopback. ``time_scale`` is real seconds for each of PVE's; 0 ends tasks at once.

    After ``start``: ``api_port``, ``ssh_port`` (0 without guests), ``fingerprint`` (SHA-256), ``ca_file``,
    ``ssh_host_key`` (public key line), ``ssh_client_key`` (private OpenSSH key that may log in as root).
    ``pct_s``: what each call of ``pct`` costs before it does anything, in real seconds.
    The faults of a test are methods here; times in them are real seconds.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        api_port: int = 0,
        ssh_port: int = 0,
        guests: GuestHost | None = None,
        seed: Seed | None = None,
        time_scale: float = DEFAULT_TIME_SCALE,
        stats_interval_s: float = DEFAULT_STATS_INTERVAL_S,
        auth_delay_s: float | None = None,
        pct_s: float = 0.0,
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the sandbox listens on loopback only, not on {host}")
        if guests is not None and not time_scale:
            raise ValueError("real guests take their time: time_scale must be above 0 with them")
        data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir
        self.host = host
        self.api_port = api_port
        self.ssh_port = ssh_port
        self.guests = guests
        self.seed = seed or Seed()
        self.office = TicketOffice(data_dir / "authkey")
        self.api = self._new_api(time_scale, stats_interval_s, auth_delay_s)
        self._pct_s = pct_s
        self._certificate: Certificate | None = None
        self._door: SshDoor | None = None

    def _new_api(self, time_scale: float, stats_interval_s: float, auth_delay_s: float | None) -> SandboxApi:
        api = SandboxApi(Store(self.data_dir), self.office, self.seed, self.guests)
        api.time_scale = time_scale
        api.stats_interval_s = stats_interval_s
        api.auth_delay_s = auth_delay_s
        if self.guests is not None:
            api.lock_wait = PVE_LOCK_WAIT_S / min(time_scale, 1)  # what holds the lock takes its real time
        return api

    # ----------------------------------------------------------- lifecycle

    async def start(self) -> None:
        """Serve; state of earlier runs in the same folder is there again."""
        self._certificate = node_certificate(self.data_dir, tuple(self.seed.node_names()))
        await self.api.load()
        self.api_port = await self.api.listen(self._certificate, self.host, self.api_port)
        if self.guests is not None:
            await self._open_door(self.guests)
        log.info("sandbox serves", api_port=self.api_port, ssh_port=self.ssh_port, guests=self.guest_kind)

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
        """End everything; the guests' layers and the state stay."""
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
        """The arguments of each call of ``pct`` through the SSH door."""
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
        """The node a guest lives on; the first where there is no such guest."""
        guest = self.api.cts.get(vmid)
        return str(guest.node) if guest else min(self.api.nodes)

    def name_of(self, vmid: int) -> str:
        guest = self.api.cts.get(vmid)
        return str(guest.name) if guest else ""

    def describe(self) -> dict[str, Any]:
        """What somebody needs to use it, ready for JSON. Holds the demo passwords."""
        return {
            "sandbox": True,
            "url": self.url,
            "api_port": self.api_port,
            "ssh_port": self.ssh_port,
            "fingerprint": self.fingerprint,
            "ca_file": str(self.ca_file),
            "nodes": sorted(self.api.nodes),
            "containers": len(self.api.cts),
            "users": self.seed.passwords(),
            "tfa_secret": self.seed.tfa_secret,
            "guests": self.guest_kind,
            "guests_description": self.guests.description if self.guests else "",
            "ssh_host_key": self.ssh_host_key,
            "ssh_client_key": self.ssh_client_key,
        }

    def totp_code(self, userid: str = "tfa@pve") -> str:
        """A code that is good now. PVE takes each one once: this is the oldest that was not used yet."""
        entry = next(iter(self.api.directory.users[userid].totp.values()))
        return totp.next_code(entry.secret, self.office.now(), entry.last_step)

    # -------------------------------------------------------------- faults

    def node_offline(self, node: str, offline: bool = True) -> None:
        """Requests for ``node`` get 595 without a body; its guests keep their last figures for a while."""
        self.api.set_node_offline(node, offline)
        if offline:
            self.api.gone_since[node] = time.time()

    def pvedaemon_down(self, node: str = "", down: bool = True) -> None:
        """Calls that PVE hands to the pvedaemon of ``node`` get 595; the first node's where none is named. ``/cluster`` and ``/version`` answer."""
        name = node or min(self.api.nodes)
        (self.faults.daemons_down.add if down else self.faults.daemons_down.discard)(name)

    def slow(self, seconds: float) -> None:
        """Every answer comes this much later; 0 ends it."""
        self.faults.latency_s = seconds

    def drop(self, share: float, seed: int | None = None) -> None:
        """This share of requests (0 to 1) loses its connection; ``seed`` makes it the same each time."""
        self.faults.drop_share = share
        self.faults.chance.seed(seed)

    def mute(self, muted: bool = True) -> None:
        """Accept connections and never answer. What waited loses its connection when this ends."""
        if muted:
            self.faults.mute = True
        else:
            self.faults.unmute()

    def expire_tickets(self) -> None:
        """Every ticket issued so far is worth nothing."""
        self.office.new_key()

    def lose_write(self, suffix: str, *, before: bool, method: str = "POST", times: int = 1) -> None:
        """The next write whose path ends with ``suffix`` loses its connection, ``before`` it took effect or after."""
        self.faults.writes.append(WriteFault(suffix, before, method, times))

    def fail(self, method: str, suffix: str, *args: Any, **kwargs: Any) -> None:
        """What fakepve offers as ``fail``: a status and message of one's own, or PVE's error by its name."""
        self.api.fail(method, suffix, *args, **kwargs)

    def hang_task(self, ttype: str) -> None:
        """The next task of this type (``vzcreate``, ``vzstart``) runs until it is stopped."""
        self.faults.hanging.append(ttype)

    def power_off(self, vmid: int) -> None:
        """A guest without processes powers itself off: no task says so."""
        self.api.power_off(vmid)
        self._keep(vmid)

    def lock_guest(self, vmid: int, lock: str = "backup") -> None:
        self.api.snapshot_lock(vmid, lock)
        self._keep(vmid)

    def unlock_guest(self, vmid: int) -> None:
        """What ``pct unlock`` does."""
        self.api.unlock(vmid)
        self._keep(vmid)

    def _pct_unlock(self, vmid: int) -> bool:
        if self.api.cts.get(vmid) is None:
            return False
        self.unlock_guest(vmid)
        return True

    def _keep(self, vmid: int) -> None:
        self.api.guest_changed(vmid)
        self.api.keep_changes()

    def fill_storage(self, storage: str, free_bytes: int = 0) -> None:
        """No more than ``free_bytes`` are free on it."""
        self.api.storages[storage]["avail"] = free_bytes

    def empty_storage(self, storage: str) -> None:
        """There is room again."""
        self.api.storages[storage].pop("avail", None)

    def lose_quorum(self) -> None:
        self.api.lose_quorum()

    def regain_quorum(self) -> None:
        self.api.regain_quorum()

    def filesystem_down(self, down: bool = True) -> None:
        """Every call is refused, as while pmxcfs restarts; tasks and guests go on."""
        self.faults.filesystem_down = down

    def freeze_statistics(self, frozen: bool = True) -> None:
        """As if pvestatd were dead: figures and states in ``/cluster/resources`` stand still."""
        self.faults.stale_stats = frozen

    def heal(self) -> None:
        """End every fault; locks and tickets stay as they are."""
        self.faults.clear()
        self.api.failures.clear()
        self.regain_quorum()
        for node in self.api.nodes:
            self.node_offline(node, offline=False)
        for storage in self.api.storages:
            self.empty_storage(storage)
