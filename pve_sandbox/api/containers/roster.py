"""The containers of the cluster: fakepve's list, with each one found by its vmid at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Roster(list[Any]):
    """fakepve's list of containers with a fast lookup by vmid.

    ``changed(vmid)`` is called when a container is added or removed.
    """

    def __init__(self, changed: Callable[[int], None]) -> None:
        super().__init__()
        self._by_vmid: dict[int, Any] = {}
        self._changed = changed

    def get(self, vmid: int) -> Any | None:
        return self._by_vmid.get(vmid)

    def append(self, guest: Any) -> None:
        super().append(guest)
        self._by_vmid[guest.vmid] = guest
        self._changed(guest.vmid)

    def remove(self, guest: Any) -> None:
        super().remove(guest)
        self._by_vmid.pop(guest.vmid, None)
        self._changed(guest.vmid)
