"""The demo's main process: starts servers, sandbox and the build of the pages together, then web and worker."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import psycopg

from lxc_dashboard import routes
from lxc_dashboard.commands.demo.supervisor import Child, Supervisor
from lxc_dashboard.commands.terminal import err, explain, out
from lxc_dashboard.commands.web import hold_port, port_answers
from lxc_dashboard.embedded import EmbeddedServices
from lxc_dashboard.embedded.folder import DataFolder, free_port, write_private
from lxc_dashboard.errors import ServiceUnavailableError

SANDBOX_NAME: Final = "sandbox"
REGISTERED: Final = ("api_port", "ssh_port", "fingerprint", "ssh_host_key", "ssh_client_key")
_STATE: Final = """
SELECT (SELECT string_agg(version_num, ' ' ORDER BY version_num) FROM alembic_version),
       (SELECT string_agg(concat_ws(' ', id, updated_at), ',') FROM proxmox_node WHERE name = %s)
"""


async def stamp(database_url: str, described: Mapping[str, Any]) -> str:
    """Hash the migrations, the sandbox's description and the database's state.

    Raises ``ServiceUnavailableError``.
    """
    parts = [f"{name}={described[name]}" for name in REGISTERED]
    parts += [_migrations(), await _state_of(database_url)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _migrations() -> str:
    package = Path(__file__).resolve().parents[2]
    versions = next(place for place in (package / "migrations", package.parent / "alembic") if place.is_dir())
    digest = hashlib.sha256()
    for file in sorted(versions.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


async def _state_of(database_url: str) -> str:
    """The database's revision and the sandbox's registration; empty without tables."""
    try:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            cursor = await connection.execute(_STATE, [SANDBOX_NAME])
            return repr(await cursor.fetchone())
    except psycopg.errors.UndefinedTable:
        return ""
    except psycopg.Error as error:
        raise ServiceUnavailableError("The demo's database does not answer", detail=str(error)) from error


HOST: Final = "127.0.0.1"
CONTAINERS: Final = 12
READY_WITHIN_S: Final = 120
SANDBOX_READY_WITHIN_S: Final = 600
SANDBOX_USUALLY_S: Final = 5
REVIVE_EVERY_S: Final = 1.0
CHANGES_SHOWN: Final = 3
_POLL_S: Final = 0.05
_OWN_VARIABLES: Final = ("DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEY", "OLD_ENCRYPTION_KEYS")


@dataclass(frozen=True, slots=True)
class DemoState:
    """What a demo stores for its next start, in ``demo.json`` (mode 0600)."""

    encryption_key: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    api_port: int = 0
    ssh_port: int = 0
    prepared: str = ""  # the stamp of the prepared database


@dataclass(frozen=True, slots=True)
class Options:
    data: Path
    port: int
    guests: str = "auto"
    reload: bool = False


def default_data() -> Path:
    """``.run/demo`` in a source tree, else a folder in the user's state folder (XDG)."""
    tree = Path(__file__).resolve().parents[3]
    if (tree / "pyproject.toml").is_file():
        return tree / ".run" / "demo"
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "lxc-dashboard" / "demo"


async def run(options: Options) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP. Raises ``ConflictError`` if the port or folder is in use."""
    with hold_port(HOST, options.port):
        await _run(options)


async def _run(options: Options) -> None:
    demo = Demo(options)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end_now() -> None:
        if ending.is_set():
            demo.supervisor.kill()
        ending.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end_now)
    life = asyncio.create_task(demo.live())
    stopping = asyncio.create_task(ending.wait())
    try:
        await asyncio.wait({life, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            life.result()
    finally:
        stopping.cancel()
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        await demo.stop()


class Demo:
    """The parts of a demo in start order."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._data = options.data.absolute()
        self._folder = DataFolder(self._data)
        self._services = EmbeddedServices(self._data / "services")
        self._state_file = self._data / "demo.json"
        self._state = DemoState()
        self.supervisor = Supervisor(self._data / "log", lambda line: err.print(f"[yellow]{line}[/]"))

    async def live(self) -> None:
        """Start all parts, print the address, and keep them running."""
        await self._open_folder()
        described, *_ = await _together(self._start_sandbox(), self._services.start(), self._build_pages())
        await self._prepare(described)
        self._start_web()
        await _until(lambda: port_answers(HOST, self._options.port, routes.SIGN_IN), "The web server")
        self._start_worker()
        self._print_address(described)
        await _together(self._revive(), *([self._reload()] if self._options.reload else []))

    async def _revive(self) -> None:
        while True:
            await asyncio.sleep(REVIVE_EVERY_S)
            for name in await self._services.revive():
                err.print(f"[yellow]{name} ended and was restarted[/]")

    async def _reload(self) -> None:
        """Rebuild the pages and restart web and worker when a source file changes."""
        from watchfiles import PythonFilter, awatch

        async for changes in awatch(*_sources(), watch_filter=PythonFilter(extra_extensions=[".js", ".css", ".sh"])):
            names = ", ".join(sorted({Path(file).name for _, file in changes})[:CHANGES_SHOWN])
            out.print(f"[dim]{names} changed, restarting[/]")
            try:
                await self._build_pages()
            except ServiceUnavailableError as error:
                explain(error)
                continue
            await asyncio.gather(self.supervisor.restart("web"), self.supervisor.restart("worker"))

    async def stop(self) -> None:
        """Stop all parts, the servers last."""
        await self.supervisor.stop()
        await self._services.stop()
        self._folder.close()

    async def _open_folder(self) -> None:
        """Lock the folder. All children inherit the lock, so a new demo waits until the last child has ended."""
        out.print(f"[dim]Data and logs: {self._data}[/]")
        await self._folder.open()
        self.supervisor.pass_fds = (self._folder.lock_fd,)
        (self._data / "log").mkdir(mode=0o700, exist_ok=True)
        if self._state_file.exists():
            self._state = DemoState(**json.loads(self._state_file.read_text(encoding="utf-8")))

    async def _start_sandbox(self) -> dict[str, Any]:
        """Start the sandbox. Returns its description once it is ready."""
        api_port, ssh_port = free_port(self._state.api_port), free_port(self._state.ssh_port)
        self._save(replace(self._state, api_port=api_port, ssh_port=ssh_port))
        description = self._data / "sandbox.json"
        description.unlink(missing_ok=True)
        command = [
            *(sys.executable, "-m", "pve_sandbox", "--data", str(self._data / "sandbox")),
            *("--api-port", str(api_port), "--ssh-port", str(ssh_port)),
            *("--guests", self._options.guests, "--containers", str(CONTAINERS)),
        ]
        self.supervisor.keep(Child("sandbox", command, _inherited_environ(), stdout_file=description))

        async def is_ready() -> bool:
            return description.exists() and description.read_bytes().endswith(b"\n")

        slow = "[dim]The sandbox builds the system of its guests. This takes up to a minute, once[/]"
        notice = asyncio.get_running_loop().call_later(SANDBOX_USUALLY_S, out.print, slow)
        try:
            await _until(is_ready, "The sandbox", SANDBOX_READY_WITHIN_S)
        finally:
            notice.cancel()
        described: dict[str, Any] = json.loads(description.read_text(encoding="utf-8").splitlines()[-1])
        return described

    async def _build_pages(self) -> None:
        """Build the pages unless they are up to date, in a child process."""
        from lxc_dashboard import frontend

        if await asyncio.to_thread(frontend.is_built):
            return
        out.print("Building the pages. This takes a minute, once")
        command = [sys.executable, "-m", "lxc_dashboard.commands.web"]
        if await self.supervisor.once(Child("build", command, _inherited_environ())) != 0:
            raise ServiceUnavailableError("The pages could not be built", detail=self.supervisor.log_tail("build"))

    async def _prepare(self, described: dict[str, Any]) -> None:
        """Migrate and register the sandbox, unless the last demo did so. Skipping it saves a second at start."""
        database_url = self._services.database_url
        if self._state.prepared == await stamp(database_url, described):
            return
        description = self._data / "registration.json"
        write_private(description, json.dumps(described))
        command = [sys.executable, "-m", "lxc_dashboard.commands.demo.prepare", str(description)]
        if await self.supervisor.once(Child("prepare", command, self._environ())) != 0:
            raise ServiceUnavailableError(
                "The database could not be prepared", detail=self.supervisor.log_tail("prepare")
            )
        description.unlink()
        self._save(replace(self._state, prepared=await stamp(database_url, described)))

    def _start_web(self) -> None:
        from lxc_dashboard import frontend

        command = frontend.serve_command(HOST, self._options.port)
        environ = frontend.serve_environ(self._environ())
        self.supervisor.keep(Child("web", command, environ, cwd=frontend.root()))

    def _start_worker(self) -> None:
        command = [sys.executable, "-m", "lxc_dashboard.commands.worker"]
        self.supervisor.keep(Child("worker", command, self._environ()))

    def _environ(self) -> dict[str, str]:
        """The environment of the product's own processes."""
        return _inherited_environ() | self._settings()

    def _settings(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self._services.database_url,
            "REDIS_URL": self._services.redis_url,
            "ENCRYPTION_KEY": self._state.encryption_key,
            "PORT": str(self._options.port),
            "SANDBOX": "true",
        }

    def _save(self, state: DemoState) -> None:
        self._state = state
        write_private(self._state_file, json.dumps(asdict(state)))

    def _print_address(self, described: dict[str, Any]) -> None:
        """Print the address and the users; write a file with the environment for other commands."""
        file = self._data / "environment"
        write_private(file, "".join(f"{name}={value}\n" for name, value in self._settings().items()))
        out.print(f"\n[bold]LXC Dashboard: http://localhost:{self._options.port}[/]\n")
        out.print("Sign in at the endpoint [bold]sandbox[/] (a simulated PVE node) as")
        for userid, password in described["users"].items():
            out.print(f"  [bold]{userid}[/]  password [bold]{password}[/]")
        if described.get("tfa_secret"):
            out.print(f"  tfa@pve also needs a code of the authenticator secret {described['tfa_secret']}")
        out.print(f"Guests: {described['guests']}. {described.get('guests_description', '')}")
        out.print(f"[dim]Other commands: env $(cat {file}) lxc-dashboard doctor[/]")
        out.print("Ctrl-C stops the demo. Its data stays.")


async def _together(*coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run all and return their results in order. If one fails, cancel the others and raise its error."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def _until(holds: Callable[[], Awaitable[bool]], what: str, within_s: float = READY_WITHIN_S) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not await holds():  # noqa: ASYNC110 - the state of another process
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise ServiceUnavailableError(f"{what} does not answer after {within_s:.0f} s; see its log") from None


def _sources() -> list[Path]:
    package = Path(__file__).resolve().parents[2]
    return [place for place in (package, package.parent / "tasks", package.parent / "assets") if place.is_dir()]


def _inherited_environ() -> dict[str, str]:
    """This process's environment, without the settings of another installation."""
    names = {variant for name in _OWN_VARIABLES for variant in (name, f"{name}_FILE")}
    return {name: value for name, value in os.environ.items() if name not in names}
