"""Why an act on a container is refused."""

from __future__ import annotations

from lxc_dashboard.messages import MessageCode


class ContainerCode(MessageCode):
    STOPPED = "container.stopped"
    RUNNING = "container.running"
    PROTECTED = "container.protected"
    NOT_CONFIRMED = "container.not_confirmed"
    MOVED = "container.moved"
    CONSOLE_NO_PORT = "container.console.no_port"
    CONSOLE_NOT_READY = "container.console.not_ready"
    CONSOLE_REFUSED = "container.console.refused"
