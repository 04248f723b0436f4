"""The editor's package lists: the template's own and shared buckets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lxc_dashboard import text
from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import NotFoundError
from lxc_dashboard.services.templates.library import buckets
from lxc_dashboard.state.base import requires, runtime, session, uuid_of
from lxc_dashboard.state.templates.editor.page import EditorPart, EditorState
from lxc_dashboard.state.templates.editor.work import ListItem

MANAGERS: Final = tuple(manager.value for manager in PackageManager)
LISTED_NAME: Final = "packages"


@dataclass(frozen=True)
class ListRow:
    """A package list. ``lines`` of a shared bucket are its current packages."""

    key: str
    name: str
    manager: str
    lines: str
    shared: bool


@dataclass(frozen=True)
class BucketChoice:
    """A shared bucket that the template does not use."""

    id: str
    label: str


class PackagesState(EditorPart, EditorState):
    """``list_trouble``: why a list was not added. ``bucket_choices``: shared buckets that the template does not use."""

    lists: list[ListRow] = []
    bucket_choices: list[BucketChoice] = []
    list_trouble: str = ""
    new_manager: str = MANAGERS[0]
    _shared: dict[str, str] = {}
    _buckets: list[BucketChoice] = []
    _bucket_names: dict[str, tuple[str, str]] = {}

    async def _on_open(self) -> list[Any]:
        """Load the shared buckets, with the packages of those that the template uses."""
        found = await buckets.list_buckets(runtime(), session())
        self._buckets = [BucketChoice(str(b.id), f"{b.name}.{b.manager.value} ({b.packages})") for b in found]
        self._bucket_names = {str(b.id): (b.name, b.manager.value) for b in found}
        for item in self._work.packages:
            if item.shared_id:
                await self._read_shared(item.shared_id)
        return []

    async def _read_shared(self, bucket_id: str) -> None:
        try:
            detail = await buckets.get_bucket(runtime(), session(), uuid_of(bucket_id, text.BUCKET_GONE))
        except NotFoundError:
            return
        self._shared = {**self._shared, bucket_id: detail.listing}

    def _on_draw(self) -> None:
        items = self._work.packages
        taken = {item.shared_id for item in items}
        self._set(
            lists=[self._row(item) for item in items],
            bucket_choices=[choice for choice in self._buckets if choice.id not in taken],
        )

    def _row(self, item: ListItem) -> ListRow:
        lines = self._shared.get(item.shared_id, item.lines) if item.shared_id else item.lines
        return ListRow(item.key, item.name, item.manager, lines, bool(item.shared_id))

    @requires()
    async def choose_manager(self, manager: str) -> None:
        self.new_manager = manager if manager in MANAGERS else MANAGERS[0]

    @requires()
    async def add_list(self) -> Any:
        """Add an empty list of the chosen manager under a free name."""
        taken = {item.name for item in self._work.packages if item.manager == self.new_manager}
        names = (LISTED_NAME, *(f"{LISTED_NAME}-{n}" for n in range(2, len(taken) + 3)))
        return self._add(next(name for name in names if name not in taken), self.new_manager)

    @requires()
    async def add_shared(self, bucket_id: str) -> Any:
        """Add a shared bucket."""
        name, manager = self._bucket_names.get(bucket_id, ("", ""))
        if not name or bucket_id in {item.shared_id for item in self._work.packages}:
            return None
        await self._read_shared(bucket_id)
        return self._add(name, manager, bucket_id)

    @requires()
    async def remove_list(self, key: str) -> Any:
        self.list_trouble = ""
        return self._change(self._work.without(key))

    def _add(self, name: str, manager: str, shared_id: str = "") -> Any:
        if any((item.name, item.manager) == (name, manager) for item in self._work.packages):
            self.list_trouble = text.PACKAGES_TWICE.format(name=name, manager=manager)
            return None
        self.list_trouble = ""
        return self._change(self._work.with_list(name, manager, shared_id=shared_id))
