"""``lxc-dashboard demo``: everything on one machine, with a sandbox node instead of a real PVE.

What does not need each other starts together: servers, sandbox and the build of the pages; then web and worker.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lxc_dashboard import routes
from lxc_dashboard.commands.demo.stamp import stamp
from lxc_dashboard.commands.demo.supervisor import Child, Supervisor
from lxc_dashboard.commands.ports import answers, hold
from lxc_dashboard.commands.terminal import err, explain, out
from lxc_dashboard.embedded import EmbeddedServices
from lxc_dashboard.embedded.folder import DataFolder, free_port, write_private
from lxc_dashboard.errors import ServiceUnavailableError

HOST: Final = "127.0.0.1"
CONTAINERS: Final = 12
READY_WITHIN_S: Final = 120
SANDBOX_WITHIN_S: Final = 600
SANDBOX_USUALLY_S: Final = 5
REVIVE_LOOK_S: Final = 1.0
CHANGES_NAMED: Final = 3
_POLL_S: Final = 0.05
_OWN_VARIABLES: Final = ("DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEY", "OLD_ENCRYPTION_KEYS")


@dataclass(frozen=True, slots=True)
class Kept:
    """What one demo hands to the next, in ``demo.json`` (0600)."""

    encryption_key: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    api_port: int = 0
    ssh_port: int = 0
    prepared: str = ""  # the stamp of the database as it was last prepared


@dataclass(frozen=True, slots=True)
class Options:
    data: Path
    port: int
    guests: str = "auto"
    reload: bool = False


def default_data() -> Path:
    """``.run/demo`` of the source tree; of an installed product, a folder of the user's state (XDG)."""
    tree = Path(__file__).resolve().parents[3]
    if (tree / "pyproject.toml").is_file():
        return tree / ".run" / "demo"
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "lxc-dashboard" / "demo"


async def run(options: Options) -> None:
    """Until SIGINT, SIGTERM or SIGHUP. ``ConflictError`` for a port or folder that is taken."""
    with hold(HOST, options.port):
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
    asked = asyncio.create_task(ending.wait())
    try:
        await asyncio.wait({life, asked}, return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            life.result()
    finally:
        asked.cancel()
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        await demo.stop()


class Demo:
    """The parts of a demo, in the order of their start."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._data = options.data.absolute()
        self._folder = DataFolder(self._data)
        self._services = EmbeddedServices(self._data / "services")
        self._kept_file = self._data / "demo.json"
        self._kept = Kept()
        self.supervisor = Supervisor(self._data / "log", lambda line: err.print(f"[yellow]{line}[/]"))

    async def live(self) -> None:
        """Start everything, say where it is, and keep it running."""
        await self._open_folder()
        described, *_ = await _together(self._start_sandbox(), self._services.start(), self._build_pages())
        await self._prepare(described)
        self._start_web()
        await _until(lambda: answers(HOST, self._options.port, routes.SIGN_IN), "The web server")
        self._start_worker()
        self._tell(described)
        await _together(self._revive_for_ever(), *([self._reload_for_ever()] if self._options.reload else []))

    async def _revive_for_ever(self) -> None:
        while True:
            await asyncio.sleep(REVIVE_LOOK_S)
            for name in await self._services.revive():
                err.print(f"[yellow]{name} ended and was started again[/]")

    async def _reload_for_ever(self) -> None:
        """Build and start again what a changed source file belongs to."""
        from watchfiles import PythonFilter, awatch

        async for changes in awatch(*_sources(), watch_filter=PythonFilter(extra_extensions=[".js", ".css", ".sh"])):
            names = ", ".join(sorted({Path(file).name for _, file in changes})[:CHANGES_NAMED])
            out.print(f"[dim]{names} changed, starting again[/]")
            try:
                await self._build_pages()
            except ServiceUnavailableError as error:
                explain(error)
                continue
            await asyncio.gather(self.supervisor.restart("web"), self.supervisor.restart("worker"))

    async def stop(self) -> None:
        """End all quickly; the servers last, when nobody needs them any more."""
        await self.supervisor.stop()
        await self._services.stop()
        self._folder.close()

    async def _open_folder(self) -> None:
        """Every child inherits the lock: whoever starts after a kill waits until the last of them is gone."""
        out.print(f"[dim]Data and logs: {self._data}[/]")
        await self._folder.open()
        self.supervisor.pass_fds = (self._folder.lock_fd,)
        (self._data / "log").mkdir(mode=0o700, exist_ok=True)
        if self._kept_file.exists():
            self._kept = Kept(**json.loads(self._kept_file.read_text(encoding="utf-8")))

    async def _start_sandbox(self) -> dict[str, Any]:
        """What the sandbox says of itself once it answers."""
        api_port, ssh_port = free_port(self._kept.api_port), free_port(self._kept.ssh_port)
        self._keep(replace(self._kept, api_port=api_port, ssh_port=ssh_port))
        said = self._data / "sandbox.json"
        said.unlink(missing_ok=True)
        command = [
            *(sys.executable, "-m", "pve_sandbox", "--data", str(self._data / "sandbox")),
            *("--api-port", str(api_port), "--ssh-port", str(ssh_port)),
            *("--guests", self._options.guests, "--containers", str(CONTAINERS)),
        ]
        self.supervisor.keep(Child("sandbox", command, _foreign_environ(), stdout_file=said))

        async def is_told() -> bool:
            return said.exists() and said.read_bytes().endswith(b"\n")

        slow = "[dim]The sandbox makes the system of its guests: up to a minute, once[/]"
        notice = asyncio.get_running_loop().call_later(SANDBOX_USUALLY_S, out.print, slow)
        try:
            await _until(is_told, "The sandbox", SANDBOX_WITHIN_S)
        finally:
            notice.cancel()
        described: dict[str, Any] = json.loads(said.read_text(encoding="utf-8").splitlines()[-1])
        return described

    async def _build_pages(self) -> None:
        """Build the web pages unless they are there, in a process that dies with us."""
        from lxc_dashboard import frontend

        if await asyncio.to_thread(frontend.is_built):
            return
        out.print("Building the pages: a minute, once")
        command = [sys.executable, "-m", "lxc_dashboard.commands.web"]
        if await self.supervisor.once(Child("build", command, _foreign_environ())) != 0:
            raise ServiceUnavailableError("The pages could not be built", detail=self.supervisor.log_tail("build"))

    async def _prepare(self, described: dict[str, Any]) -> None:
        """Migrate and register, unless the last demo did just that: it would cost a second of a warm start."""
        database_url = self._services.database_url
        if self._kept.prepared == await stamp(database_url, described):
            return
        description = self._data / "registration.json"
        write_private(description, json.dumps(described))
        command = [sys.executable, "-m", "lxc_dashboard.commands.demo.prepare", str(description)]
        if await self.supervisor.once(Child("prepare", command, self._environ())) != 0:
            raise ServiceUnavailableError(
                "The database could not be prepared", detail=self.supervisor.log_tail("prepare")
            )
        description.unlink()
        self._keep(replace(self._kept, prepared=await stamp(database_url, described)))

    def _start_web(self) -> None:
        from lxc_dashboard import frontend

        command = frontend.serve_command(HOST, self._options.port)
        environ = frontend.serve_environ(self._environ())
        self.supervisor.keep(Child("web", command, environ, cwd=frontend.root()))

    def _start_worker(self) -> None:
        command = [sys.executable, "-m", "lxc_dashboard.commands.worker"]
        self.supervisor.keep(Child("worker", command, self._environ()))

    def _environ(self) -> dict[str, str]:
        """Of the product's own processes."""
        return _foreign_environ() | self._settings()

    def _settings(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self._services.database_url,
            "REDIS_URL": self._services.redis_url,
            "ENCRYPTION_KEY": self._kept.encryption_key,
            "PORT": str(self._options.port),
            "SANDBOX": "true",
        }

    def _keep(self, kept: Kept) -> None:
        self._kept = kept
        write_private(self._kept_file, json.dumps(asdict(kept)))

    def _tell(self, described: dict[str, Any]) -> None:
        """Where it is, who may sign in; and a file for whoever wants to run other commands beside it."""
        file = self._data / "environment"
        write_private(file, "".join(f"{name}={value}\n" for name, value in self._settings().items()))
        out.print(f"\n[bold]LXC Dashboard: http://localhost:{self._options.port}[/]\n")
        out.print("Sign in at the endpoint [bold]sandbox[/] (a test double of a PVE node, nothing real) as")
        for userid, password in described["users"].items():
            out.print(f"  [bold]{userid}[/]  password [bold]{password}[/]")
        if described.get("tfa_secret"):
            out.print(f"  tfa@pve also asks for a code of the authenticator secret {described['tfa_secret']}")
        out.print(f"Guests: {described['guests']}. {described.get('guests_description', '')}")
        out.print(f"[dim]Other commands: env $(cat {file}) lxc-dashboard doctor[/]")
        out.print("Ctrl-C ends it, the data stays.")


async def _together(*works: Coroutine[Any, Any, Any]) -> list[Any]:
    """What they give, in order; when one fails the others are cancelled, and its error is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def _until(holds: Callable[[], Awaitable[bool]], what: str, within_s: float = READY_WITHIN_S) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not await holds():  # noqa: ASYNC110 -- another process's state
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise ServiceUnavailableError(f"{what} does not answer after {within_s:.0f} s; see its log") from None


def _sources() -> list[Path]:
    package = Path(__file__).resolve().parents[2]
    return [place for place in (package, package.parent / "tasks", package.parent / "assets") if place.is_dir()]


def _foreign_environ() -> dict[str, str]:
    """Ours, without what is meant for another installation."""
    names = {variant for name in _OWN_VARIABLES for variant in (name, f"{name}_FILE")}
    return {name: value for name, value in os.environ.items() if name not in names}
