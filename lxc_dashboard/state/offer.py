"""What the wizard offers for the chosen node, as its selects show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import reflex as rx

from lxc_dashboard.services.creation.form.choices import Choices, choices, matching, split_os_template
from lxc_dashboard.state import summary
from lxc_dashboard.state.base import runtime, session
from lxc_dashboard.state.summary import Option

SHOWN_AT_ONCE: Final = 20
UNSEEN_POOLS: Final = 10


@dataclass(frozen=True)
class ApplianceRow:
    """``template`` is the file's name. ``there``: a storage of the node has it."""

    template: str
    name: str
    headline: str
    section: str
    there: bool


class Offer(rx.State, mixin=True):
    """The part of ``CreateState`` that PVE answers for. ``missing`` names what could not be read, and why.

    ``matches`` counts all OS templates that ``query`` finds, ``appliances`` are the first of them.
    """

    nodes: list[Option] = []
    storages: list[Option] = []
    bridges: list[Option] = []
    os_present: list[Option] = []
    os_downloads: list[Option] = []
    pools: list[Option] = []
    next_vmid: str = ""
    missing: list[str] = []
    query: str = ""
    matches: int = 0
    appliances: list[ApplianceRow] = []
    template_storages: list[Option] = []
    template_storage: str = ""
    _choices: Choices | None = None
    _unseen_pools: tuple[str, ...] = ()

    if TYPE_CHECKING:
        form: dict[str, str]

    async def _offer(self, node: str) -> Choices:
        """Asks PVE. Without a node, or where that one does not answer, the roomiest is taken."""
        found = await choices(runtime(), session(), node)
        self._take_offer(found)
        return found

    def _take_offer(self, found: Choices) -> None:
        """Shows what there is to choose from."""
        self._choices = found
        self.nodes, self.storages = summary.node_options(found), summary.storage_options(found)
        self.bridges = summary.bridge_options(found)
        self.os_present = summary.os_options(found, download=False)
        self._list_downloads()
        self._list_pools()
        self.next_vmid = str(found.next_vmid or "")
        self.missing = list(found.missing)
        self._find()

    def _list_downloads(self) -> None:
        """Those that the field offers, with the one that was found by searching."""
        offered, chosen = self._choices, self.form.get("ostemplate", "")
        options = summary.os_options(offered, download=True) if offered else []
        listed = chosen in {option.value for option in options}
        if offered and split_os_template(chosen)[1] and not listed and offered.has_os_template(chosen):
            options.append(Option(chosen, summary.os_name(chosen.rpartition("/")[2])))
        self.os_downloads = options

    def _list_pools(self) -> None:
        """Those that the user may see, with what a preset, a link or a job has named. None where none is seen: then it is typed."""
        seen, chosen = self._choices.pools if self._choices else (), self.form.get("pool", "")
        if seen and chosen not in {"", *seen, *self._unseen_pools}:
            self._unseen_pools = (*self._unseen_pools, chosen)[-UNSEEN_POOLS:]
        names = sorted({*seen, *self._unseen_pools}) if seen else []
        self.pools = [Option(name, name) for name in names]

    def _find(self) -> None:
        """What the search finds in what the node offers."""
        offered = self._choices
        found = matching(offered, self.query) if offered else []
        there = {t.name for t in offered.ostemplates if not t.is_download} if offered else set()
        self.matches = len(found)
        self.appliances = [
            ApplianceRow(a.template, a.name, a.headline, a.section, a.template in there) for a in found[:SHOWN_AT_ONCE]
        ]
        self.template_storages = summary.appliance_options(offered) if offered else []
        names = [option.value for option in self.template_storages]
        if self.template_storage not in names:
            self.template_storage = next(iter(names), "")
