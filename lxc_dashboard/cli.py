"""The ``lxc-dashboard`` command."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from lxc_dashboard.commands import options
from lxc_dashboard.commands.options import AsJson, Name
from lxc_dashboard.commands.terminal import explain
from lxc_dashboard.errors import DashboardError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="LXC Template Manager Dashboard for PVE.",
)
node = typer.Typer(no_args_is_help=True, help="Registered PVE endpoints.")
secrets = typer.Typer(no_args_is_help=True, help="The key that encrypts stored secrets.")
app.add_typer(node, name="node")
app.add_typer(secrets, name="secrets")
template = typer.Typer(no_args_is_help=True, help="Templates: list, check, import and export.")
app.add_typer(template, name="template")

PROGRAM = "lxc-dashboard"
DEFAULT_PORT = 3001
DEFAULT_URL = f"http://localhost:{DEFAULT_PORT}"


def main() -> None:
    """Entry point. A ``DashboardError`` becomes a message and exit status 1."""
    try:
        app(prog_name=PROGRAM)
    except DashboardError as error:
        explain(error)
        sys.exit(1)


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="Folder of data and logs.", envvar="DEMO_DATA")] = None,
    port: Annotated[int, typer.Option(help="Port of the page.", envvar="PORT", min=1, max=65535)] = DEFAULT_PORT,
    guests: options.Guests = "auto",
    *,
    reload: Annotated[bool, typer.Option("--reload", help="Restart when a source file changes.")] = False,
) -> None:
    """Run everything on this machine with a sandbox node. Ctrl-C stops it; the data stays."""
    from lxc_dashboard.commands.demo import demo as command

    asyncio.run(command.run(command.Options(data or command.default_data(), port, guests, reload)))


@app.command()
def web(host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1") -> None:
    """Run the web server on PORT."""
    from lxc_dashboard.commands import web as command

    command.run(host)


@app.command()
def worker(
    beat: Annotated[bool, typer.Option(help="Also run the schedule. Only one worker runs it at a time.")] = True,
) -> None:
    """Run a worker, which does the jobs."""
    from lxc_dashboard.commands import worker as command

    command.run(with_beat=beat)


@app.command()
def migrate(
    revision: Annotated[str, typer.Argument(help="Target revision.")] = "head",
    down: Annotated[
        bool, typer.Option("--down", help="Downgrade to an older revision. Newer tables are lost.")
    ] = False,
) -> None:
    """Migrate the database to this version."""
    from lxc_dashboard.commands import database

    database.migrate(revision, down=down)


@app.command()
def create(
    template_name: options.Template = "",
    fields: options.Fields = None,
    node_name: Annotated[
        str, typer.Option("--node", help="Node of the cluster. Default: the one with the most free memory.")
    ] = "",
    *,
    url: options.Url = DEFAULT_URL,
    endpoint: options.Endpoint = "",
    token_file: options.TokenFile = "",
    password_file: Annotated[str, typer.Option(help="File with root's password; - is stdin.")] = "",
    follow: Annotated[bool, typer.Option(help="Print the log until the job ends.")] = True,
    as_json: AsJson = False,
    plain_http: options.PlainHttp = False,
) -> None:
    """Create a container through a dashboard, with the PVE API token in PVE_API_TOKEN.

    Status 0: ready; 1: refused; 3: failed; 4: cancelled; 5: result unknown; 130: Ctrl-C, the job continues.
    """
    from lxc_dashboard.commands import jobs as command

    chosen = command.CreateOptions(
        url=url,
        fields=tuple(fields or ()),
        template=template_name,
        node=node_name,
        endpoint=endpoint,
        token=os.environ.get("PVE_API_TOKEN", ""),
        token_file=token_file,
        password_file=password_file,
        follow=follow,
        as_json=as_json,
        plain_http=plain_http,
    )
    sys.exit(command.create(chosen))


@app.command()
def act(
    name: options.ActName,
    vmid: options.Vmid,
    *,
    url: options.Url = DEFAULT_URL,
    endpoint: options.Endpoint = "",
    token_file: options.TokenFile = "",
    follow: Annotated[bool, typer.Option(help="Print the log until the job ends.")] = True,
    as_json: AsJson = False,
    plain_http: options.PlainHttp = False,
) -> None:
    """Start, shut down, stop or restart a container, with the PVE API token in PVE_API_TOKEN.

    Status 0: done; 1: refused; 3: failed; 4: cancelled; 5: result unknown; 130: Ctrl-C, the job continues.
    """
    from lxc_dashboard.commands import jobs as command

    chosen = command.ActOptions(
        act=name,
        vmid=vmid,
        url=url,
        endpoint=endpoint,
        token=os.environ.get("PVE_API_TOKEN", ""),
        token_file=token_file,
        follow=follow,
        as_json=as_json,
        plain_http=plain_http,
    )
    sys.exit(command.act(chosen))


@app.command()
def jobs(
    *,
    kind: options.OfKind = "",
    vmid: options.OfGuest = 0,
    user: options.OfUser = "",
    state: options.InState = "",
    limit: options.Limit = 100,
    url: options.Url = DEFAULT_URL,
    endpoint: options.Endpoint = "",
    token_file: options.TokenFile = "",
    as_json: AsJson = False,
    plain_http: options.PlainHttp = False,
) -> None:
    """List the jobs that the PVE API token in PVE_API_TOKEN may see, newest first. Status 1: refused."""
    from lxc_dashboard.commands import jobs as command

    chosen = command.ListOptions(
        kind=kind,
        vmid=vmid,
        user=user,
        state=state,
        limit=limit,
        url=url,
        endpoint=endpoint,
        token=os.environ.get("PVE_API_TOKEN", ""),
        token_file=token_file,
        as_json=as_json,
        plain_http=plain_http,
    )
    sys.exit(command.list_jobs(chosen))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def sandbox(context: typer.Context) -> None:
    """Run a sandbox PVE node only (`python -m pve_sandbox`). Options: `lxc-dashboard sandbox --help`."""
    os.execv(sys.executable, [sys.executable, "-m", "pve_sandbox", *context.args])  # noqa: S606 - no shell is needed


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check versions, settings, services and endpoints. Status 1 if something is wrong."""
    from lxc_dashboard.commands import doctor as command

    sys.exit(command.run(as_json=as_json))


@secrets.command("generate")
def secrets_generate() -> None:
    """Print a new key for ENCRYPTION_KEY."""
    from lxc_dashboard.commands import database

    database.generate_key()


@secrets.command("rotate")
def secrets_rotate() -> None:
    """Encrypt all stored secrets with ENCRYPTION_KEY; OLD_ENCRYPTION_KEYS decrypt the older ones."""
    from lxc_dashboard.commands import database

    database.rotate_key()


@node.command("list")
def node_list(as_json: AsJson = False) -> None:
    """List the registered endpoints."""
    from lxc_dashboard.commands import nodes

    nodes.show(as_json=as_json)


@node.command("add")
def node_add(
    name: Name,
    *,
    host: Annotated[str, typer.Option(help="Host of the API: a name, an address, or https://HOST:PORT.")],
    port: Annotated[int, typer.Option(help="Port of the API.", min=1, max=65535)] = 8006,
    fingerprint: options.Fingerprint = "",
    ca_file: options.CaFile = None,
    system_ca: options.SystemCa = False,
    verify_tls: options.VerifyTls = True,
    tokenid: Annotated[str, typer.Option(help="API token, user@realm!name.")] = "",
    token_secret_file: options.TokenSecretFile = None,
    ssh_user: Annotated[str, typer.Option(help="User of the SSH door.")] = "root",
    ssh_key_file: options.SshKeyFile = None,
    door: options.Doors = None,
    host_key: options.HostKeys = None,
    default: Annotated[bool, typer.Option("--default", help="Make it the default at sign-in.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Pin certificate and host keys without asking.")] = False,
) -> None:
    """Register a PVE endpoint. Replaces all settings of an endpoint with this name, doors and keys included."""
    from lxc_dashboard.commands import nodes

    tls = nodes.Tls(fingerprint, ca_file, system_ca, verify_tls)
    token = nodes.Token(tokenid, token_secret_file)
    ssh = nodes.Ssh(ssh_user, ssh_key_file, door or (), host_key or ())
    nodes.add(nodes.AddOptions(name, host, port, tls, token, ssh, default=default, yes=yes))


@node.command("remove")
def node_remove(name: Name) -> None:
    """Remove an endpoint that no container uses."""
    from lxc_dashboard.commands import nodes

    nodes.remove(name)


@node.command("test")
def node_test(name: Name) -> None:
    """Check an endpoint's API and doors. Status 1 if something is wrong."""
    from lxc_dashboard.commands import nodes

    sys.exit(nodes.test(name))


@template.command("list")
def template_list(
    source: Annotated[str, typer.Option(help="Only templates of this source.")] = "", *, as_json: AsJson = False
) -> None:
    """List the templates with their current revisions."""
    from lxc_dashboard.commands import templates

    templates.show(source, as_json=as_json)


@template.command("lint")
def template_lint(
    paths: Annotated[list[Path], typer.Argument(help="Folders of templates, one template, or archives.")],
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Status 1 for warnings too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check templates without settings or services. Status 1 if one would be refused."""
    from lxc_dashboard.commands import templates

    sys.exit(templates.lint(paths, strict=strict, as_json=as_json))


@template.command("export")
def template_export(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="NAME or SOURCE/NAME.")] = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The archive, .zip or else .tar.gz; - is stdout.")],
    every: Annotated[bool, typer.Option("--all", help="All templates.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write templates to an archive for `template import` and the pages."""
    from lxc_dashboard.commands import templates

    kind: Literal["zip", "tar.gz"] = "zip" if output.suffix.lower() == ".zip" else "tar.gz"
    templates.export(names or (), output, kind, every=every, force=force)


@template.command("import")
def template_import(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Archives, zip or tar.gz.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Import templates from archives. Status 1 if one cannot be read, or a template is refused."""
    from lxc_dashboard.commands import templates

    sys.exit(templates.import_archives(files, as_json=as_json))


@template.command("sync")
def template_sync(
    sources: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]...", help="All by default.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Read folders and git sources again. Status 1 if one cannot be read, or a template is refused."""
    from lxc_dashboard.commands import templates

    sys.exit(templates.sync(sources or (), as_json=as_json))


if __name__ == "__main__":
    main()
