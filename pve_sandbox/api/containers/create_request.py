"""A create request, and the log lines of its task."""

from __future__ import annotations

import binascii
import itertools
import re
import secrets
import uuid
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fakepve.lxc import split_props

from pve_sandbox.guests.host import GuestSpec

BLOCK_BYTES = 4096
BYTES_PER_INODE = 16384
GIB = 1024**3
SUPERBLOCK_BASES = (1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343)
BLOCKS_PER_GROUP = 32768
SYSTEMD_OF = {"debian-13": 257, "ubuntu-24.04": 255}
UNPACK = (
    "command 'lxc-usernsexec -m u:0:100000:65536 -m g:0:100000:65536 -- tar xpf - {packer} --totals"
    " --one-file-system -p --sparse --numeric-owner --acls --xattrs '--xattrs-include=user.*'"
    " '--xattrs-include=security.capability' '--warning=no-file-ignored' '--warning=no-xattr-write'"
    " -C /var/lib/lxc/{vmid}/rootfs --skip-old-files --anchored --exclude './dev/*'' failed: {how}"
)
PACKERS = {"zst": "--zstd", "xz": "-J", "gz": "-z", "bz2": "-j"}
MOUNT = re.compile(r"mp\d+")
SSH_KEY_TYPES = ("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-")


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """The parameters of a create request, in the form that the task needs."""

    values: dict[str, Any]

    @property
    def ostemplate(self) -> str:
        return str(self.values["ostemplate"])

    @property
    def file_name(self) -> str:
        return self.ostemplate.rpartition("/")[2]

    def volumes(self) -> list[str]:
        """The volumes to allocate, as ``storage:GiB``: the root, then mount points that are no binds."""
        mounts = sorted((int(key[2:]), str(value)) for key, value in self.values.items() if MOUNT.fullmatch(key))
        volumes = [str(self.values.get("rootfs") or ""), *(value for _, value in mounts if not value.startswith("/"))]
        return [value.partition(",")[0] for value in volumes]

    def unpack_failure(self, how: str) -> str:
        packer = PACKERS.get(self.file_name.rpartition(".")[2], "--zstd")
        return UNPACK.format(packer=packer, vmid=self.values["vmid"], how=how)


def spec_of(vmid: int, config: dict[str, Any], disk_bytes: int, request: CreateRequest | None = None) -> GuestSpec:
    """Build the spec of the real guest from a container's configuration."""
    values = request.values if request else {}
    address = split_props(config.get("net0", ""))[1].get("ip", "")
    return GuestSpec(
        vmid=vmid,
        hostname=config.get("hostname") or f"CT{vmid}",
        ostype=config.get("ostype", "debian"),
        address=address if "/" in address else "",
        memory_mib=int(config.get("memory") or 512),
        disk_gib=max(1, disk_bytes // GIB),
        root_password=values.get("password") or "",
        ssh_public_keys=values.get("ssh-public-keys") or "",
        environment=dict(e.split("=", 1) for e in str(config.get("env") or "").split("\0") if "=" in e),
    )


def volume_lines(storage_type: str, volid: str, size_bytes: int) -> list[str]:
    """The log lines for creating and formatting a volume."""
    volume = volid.partition(":")[2]
    blocks = max(size_bytes // BLOCK_BYTES, 1)
    backups = [base * BLOCKS_PER_GROUP for base in SUPERBLOCK_BASES if base * BLOCKS_PER_GROUP < blocks]
    made = []
    if storage_type == "dir":
        made = [f"Formatting '/var/lib/vz/images/{volume}', fmt=raw size={size_bytes} preallocation=off"]
    elif storage_type == "lvmthin":
        made = [f'  Logical volume "{volume}" created.']
    return [
        *made,
        f"Creating filesystem with {blocks} 4k blocks and {size_bytes // BYTES_PER_INODE} inodes",
        f"Filesystem UUID: {uuid.uuid4()}",
        "Superblock backups stored on blocks: ",
        "\t" + ", ".join(map(str, backups)),
    ]


def unpacked_lines(archive_bytes: int, hostname: str, file_name: str) -> list[str]:
    """The log lines for the unpacked archive and the first configuration of the template."""
    lines = [
        f"Total bytes read: {archive_bytes * 3} ({archive_bytes * 3 // 1024**2}MiB, 190MiB/s)",
        "Detected container architecture: amd64",
    ]
    for kind in ("ed25519", "ecdsa", "rsa") if "-standard_" in file_name else ():
        fingerprint = b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        lines.append(f"Creating SSH host key 'ssh_host_{kind}_key' - this may take some time ...")
        lines.append(f"done: SHA256:{fingerprint} root@{hostname}")
    return lines


def nesting_warning(config: dict[str, Any], ostemplate: str) -> Iterator[str]:
    """The warning at the start of a guest with a new systemd and without nesting.

    Its task ends with WARNINGS.
    """
    name = ostemplate.rpartition("/")[2]
    nesting = split_props(config.get("features", ""))[1].get("nesting") == "1"
    for prefix, version in SYSTEMD_OF.items():
        if name.startswith(prefix) and version >= 257 and not nesting and config.get("unprivileged"):  # noqa: PLR2004
            yield f"WARN: Systemd {version} detected. You may need to enable nesting."


def keys_are_valid(text: str) -> bool:
    """Whether each line is a comment or an OpenSSH public key."""
    lines = [line.strip() for line in text.splitlines()]
    return all(_is_key(line) for line in lines if line and not line.startswith("#"))


def _is_key(line: str) -> bool:
    words = line.split()
    for kind, blob in itertools.pairwise(words):
        if kind.startswith(SSH_KEY_TYPES):
            try:
                return kind.encode() in b64decode(blob, validate=True)[: len(kind) + 8]
            except (binascii.Error, ValueError):
                return False
    return False
