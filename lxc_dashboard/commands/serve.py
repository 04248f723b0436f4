"""What granian loads in each of its processes: the app, which ends with the server that started it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from lxc_dashboard.parent import die_with_parent

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def app() -> ASGIApp:
    """For ``granian --factory``.

    granian's first process only minds the others. Killed, it would leave one that answers at the port beside the next server.
    """
    die_with_parent(signal.SIGKILL)
    from lxc_dashboard.app import app as application

    return application()
