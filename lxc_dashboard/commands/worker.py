"""``lxc-dashboard worker``: the process that runs jobs."""

from __future__ import annotations

import sys

from lxc_dashboard import logs
from lxc_dashboard.commands.terminal import explain
from lxc_dashboard.errors import DashboardError
from lxc_dashboard.settings import Settings


def run(*, with_beat: bool = True) -> None:
    """Run until a signal ends the process. Raises ``InvalidInputError`` for invalid settings."""
    from tasks.app import create_app, run_worker

    settings = Settings.load()
    logs.configure(settings.LOG_LEVEL, json=settings.LOG_JSON)
    run_worker(create_app(settings), with_beat=with_beat)


def main() -> None:
    """The entry point for ``demo``, which keeps the rest of the command line out of memory."""
    try:
        run()
    except DashboardError as error:
        explain(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
