"""PVE's parameters for a container, and commands that create it without the dashboard.

A command refers to secrets by shell variables and never contains them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lxc_dashboard.messages import Message, MessageCode
from lxc_dashboard.proxmox.schemas.lxc import property_string
from lxc_dashboard.services.auth import endpoints
from lxc_dashboard.services.creation.form.fields import FIELDS
from lxc_dashboard.services.creation.form.spec import NETWORK_DEVICE, ContainerSpec, PasswordMode
from lxc_dashboard.services.creation.preflight.rights import ROOT, root_features

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.creation.form.spec import Mount


def in_mount_order(mounts: Sequence[Mount]) -> list[Mount]:
    """Sort by the order in which PVE must mount: a folder before those in it. Otherwise keep the order."""
    return sorted(mounts, key=lambda mount: sum(mount.path.startswith(f"{other.path}/") for other in mounts))


def pve_parameters(
    spec: ContainerSpec, vmid: int, password: str | None, *, description: str | None = None
) -> dict[str, str | int | bool]:
    """The body of ``POST /nodes/{node}/lxc``.

    Always contains ``unprivileged``, because PVE 8 and 9 have different defaults. Omits a feature that is off, because
    naming it needs privileges that most users lack. With a pool, omits the tags, which are set afterwards: a user with
    rights only through the pool may not set them yet.
    """
    values: dict[str, Any] = {row.pve: row.of(spec) for row in FIELDS if row.pve and row.in_spec}
    values |= {
        "vmid": vmid,
        "rootfs": f"{spec.storage}:{spec.disk_gib}",
        **{f"mp{number}": mount.value for number, mount in enumerate(in_mount_order(spec.mounts))},
        "password": password or None,
        "ssh-public-keys": "\n".join(spec.ssh_keys),
        "net0.ip": spec.ipv4.value,
        "net0.ip6": spec.ipv6.value,
        "tags": "" if spec.pool else ";".join(spec.tags),
        "description": spec.description if description is None else description,
    }
    groups: dict[str, dict[str, Any]] = {name.partition(".")[0]: {} for name in values if "." in name}
    for name in sorted(name for name in values if "." in name):
        group, _, part = name.partition(".")
        groups[group][part] = values.pop(name)
    groups["net0"] = {"name": NETWORK_DEVICE, **groups["net0"], "type": "veth"}
    values |= {
        name: property_string({part: value for part, value in group.items() if value is not False and value != ""})
        for name, group in groups.items()
    }
    return {name: value for name, value in values.items() if value not in (None, "", ())}


# Shell variables that the user sets before the command.
_ROOT: Final = "$ROOT_PASSWORD"
_CALLER: Final = "$PVE_API_TOKEN"
_VMID: Final = "$VMID"
_NEXT: Final = " \\\n  "
_WHOLE: Final = ("vmid", "ostemplate")
_KEYS: Final = "ssh-public-keys"


class CommandCode(MessageCode):
    """Comments in a command."""

    NO_TOKEN_FEATURES = "command.no_token_features"  # noqa: S105 a code
    NO_TOKEN_FOLDERS = "command.no_token_folders"  # noqa: S105 a code
    NO_TOKEN_BOTH = "command.no_token_both"  # noqa: S105 a code
    ROOT_INSTEAD = "command.root_instead"
    TASK_AWAITED = "command.task_awaited"


def pct_create(spec: ContainerSpec, vmid: int) -> str:
    """``pct create`` for bash on the node, as root. Downloads the OS template first if needed.

    ``pct`` reads the keys from a file. As the dashboard does, sets the tags of a container in a pool afterwards.
    """
    return _pct(spec, str(vmid))


def pct_create_all(specs: Sequence[ContainerSpec]) -> str:
    """``pct_create`` for each spec in turn, with the next free vmid. Stops at the first command that fails."""
    each = [f"VMID=$(pvesh get /cluster/nextid) &&\n{_pct(spec, _VMID)}" for spec in _once_downloaded(specs)]
    return " &&\n".join(each)


def _pct(spec: ContainerSpec, vmid: str) -> str:
    number = f'"{vmid}"' if vmid == _VMID else vmid
    values = _values(spec, vmid)
    options = [f"--{name} {_option(name, value)}" for name, value in values.items() if name not in _WHOLE]
    commands = [_NEXT.join([f"pct create {number} {shlex.quote(spec.ostemplate)}", *options])]
    if spec.ostemplate_download:
        storage = spec.ostemplate.partition(":")[0]
        commands.insert(0, f"pveam download {shlex.quote(storage)} {shlex.quote(spec.ostemplate_download)}")
    if _tags_later(spec):
        commands.append(f"pct set {number} --tags {shlex.quote(_tags(spec))}")
    return " &&\n".join(commands)


def api_call(spec: ContainerSpec, vmid: int, *, at: str) -> list[str | Message]:
    """``POST /nodes/{node}/lxc`` with curl, for any bash. ``at``: a URL such as ``https://pve1.example:8006``.

    A ``Message`` is a comment. A call returns before its task ends, so a comment before the next call says to wait.
    """
    return [*_no_token(spec), *_api(spec, str(vmid), at)]


def api_calls(specs: Sequence[ContainerSpec], *, at: str) -> list[str | Message]:
    """``api_call`` for each spec in turn, with the vmid from ``GET /cluster/nextid``."""
    header = f'--header "Authorization: PVEAPIToken={_CALLER}"'
    asked = f"VMID=$(curl --fail-with-body --silent {header}{_NEXT}{shlex.quote(f'{at}/api2/json/cluster/nextid')} | tr -dc 0-9)"
    calls = [line for spec in _once_downloaded(specs) for line in (asked, *_api(spec, _VMID, at))]
    return [*(_no_token(specs[0]) if specs else ()), *calls]


def _no_token(spec: ContainerSpec) -> list[Message]:
    """Comments on features and folders that PVE never lets an API token set."""
    features, has_folders = root_features(spec), any(mount.is_bind for mount in spec.mounts)
    if features:
        code = CommandCode.NO_TOKEN_BOTH if has_folders else CommandCode.NO_TOKEN_FEATURES
        refused = Message.of(code, features=features, root=ROOT)
    elif has_folders:
        refused = Message.of(CommandCode.NO_TOKEN_FOLDERS, root=ROOT)
    else:
        return []
    return [refused, Message.of(CommandCode.ROOT_INSTEAD, root=ROOT)]


def _once_downloaded(specs: Sequence[ContainerSpec]) -> list[ContainerSpec]:
    """Download the OS template only for the first spec: the others find it on the storage."""
    return [spec if at == 0 else replace(spec, ostemplate_download="") for at, spec in enumerate(specs)]


def _api(spec: ContainerSpec, vmid: str, at: str) -> Iterator[str | Message]:
    node = f"{at}/api2/json/nodes/{spec.node}"
    awaited = Message.of(CommandCode.TASK_AWAITED)
    if spec.ostemplate_download:
        download = {"storage": spec.ostemplate.partition(":")[0], "template": spec.ostemplate_download}
        yield from (_curl("POST", f"{node}/aplinfo", download), awaited)
    yield _curl("POST", f"{node}/lxc", _values(spec, vmid))
    if _tags_later(spec):
        yield from (awaited, _curl("PUT", f"{node}/lxc/{vmid}/config", {"tags": _tags(spec)}))


async def address(rt: Runtime, session: Session) -> str:
    """The URL of the session's endpoint, for ``api_call``. Raises ``NotFoundError``."""
    return f"https://{(await endpoints.endpoint(rt, session.endpoint_id)).authority}"


def _values(spec: ContainerSpec, vmid: str) -> dict[str, str]:
    """PVE's parameters as text."""
    password = None if spec.password_mode is PasswordMode.NONE else _ROOT
    values = {**pve_parameters(spec, 0, password), "vmid": vmid}
    return {name: str(int(value)) if isinstance(value, bool) else str(value) for name, value in values.items()}


def _option(name: str, value: str) -> str:
    if name == "password":
        return f'"{_ROOT}"'
    if name == _KEYS:
        return f"<(printf '%s\\n' {' '.join(map(shlex.quote, value.splitlines()))})"
    return shlex.quote(value)


def _curl(method: str, url: str, values: Mapping[str, str]) -> str:
    parts = [
        f"curl --fail-with-body --globoff --request {method} {_url(url)}",
        f'--header "Authorization: PVEAPIToken={_CALLER}"',
        *_data(values.items()),
    ]
    return _NEXT.join(parts)


def _data(values: Iterable[tuple[str, str]]) -> list[str]:
    return [
        f'--data-urlencode "{name}={value}"'
        if (name, value) in {("password", _ROOT), ("vmid", _VMID)}
        else f"--data-urlencode {shlex.quote(f'{name}={value}')}"
        for name, value in values
    ]


def _url(url: str) -> str:
    """Quote the URL for bash, but leave the variable for the vmid open to expansion."""
    before, vmid, after = url.partition(_VMID)
    return f'{shlex.quote(before)}"{vmid}"{shlex.quote(after)}' if vmid else shlex.quote(url)


def _tags_later(spec: ContainerSpec) -> bool:
    return bool(spec.pool and spec.tags)


def _tags(spec: ContainerSpec) -> str:
    return ";".join(spec.tags)
