"""``lxc-dashboard web``: the web server on the compiled pages."""

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
    """Hold the port, build the pages where needed, become the server. ``ConflictError``, ``InvalidInputError``, ``FrontendError``."""
    settings = Settings.load()
    with hold(host, settings.PORT):
        build(os.environ)
        command = frontend.serve_command(host, settings.PORT, workers=settings.WEB_WORKERS)
        os.chdir(frontend.root())
        os.execve(command[0], command, frontend.serve_environ(os.environ))  # noqa: S606 -- becoming the server


def build(environ: Mapping[str, str]) -> None:
    """Build the pages unless they are there. ``FrontendError``."""
    frontend.ensure_built(environ, say=err.print)


def main() -> None:
    """As ``demo`` starts it, to build in a process that dies with it: ``python -m lxc_dashboard.commands.web``."""
    import signal

    from lxc_dashboard.commands.terminal import explain
    from lxc_dashboard.errors import DashboardError

    if os.getpgrp() == os.getpid():  # node and npm are not told when we are: end all that we lead
        signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    try:
        build(os.environ)
    except DashboardError as error:
        explain(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
