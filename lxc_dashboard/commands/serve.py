"""What granian loads in each of its processes: the app, which ends with the server that started it."""

from __future__ import annotations

import resource
import signal
import sys
from typing import TYPE_CHECKING, Final

from lxc_dashboard.memory import return_large_buffers
from lxc_dashboard.parent import die_with_parent

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# What socketio takes where it is there, for clients and brokers: a tenth of this process.
UNUSED: Final = ("aiohttp", "requests", "valkey", "websocket")


def leave_out_unused() -> None:
    """Before the app is imported: socketio then goes without."""
    for name in UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type] # what Python takes for a module that is not there


def allow_descriptors() -> None:
    """As many as the system allows: where it begins with 1,024, connections would fail for want of them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def app() -> ASGIApp:
    """For ``granian --factory``.

    granian's first process only minds the others. Killed, it would leave one that answers at the port beside the next server.
    """
    die_with_parent(signal.SIGKILL)
    leave_out_unused()
    allow_descriptors()
    return_large_buffers()
    from lxc_dashboard.app import app as application

    return application()
