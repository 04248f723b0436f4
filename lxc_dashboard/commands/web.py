"""``lxc-dashboard web``: the web server with the built pages."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import NoReturn

from lxc_dashboard import frontend
from lxc_dashboard.commands.ports import hold
from lxc_dashboard.commands.terminal import err
from lxc_dashboard.settings import Settings


def run(host: str) -> NoReturn:
    """Reserve the port, build the pages if needed, become the server.

    Raises ``ConflictError``, ``InvalidInputError``, ``FrontendError``.
    """
    settings = Settings.load()
    with hold(host, settings.PORT):
        build(os.environ)
        command = frontend.serve_command(host, settings.PORT, workers=settings.WEB_WORKERS)
        os.chdir(frontend.root())
        os.execve(command[0], command, frontend.serve_environ(os.environ))  # noqa: S606 - becomes the server


def build(environ: Mapping[str, str]) -> None:
    """Build the pages unless they are up to date. Raises ``FrontendError``."""
    frontend.ensure_built(environ, lambda: err.print("Building the pages (once, 20 to 60 s)"))


def main() -> None:
    """Build the pages: ``python -m lxc_dashboard.commands.web``, a child process of ``demo``."""
    import signal

    from lxc_dashboard.commands.terminal import explain
    from lxc_dashboard.errors import DashboardError

    if os.getpgrp() == os.getpid():  # node and npm do not get our signals: end the whole group
        signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    try:
        build(os.environ)
    except DashboardError as error:
        explain(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
