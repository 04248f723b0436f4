"""Why an act on a container is refused."""

from __future__ import annotations

from lxc_dashboard.messages import MessageCode


class ContainerCode(MessageCode):
    STOPPED = "container.stopped"
