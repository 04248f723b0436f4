"""Options of several commands, and options with long descriptions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Name of the registered endpoint.")]

# demo
Guests = Annotated[Literal["auto", "root", "systemd", "rootless", "simulated"], typer.Option(help="Kind of guests.")]

# create, act, jobs
Url = Annotated[str, typer.Option(help="Address of the dashboard.", envvar="PUBLIC_URL")]
Endpoint = Annotated[str, typer.Option(help="Name of a registered PVE endpoint. Default: the default endpoint.")]
ActName = Annotated[Literal["start", "shutdown", "stop", "reboot"], typer.Argument(help="The act.")]
Vmid = Annotated[int, typer.Argument(help="The container's vmid.", min=100, max=999_999_999)]
OfKind = Annotated[str, typer.Option("--kind", help="Only jobs of this kind, for example container.stop.")]
OfGuest = Annotated[int, typer.Option("--vmid", help="Only jobs on this guest; 0 for all.", min=0, max=999_999_999)]
OfUser = Annotated[str, typer.Option("--user", help="Only jobs of this user, for example root@pam.")]
InState = Annotated[str, typer.Option("--state", help="Only jobs in this state, for example running.")]
Limit = Annotated[int, typer.Option("--limit", help="Maximum number of jobs, newest first.", min=1, max=500)]
Template = Annotated[str, typer.Option("--template", "-t", help="NAME or SOURCE/NAME. Default: no template.")]
Fields = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="NAME=VALUE", help="A field of the container. Repeatable.")
]
TokenFile = Annotated[
    str, typer.Option(envvar="PVE_API_TOKEN_FILE", help="File with user@realm!name=uuid; - is stdin.")
]
PlainHttp = Annotated[bool, typer.Option("--plain-http", help="Send the token over plain http.")]

# node add
Fingerprint = Annotated[str, typer.Option(help="SHA-256 fingerprint of its certificate. Default: asks.")]
CaFile = Annotated[Path | None, typer.Option(help="CA of its certificate, such as /etc/pve/pve-root-ca.pem.")]
SystemCa = Annotated[bool, typer.Option(help="Trust the system's CAs instead.")]
VerifyTls = Annotated[bool, typer.Option(help="Without it, any server can pose as PVE.")]
TokenSecretFile = Annotated[Path | None, typer.Option(help="File with the token's secret.")]
SshKeyFile = Annotated[Path | None, typer.Option(help="Private key for the SSH door.")]
Doors = Annotated[
    list[str] | None,
    typer.Option(help="NODE=HOST[:PORT], the SSH door of a node; * for all other nodes. Repeatable."),
]
HostKeys = Annotated[list[str] | None, typer.Option(help="NODE=KEY, its host key to pin. Default: asks. Repeatable.")]
