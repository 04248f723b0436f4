"""The layer of a guest over its base, and the files that identify the guest."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import uuid
from pathlib import Path

from pve_sandbox.guests.record import GuestRecord

_FOLDERS = {"": 0o755, "etc": 0o755, "var": 0o755, "root": 0o700}  # the folders that ``write_identity`` writes to


def make_folder(path: Path, owner: int, mode: int = 0o755) -> None:
    path.mkdir()
    path.chmod(mode)
    give(path, owner)


def give(path: Path, owner: int) -> None:
    """Change the owner to ``owner``, the uid of the guest's root on this machine."""
    if owner != os.geteuid():
        os.chown(path, owner, owner)


def write_file(path: Path, text: str, owner: int, mode: int = 0o644) -> None:
    """Create a file of the guest's root."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(descriptor, mode)
    give(path, owner)


def build_layer(folder: Path, owner: int) -> None:
    """Create an empty layer: ``upper`` and ``work`` in the guest's ``folder``."""
    for name, mode in _FOLDERS.items():
        make_folder(folder / "upper" / name, owner, mode)
    make_folder(folder / "work", owner)


def write_identity(folder: Path, record: GuestRecord, nameserver: str, owner: int) -> None:
    """Write hostname, hosts, resolver, machine id and SSH keys into a new layer."""
    etc, spec = folder / "upper/etc", record.spec
    files = {
        "hostname": f"{spec.hostname}\n",
        "hosts": _hosts(record),
        "resolv.conf": f"nameserver {nameserver}\n",
        "machine-id": f"{uuid.uuid4().hex}\n",
        "fstab": "",
    }
    for name, text in files.items():
        write_file(etc / name, text, owner)
    for path in (etc / ".updated", folder / "upper/var/.updated"):  # marks systemd's first-boot work as done
        write_file(path, "", owner)
    if spec.ssh_public_keys.strip():
        ssh = folder / "upper/root/.ssh"
        make_folder(ssh, owner, 0o700)
        keys = f"# --- BEGIN PVE ---\n{spec.ssh_public_keys.strip()}\n# --- END PVE ---\n"  # PVE's markers
        write_file(ssh / "authorized_keys", keys, owner, 0o600)


def _hosts(record: GuestRecord) -> str:
    """The guest's own name, and the names in the machine's hosts file, such as a mirror's."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines.append(f"{record.address.split('/')[0]} {record.spec.hostname}")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in Path("/etc/hosts").read_text(encoding="utf-8").splitlines():
            words = line.partition("#")[0].split()
            with contextlib.suppress(ValueError, IndexError):
                if not ipaddress.ip_address(words[0].partition("%")[0]).is_loopback and ":" not in words[0]:
                    lines.append(" ".join(words))
    return "\n".join(lines) + "\n"
