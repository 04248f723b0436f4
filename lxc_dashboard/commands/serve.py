"""The app that granian loads in each of its processes."""

from __future__ import annotations

import resource
import signal
import sys
from typing import TYPE_CHECKING, Final

from lxc_dashboard.memory import return_large_buffers
from lxc_dashboard.parent import die_with_parent

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# Optional imports of socketio, for clients and brokers. They would take a tenth of this process's memory.
UNUSED: Final = ("aiohttp", "requests", "valkey", "websocket")


def block_unused_imports() -> None:
    """Make socketio skip its optional imports. Call it before the app is imported."""
    for name in UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type] # None marks a module as missing


def raise_descriptor_limit() -> None:
    """Raise the limit of open files to the system's maximum: 1,024 are too few for the connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def app() -> ASGIApp:
    """The factory for ``granian --factory``. The process ends with granian's first process.

    Otherwise, if that one is killed, its children go on serving the port beside the next server.
    """
    die_with_parent(signal.SIGKILL)
    block_unused_imports()
    raise_descriptor_limit()
    return_large_buffers()
    from lxc_dashboard.app import app as application
    from lxc_dashboard.components.scripts import remove_stale_links

    remove_stale_links()
    return application()
