"""``lxc-dashboard node``: registered PVE endpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import typer
from rich.markup import escape

from lxc_dashboard.commands.doctor import Check, check_clusters, check_endpoint, show_checks
from lxc_dashboard.commands.terminal import columns, err, out, run
from lxc_dashboard.db.models import ProxmoxNode
from lxc_dashboard.db.repositories.nodes import NodeSecrets
from lxc_dashboard.errors import InvalidInputError, NotFoundError
from lxc_dashboard.guest.keys import private_key_of
from lxc_dashboard.proxmox.endpoint import DEFAULT_PORT, Endpoint, normal_fingerprint, peer_fingerprint, ssl_context
from lxc_dashboard.runtime import Runtime
from lxc_dashboard.settings import Settings, part_address

SSH_PORT: Final = 22
_TOKENID: Final = re.compile(r"[^\s:/]+@[^@!\s:/]+![^@!\s]+")
PORT_MAX: Final = 65535


@dataclass(frozen=True, slots=True)
class Tls:
    fingerprint: str
    ca_file: Path | None
    system_ca: bool
    verify: bool


@dataclass(frozen=True, slots=True)
class Token:
    id: str
    secret_file: Path | None


@dataclass(frozen=True, slots=True)
class Ssh:
    user: str
    key_file: Path | None
    doors: Sequence[str]
    host_keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class Door:
    """The SSH door of ``node``. ``key``: its host key, or empty to ask the node for it."""

    node: str
    host: str
    port: int
    key: str


@dataclass(frozen=True, slots=True)
class AddOptions:
    """The options of ``node add``. ``yes``: pin certificate and host keys without a question."""

    name: str
    host: str
    port: int
    tls: Tls
    token: Token
    ssh: Ssh
    default: bool
    yes: bool


def show(*, as_json: bool) -> None:
    """Print all endpoints, without their secrets."""
    nodes = run(_list())
    if as_json:
        out.print_json(json.dumps([_described(node) for node in nodes]))
        return
    rows = [("name", "address", "TLS", "token", "SSH doors")]
    for node in nodes:
        doors = ", ".join(f"{name} -> {door['host']}:{door['port']}" for name, door in node.doors.items()) or "none"
        name = f"{node.name} (default)" if node.is_default else node.name
        rows.append((name, f"{node.host}:{node.port}", _described(node)["tls"], node.tokenid or "none", doors))
    columns(rows)


def add(options: AddOptions) -> None:
    """Register or replace an endpoint. Asks before it pins a certificate or host key.

    Raises ``InvalidInputError`` by option before it connects.
    """
    run(_add(Settings.load(), _with_address(options)))
    out.print(f"Registered. Check it: lxc-dashboard node test {options.name}")


def remove(name: str) -> None:
    """Remove an endpoint. Raises ``NotFoundError``, and ``ConflictError`` while containers use it."""
    run(_remove(Settings.load(), name))
    out.print(f"{name} removed")


def test(name: str) -> int:
    """Check the API and the doors. Returns 1 if something is wrong."""
    return show_checks(run(_test(Settings.load(), name)), as_json=False)


def _with_address(options: AddOptions) -> AddOptions:
    """Split host and port if ``--host`` is a URL or holds a port."""
    try:
        host, port, is_named = part_address(options.host.strip())
    except ValueError as error:
        raise InvalidInputError({"--host": str(error)}) from error
    if is_named and options.port not in {port, DEFAULT_PORT}:
        raise InvalidInputError({"--port": "differs from the port in --host"})
    return replace(options, host=host, port=port if port and options.port == DEFAULT_PORT else options.port)


async def _list() -> Sequence[ProxmoxNode]:
    async with Runtime.open(Settings.load()) as runtime, runtime.db.transaction() as tx:
        return await tx.nodes.list()


def _described(node: ProxmoxNode) -> dict[str, Any]:
    tls = "not verified"
    if node.fingerprint:
        tls = f"pinned {node.fingerprint[:11]}..."
    elif node.verify_tls:
        tls = "own CA" if node.ca_pem else "system's CAs"
    return {
        "name": node.name,
        "host": node.host,
        "port": node.port,
        "tls": tls,
        "fingerprint": node.fingerprint,
        "tokenid": node.tokenid,
        "ssh_user": node.ssh_user,
        "has_ssh_key": node.ssh_key_enc is not None,
        "doors": node.doors,
        "is_default": node.is_default,
    }


async def _add(settings: Settings, options: AddOptions) -> None:
    ca_pem = _read(options.tls.ca_file, "--ca-file")
    secrets = NodeSecrets(
        token_secret=_read(options.token.secret_file, "--token-secret-file"),
        ssh_key=_read(options.ssh.key_file, "--ssh-key-file"),
    )
    _check_token(options.token, secrets.token_secret)
    door_options = _doors_of(options.ssh)
    ssl_context(Endpoint(options.host, options.port, ca_pem=ca_pem))  # raises for an invalid CA
    if secrets.ssh_key is not None:
        private_key_of(secrets.ssh_key)
    async with Runtime.open(settings) as runtime:
        fingerprint = await _pinned_certificate(options, ca_pem)
        doors = {door.node: await _pinned(runtime, door, yes=options.yes) for door in door_options}
        node = ProxmoxNode(
            name=options.name,
            host=options.host,
            port=options.port,
            fingerprint=fingerprint,
            ca_pem=ca_pem,
            verify_tls=options.tls.verify,
            tokenid=options.token.id or None,
            ssh_user=options.ssh.user,
            doors=doors,
        )
        await _store(runtime, node, secrets, default=options.default)
        async with runtime.db.transaction() as tx:
            known = await tx.nodes.list()
    for check in await check_clusters(known):
        err.print(f"Warning: {escape(check.found)}: {check.remedy}")


def _check_token(token: Token, secret: str | None) -> None:
    if token.id and not secret:
        raise InvalidInputError({"--token-secret-file": "name the file with the secret of --tokenid"})
    if secret and not _TOKENID.fullmatch(token.id):
        raise InvalidInputError({"--tokenid": "must have the form user@realm!name"})


async def _store(runtime: Runtime, node: ProxmoxNode, secrets: NodeSecrets, *, default: bool) -> None:
    async with runtime.db.transaction() as tx:
        known = await tx.nodes.by_name(node.name)
        if known is None:
            node.is_default = default or await tx.nodes.default() is None
            await tx.nodes.add(node, secrets)
            return
        await tx.nodes.update(
            known.id,
            host=node.host,
            port=node.port,
            fingerprint=node.fingerprint,
            ca_pem=node.ca_pem,
            verify_tls=node.verify_tls,
            tokenid=node.tokenid,
            ssh_user=node.ssh_user,
            doors=node.doors,
            secrets=secrets,
        )
        if default:
            await tx.nodes.make_default(known.id)


async def _pinned_certificate(options: AddOptions, ca_pem: str | None) -> str | None:
    """The fingerprint to pin; None if CAs verify the certificate, or if it is not verified."""
    if options.tls.fingerprint:
        return normal_fingerprint(options.tls.fingerprint)
    if ca_pem is not None or options.tls.system_ca or not options.tls.verify:
        return None
    fingerprint = await peer_fingerprint(options.host, options.port)
    err.print(f"{options.host}:{options.port} has the certificate\n  {fingerprint}")
    err.print("On the node: openssl x509 -in /etc/pve/local/pve-ssl.pem -noout -fingerprint -sha256")
    _confirm("Are they the same", "--fingerprint", yes=options.yes)
    return fingerprint


def _doors_of(ssh: Ssh) -> list[Door]:
    """The doors with their host keys from the options. Raises ``InvalidInputError``."""
    keys = dict(_pair(text, "--host-key") for text in ssh.host_keys)
    doors = []
    for text in ssh.doors:
        name, address = _pair(text, "--door")
        host, port = _address(address)
        doors.append(Door(name, host, port, keys.pop(name, "")))
    if keys:
        raise InvalidInputError({"--host-key": f"no --door is named {', '.join(keys)}"})
    return doors


async def _pinned(runtime: Runtime, door: Door, *, yes: bool) -> dict[str, Any]:
    """The door as it is stored. Asks to pin the node's host key if the options have none."""
    key = door.key
    if not key:
        key = await runtime.ssh.host_key(door.host, door.port)
        err.print(f"{door.host}:{door.port} has the SSH host key\n  {key}")
        err.print("On the node: cat /etc/ssh/ssh_host_*_key.pub")
        _confirm("Are they the same", "--host-key", yes=yes)
    return {"host": door.host, "port": door.port, "host_key": key}


def _confirm(question: str, option: str, *, yes: bool) -> None:
    if yes:
        return
    if not err.is_terminal:
        raise InvalidInputError({option: "set it, or use --yes: there is no terminal to ask"})
    typer.confirm(question, abort=True, err=True)


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise InvalidInputError({option: f"{text!r} is not NODE=VALUE"})
    return name, value


def _address(text: str) -> tuple[str, int]:
    """``host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    number = port or str(SSH_PORT)
    if not host or not (number.isdecimal() and len(number) <= len(str(PORT_MAX)) and 0 < int(number) <= PORT_MAX):
        raise InvalidInputError({"--door": f"{text!r} is not HOST[:PORT]"})
    return host, int(number)


def _read(file: Path | None, option: str) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError({option: f"cannot be read: {error}"}) from error


async def _remove(settings: Settings, name: str) -> None:
    async with Runtime.open(settings) as runtime, runtime.db.transaction() as tx:
        await tx.nodes.delete((await _by_name(tx, name)).id)


async def _test(settings: Settings, name: str) -> list[Check]:
    async with Runtime.open(settings) as runtime:
        async with runtime.db.transaction() as tx:
            node = await _by_name(tx, name)
            secrets = tx.nodes.secrets(node)
        return await check_endpoint(runtime, node, secrets)


async def _by_name(tx: Any, name: str) -> ProxmoxNode:
    node: ProxmoxNode | None = await tx.nodes.by_name(name)
    if node is None:
        raise NotFoundError(f"No endpoint is named {name}")
    return node
