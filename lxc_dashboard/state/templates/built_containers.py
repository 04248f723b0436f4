"""The containers that were built from a template, as PVE lists them for this user, and which use an older revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.services.templates.library import built_containers
from lxc_dashboard.services.templates.library.built_containers import BuiltContainer
from lxc_dashboard.state.base import PageState, requires, runtime, session
from lxc_dashboard.state.templates.detail import Address, TemplateState

DOTS: Final = frozenset({"running", "stopped"})


@dataclass(frozen=True)
class BuiltRow:
    """``change_href``: the changes since its revision, empty if it is current. ``renamed``: its former name."""

    vmid: int
    name: str
    href: str
    node: str
    dot: str
    status: str
    revision: str
    older: bool
    created_at: str
    change_href: str
    renamed: str


class TemplateContainersState(PageState, rx.State):
    """``unseen``: how many containers PVE does not list for this user."""

    rows: list[BuiltRow] = []
    summary: str = ""
    unseen: str = ""

    @requires()
    async def load(self) -> None:
        """Fill the tab when it is open."""
        query = self.router.url.query_parameters
        if str(query.get("tab", "")) != "containers":
            return
        async with self._filling():
            template_id = Address.of(str(self.router.url.path), query).template_id
            found = await built_containers.containers(runtime(), session(), template_id)
            counts = await built_containers.counts(session(), runtime().db)
            current = (await self.get_state(TemplateState)).current
            self.rows = [built_row(container, template_id, current) for container in found]
            self.summary = _summary(found) if found else ""
            unseen = counts.get(template_id, 0) - len(found)
            self.unseen = text.BUILT_UNSEEN.format(count=unseen) if unseen > 0 else ""
            self._show(empty=not found and unseen <= 0)


def built_row(container: BuiltContainer, template_id: UUID, current: int) -> BuiltRow:
    number = container.revision_number
    return BuiltRow(
        vmid=container.vmid,
        name=container.hostname,
        href=f"{routes.CONTAINERS}?q={container.vmid}",
        node=container.node,
        dot=container.status if container.status in DOTS else "unknown",
        status=container.status,
        revision=f"r{number}",
        older=container.older,
        created_at=container.created_at.isoformat(),
        change_href=routes.template_tab(template_id, "revisions", old=number, new=current) if container.older else "",
        renamed=text.BUILT_AS.format(name=container.built_as) if container.built_as else "",
    )


def _summary(found: list[BuiltContainer]) -> str:
    older = sum(container.older for container in found)
    if not older:
        return text.BUILT_ALL_CURRENT
    return text.BUILT_OLDER_ONE if older == 1 else text.BUILT_OLDER.format(count=older)
