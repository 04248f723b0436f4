"""The program that creates namespaces.

``python -I -S -c 'from ...launch import main; main()' keeper|guest FD``. FD is a packet socket to the sandbox. One
keeper runs for all guests, and one launcher for each guest that starts.

It is a program of its own because a process with threads cannot enter a user namespace. It uses the standard library
only. It imports nothing after the change of the root, where Python's files do not exist.

The keeper holds the user namespace of the guests and their router. The router is a network namespace with a bridge
and without routes to other networks. The kernel ends all of it when the sandbox ends.
"""

from __future__ import annotations

import array
import contextlib
import ipaddress
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from pve_sandbox.guests.namespaces import kernel
from pve_sandbox.guests.network import netlink
from pve_sandbox.guests.network.netlink import RouteSocket

BRIDGE = "gbr0"
UPLINK = "up0"
MESSAGE_BYTES = 65536
_WORKSPACE = "/tmp"  # noqa: S108 - a private tmpfs is mounted over it, in our own mount namespace
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}
_INIT = "/sbin/init"
_SSH_PORT = 22
_SLEEP = ("/bin/sleep", "/usr/bin/sleep")
_OWN_NAMESPACES = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWCGROUP
    | kernel.CLONE_NEWPID
)


def main() -> None:
    """Run the role in ``sys.argv``. Errors go to the sandbox through the socket."""
    role, descriptor = sys.argv[1:3]
    with socket.socket(fileno=int(descriptor)) as control:
        control.set_inheritable(False)
        try:
            {"keeper": keep, "guest": launch}[role](control)
        except (OSError, ValueError, ImportError) as error:
            with contextlib.suppress(OSError):
                control.send(json.dumps({"error": str(error)}).encode())
            sys.exit(1)


def keep(control: socket.socket) -> None:
    """Create the user namespace and the router, pass the relay's sockets, and stay."""
    kernel.die_with_parent()
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
    control.send(json.dumps({"state": "unshared"}).encode())
    config = json.loads(control.recv(MESSAGE_BYTES))
    _become_root(config)
    kernel.allow_inspection()
    kernel.die_with_parent()
    _build_router(config)
    tcp = socket.create_server(("0.0.0.0", 0), backlog=256)  # noqa: S104 - inside the router's network namespace
    dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dns.bind(("0.0.0.0", 0))  # noqa: S104
    report = {"state": "up", "rules": _apply_rules(config, tcp.getsockname()[1], dns.getsockname()[1])}
    rights = array.array("i", [tcp.fileno(), dns.fileno()])
    control.sendmsg([json.dumps(report).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    _sleep_forever()


def _become_root(config: Mapping[str, Any]) -> None:
    if config["many_ids"]:
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _build_router(config: Mapping[str, Any]) -> None:
    with RouteSocket() as route:
        route.set_up("lo")
        route.add_bridge(BRIDGE)
        gateway = ipaddress.IPv4Interface(config["gateway"])
        route.add_address(BRIDGE, gateway)
        route.set_up(BRIDGE)
        if config["host_address"]:
            route.set_up(UPLINK)
            route.add_route(ipaddress.IPv4Network(config["host_address"]), UPLINK)
            _write("/proc/sys/net/ipv4/ip_forward", "1")
    with contextlib.suppress(FileNotFoundError):
        _write("/proc/sys/net/bridge/bridge-nf-call-iptables", "0")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow to import
        file.write(text)


def _apply_rules(config: Mapping[str, Any], tcp_port: int, dns_port: int) -> str:
    """Set the packet rules. Returns why the guests have no network, else ""."""
    gateway = ipaddress.IPv4Interface(config["gateway"])
    rules = netlink.RouterRules(BRIDGE, UPLINK, gateway.network, gateway.ip, tcp_port, dns_port)
    try:
        netlink.apply(rules)
    except OSError as error:
        return str(error)
    return ""


def _sleep_forever() -> None:
    """Become a small program that never ends. With SIGCHLD ignored it serves as an init."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    path = next(path for path in _SLEEP if os.access(path, os.X_OK))
    os.execve(path, ["sleep", "infinity"], {"container": "lxc"})  # noqa: S606 - no shell is needed


def launch(control: socket.socket) -> None:
    """Start a guest. Its init becomes a child of the sandbox, and this program ends."""
    kernel.die_with_parent()
    os.umask(0o022)
    config = json.loads(control.recv(MESSAGE_BYTES))
    if config["cgroup"]:
        _write(f"{config['cgroup']}/cgroup.procs", "0")
    keeper = f"/proc/{config['keeper']}/ns/"
    user, router = os.open(keeper + "user", os.O_RDONLY), os.open(keeper + "net", os.O_RDONLY)
    os.chdir(config["directory"])
    if config["privileged"]:  # layers are mounted with the machine's rights, the rest with the guest's
        _assemble(config["base"], "redirect_dir=on,index=off,metacopy=off")
        kernel.setns(user, kernel.CLONE_NEWUSER)
        _become_root(config)
    else:
        kernel.setns(user, kernel.CLONE_NEWUSER)
        _become_root(config)
        _assemble(config["base"], "userxattr")
    kernel.setns(router, kernel.CLONE_NEWNET)
    with RouteSocket() as outside:
        kernel.unshare(_OWN_NAMESPACES)
        _connect(config, outside)
    pid = kernel.fork_as_sibling()
    if pid == 0:
        _run_init(control, config)
    _report(control, pid, _ssh_listener(config) if config["ssh"] else None)


def _ssh_listener(config: Mapping[str, Any]) -> socket.socket:
    return socket.create_server((str(ipaddress.IPv4Interface(config["address"]).ip), _SSH_PORT))


def _report(control: socket.socket, pid: int, listener: socket.socket | None) -> None:
    rights = array.array("i", [listener.fileno()] if listener else [])
    control.sendmsg([json.dumps({"pid": pid}).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def _assemble(base: str, options: str) -> None:
    """Mount the guest's tree at ``_WORKSPACE/root``: the current folder's layer over ``base``.

    Without a base the current folder is the tree.
    """
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", _WORKSPACE, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
    root = f"{_WORKSPACE}/root"
    os.mkdir(root)  # noqa: PTH102
    if not base:
        kernel.mount(".", root, "", kernel.MS_BIND)
        return
    lower = os.open(base, os.O_PATH)  # as a descriptor, because a colon or comma in its path would end the option
    layers = f"lowerdir=/proc/self/fd/{lower},upperdir=upper,workdir=work"
    kernel.mount("overlay", root, "overlay", 0, f"{layers},{options}")


def _connect(config: Mapping[str, Any], outside: RouteSocket) -> None:
    """Connect the router with the guest, whose network namespace is the current one."""
    line, address = f"g{config['vmid']}", ipaddress.IPv4Interface(config["address"])
    gateway = ipaddress.IPv4Interface(config["gateway"])
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    outside.delete_link(line)
    outside.add_veth(line, "eth0", here, bytes.fromhex(config["mac"].replace(":", "")))
    os.close(here)
    outside.set_up(line, master=BRIDGE)
    if address.ip not in gateway.network:
        with contextlib.suppress(FileExistsError):
            outside.add_route(ipaddress.IPv4Network(address.ip), BRIDGE)
    with RouteSocket() as inside:
        inside.set_up("lo")
        inside.set_up("eth0")
        inside.add_address("eth0", address)
        inside.add_route(ipaddress.IPv4Network("0.0.0.0/0"), "eth0", via=gateway.ip)


def _run_init(control: socket.socket, config: Mapping[str, Any]) -> None:
    """Run the guest's first process until it becomes the init. Never returns."""
    try:
        os.setsid()
        _enter_root(config)
        socket.sethostname(config["hostname"])
        kernel.die_with_parent()
        control.send(json.dumps({"state": "up"}).encode())
        if config["cgroup"]:
            os.execve(_INIT, [_INIT], {"container": "lxc"})  # noqa: S606 - no shell is needed
        _sleep_forever()
    except (OSError, StopIteration, ImportError) as error:
        with contextlib.suppress(OSError):
            control.send(json.dumps({"error": f"init: {error!r}"}).encode())
    finally:
        os._exit(1)


def _enter_root(config: Mapping[str, Any]) -> None:
    root = f"{_WORKSPACE}/root"
    kernel.mount(
        root, root, "", kernel.MS_BIND | kernel.MS_REC
    )  # makes it a mount of this namespace, so that it may become the root
    os.chdir(root)
    quiet = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("proc", "proc", "proc", quiet | kernel.MS_NOEXEC)
    # systemd recognises a container by read-only hardware settings.
    read_only = kernel.MS_RDONLY if config["cgroup"] else 0
    kernel.mount("sysfs", "sys", "sysfs", quiet | kernel.MS_NOEXEC | read_only)
    if config["cgroup"]:
        kernel.mount("cgroup2", "sys/fs/cgroup", "cgroup2", quiet | kernel.MS_NOEXEC)
    kernel.mount("tmpfs", "run", "tmpfs", quiet, "mode=755,size=64m")
    os.mkdir("run/lock", 0o755)  # noqa: PTH102
    os.chmod("run/lock", 0o1777)  # noqa: PTH101, S103 - the usual mode
    kernel.mount("tmpfs", "tmp", "tmpfs", quiet, "mode=1777")
    _make_devices(config)
    kernel.pivot_root(".", ".")
    kernel.unmount(".")
    os.chdir("/")


def _make_devices(config: Mapping[str, Any]) -> None:
    kernel.mount("tmpfs", "dev", "tmpfs", kernel.MS_NOSUID, "mode=755,size=1m")
    for name in _DEVICES:
        os.close(os.open(f"dev/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
        kernel.mount(f"/dev/{name}", f"dev/{name}", "", kernel.MS_BIND)
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"dev/{name}")  # noqa: PTH211
    os.mkdir("dev/pts")  # noqa: PTH102
    group = ",gid=5" if config["many_ids"] else ""
    kernel.mount("devpts", "dev/pts", "devpts", kernel.MS_NOSUID, f"newinstance,ptmxmode=0666,mode=0620{group}")
    os.mkdir("dev/shm")  # noqa: PTH102
    kernel.mount("tmpfs", "dev/shm", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=1777")
