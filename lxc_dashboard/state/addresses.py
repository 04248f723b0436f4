"""The next free address of a range, for the wizard's static address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from lxc_dashboard import text
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form import addresses
from lxc_dashboard.state.base import requires, runtime, session, warned
from lxc_dashboard.state.mounts import Mounts

FAMILIES: Final = {"ipv4": 4, "ipv6": 6}


class Addresses(Mounts, mixin=True):
    """The part of the wizard that asks for addresses. ``asking_for`` is the family that is being asked for."""

    asking_for: str = ""

    @requires(background=True)
    async def take_free_address(self, family: str) -> AsyncIterator[Any]:
        """Fills in the lowest address of the range that nobody is seen to have."""
        rt, who = runtime(), session()
        async with self:
            if family not in FAMILIES or self.asking_for:
                return
            typed, gateway = self.form.get(f"{family}_range", ""), self.form.get(f"{family}_gateway", "")
            self.asking_for = family
        field = f"{family}_range"
        try:
            wanted = addresses.parse_range(typed, version=FAMILIES[family], field=field)
            found = await addresses.next_free(rt, who, wanted, gateway=gateway, field=field)
        except InvalidInputError as error:
            async with self:
                self._mark({**self.errors, **error.fields})
        else:
            async with self:
                self._take_address(family, found.addresses[0])
                await self._keep_draft()
            if found.unasked:
                yield warned(unasked(found.unasked))
        finally:
            async with self:
                self.asking_for = ""

    def _take_address(self, family: str, address: str) -> None:
        self.form[f"{family}_address"] = address
        self._changed_here(f"{family}_address")
        self._mended(f"{family}_range")
        self._mended(f"{family}_address")


def unasked(count: int) -> str:
    """That the addresses of so many containers are not known."""
    return text.ADDRESS_UNASKED["one" if count == 1 else "many"].format(count=f"{count:,}")
