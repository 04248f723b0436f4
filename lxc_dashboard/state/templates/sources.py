"""Sources of templates: the list, the open source, and the form of a git source.

Input fields hold their own text. Secrets go from the form to the service, and no var holds them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.db.models import SourceKind
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.templates.model import DiscoveryReport
from lxc_dashboard.services.templates.sources import passes, registry
from lxc_dashboard.services.templates.sources.registry import GitSecrets, SourceInput, SourceView
from lxc_dashboard.state.base import PageState, notify, requires, runtime, session, uuid_of

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session


COMMIT_CHARS = 12
REFUSED_SHOWN = 100
OWN_KINDS = (SourceKind.CUSTOM, SourceKind.IMPORTED)


@dataclass(frozen=True)
class SourceRow:
    """``state``: one or two words; ``tone``: of its badge. ``tried_at`` is empty before the first pass."""

    id: str
    name: str
    kind: str
    location: str
    templates: str
    missing: str
    tried_at: str
    state: str
    tone: str
    href: str
    syncs: bool


@dataclass(frozen=True)
class Brought:
    """One line of a report: a word such as ``Added``, and the names of templates."""

    word: str
    names: str


@dataclass(frozen=True)
class RefusedLine:
    place: str
    why: str


@dataclass(frozen=True)
class OpenedSource:
    """The open source without its secrets. ``every_s``: a value of the form's select."""

    id: str = ""
    name: str = ""
    is_git: bool = False
    removed: bool = False
    location: str = ""
    ref: str = ""
    subfolder: str = ""
    every_s: str = "0"
    schedule: str = ""
    commit: str = ""
    opened_with: str = ""
    access: str = ""
    host_key: str = ""
    webhook: str = ""
    error: str = ""
    synced_at: str = ""
    brought: list[Brought] = field(default_factory=list)
    refused: list[RefusedLine] = field(default_factory=list)
    refused_more: str = ""


def row_of(view: SourceView) -> SourceRow:
    state, tone = _state(view)
    missing = text.SOURCE_MISSING.format(count=view.missing, total=view.templates) if view.missing else ""
    return SourceRow(
        id=str(view.id),
        name=view.name,
        kind=text.SOURCE_KINDS[view.kind.value],
        location=_from(view),
        templates=str(view.templates),
        missing=missing,
        tried_at=_when(view),
        state=state,
        tone=tone,
        href=routes.source(view.id),
        syncs=view.kind not in OWN_KINDS and not view.removed,
    )


def opened_of(view: SourceView) -> OpenedSource:
    every = str(view.every_s)
    more = len(view.report.refused) - REFUSED_SHOWN
    return OpenedSource(
        id=str(view.id),
        name=view.name,
        is_git=view.kind is SourceKind.GIT,
        removed=view.removed,
        location=view.location,
        ref=view.ref,
        subfolder=view.subfolder,
        every_s=every,
        schedule=text.SOURCE_SCHEDULES.get(every, text.SOURCE_EVERY.format(count=every)),
        commit=view.commit[:COMMIT_CHARS],
        opened_with=view.opened_with,
        access=text.SOURCE_OPENED_WITH[view.opened_with],
        host_key=view.host_key,
        webhook=routes.webhook(view.id) if view.takes_webhooks else "",
        error=view.error,
        synced_at=view.synced_at.isoformat() if view.synced_at else "",
        brought=_brought(view.report),
        refused=_refused(view.report),
        refused_more=text.REFUSED_MORE.format(count=more) if more > 0 else "",
    )


def _brought(report: DiscoveryReport) -> list[Brought]:
    lists = {name: getattr(report, name) for name in ("added", "changed", "removed")}
    return [Brought(text.SOURCE_REPORT_WORDS[name], ", ".join(names)) for name, names in lists.items() if names]


def _refused(report: DiscoveryReport) -> list[RefusedLine]:
    return [
        RefusedLine(f"{refusal.file}:{refusal.line}" if refusal.line else refusal.file, text.with_remedy(refusal.why))
        for refusal in report.refused[:REFUSED_SHOWN]
    ]


def _from(view: SourceView) -> str:
    parts = [view.location, f"/{view.subfolder}" if view.subfolder else "", f" @ {view.ref}" if view.ref else ""]
    return "".join(parts)


def _when(view: SourceView) -> str:
    looked = view.tried_at or view.synced_at
    return looked.isoformat() if looked else ""


def _state(view: SourceView) -> tuple[str, str]:
    words = text.SOURCE_STATES
    if view.kind in OWN_KINDS:
        return words["own"], "plain"
    if view.removed:
        return text.SOURCE_STATE_REMOVED, "warm"
    if view.error:
        return words["error"], "bad"
    if view.synced_at is None:
        return words["new"], "plain"
    if view.report.refused:
        return words["refused"].format(count=len(view.report.refused)), "warm"
    return words["ok"], "good"


NEW: Final = "new"
KEEP: Final = "keep"
FIELDS: Final = (
    "name", "location", "ref", "subfolder", "every_s", "username", "password", "private_key", "host_key", "webhook_secret",
)  # fmt: skip


class SourcesState(PageState, rx.State):
    """``chosen``: the id of the open source, ``new``, or empty. ``formed``: a count whose change rebuilds the form.

    ``access``, ``hooks``: the form's choices. ``offered_*``: the SSH host key to confirm.
    """

    rows: list[SourceRow] = []
    chosen: str = ""
    opened: OpenedSource = OpenedSource()
    gone: bool = False
    editing: bool = False
    formed: int = 0
    access: str = "none"
    hooks: str = "none"
    errors: dict[str, str] = dict.fromkeys(FIELDS, "")
    trying: bool = False
    busy: list[str] = []
    offered_server: str = ""
    offered_fingerprint: str = ""
    webhook_url: str = ""
    _offered_key: str = ""

    @requires()
    async def load(self) -> None:
        """Show the list and the source in the address. An open form stays, since a reconnecting page calls this, too."""
        source_id = str(self.router.url.query_parameters.get("source", ""))
        async with self._filling():
            is_other, self.chosen = source_id != self.chosen, source_id
            if is_other:
                self.editing = False
            await self._read(runtime(), session())
            if is_other and self.chosen == NEW:
                self._form()
            self._show(empty=not self.rows and self.chosen != NEW)

    @requires()
    async def change(self) -> None:
        """Open the form for the open source."""
        self.editing = True
        self._form()

    @requires()
    async def leave(self) -> None:
        """Close the form and discard its input."""
        self.editing = False

    @requires()
    async def open_with(self, access: str) -> None:
        """Set the kind of credentials that the form asks for."""
        self.access = access if access in {KEEP, *text.SOURCE_ACCESSES} else "none"

    @requires()
    async def take_hooks(self, hooks: str) -> None:
        """Set whether the form asks for a webhook secret."""
        self.hooks = hooks if hooks in {KEEP, *text.SOURCE_HOOKS_CHOICES} else "none"

    @requires()
    async def save(self, data: dict[str, Any]) -> AsyncIterator[Any]:
        """Test the source and store it. Shows the key of a new SSH server first, which the next click confirms."""
        if self.trying:
            return
        self.trying, self.errors = True, dict.fromkeys(FIELDS, "")
        yield
        try:
            stored = await self._save(data)
        except InvalidInputError as error:
            if not set(error.fields) <= set(FIELDS):
                raise
            self.errors = dict.fromkeys(FIELDS, "") | error.fields
            return
        finally:
            self.trying = False
        if stored:
            self.editing = False
            self._forget_offer()
            is_new, name = self.chosen == NEW, str(data.get("name", "")).strip()
            yield notify((text.SOURCE_ADDED if is_new else text.SOURCE_CHANGED).format(name=name))
            yield rx.redirect(routes.source(stored)) if is_new else SourcesState.load
            yield SourcesState.sync(stored)

    @requires(background=True)
    async def sync(self, source_id: str) -> AsyncIterator[Any]:
        """Read the source now and show the result."""
        rt, who = runtime(), session()
        async with self:
            if source_id in self.busy:
                return
            self.busy = [*self.busy, source_id]
        try:
            report = await passes.sync_source(rt, who, uuid_of(source_id, text.SOURCE_GONE))
            counts = {name: len(getattr(report, name)) for name in ("added", "changed", "removed", "refused")}
            yield notify(text.SOURCE_SYNCED.format(name=report.source, **counts))
        finally:
            async with self:
                self.busy = [other for other in self.busy if other != source_id]
                await self._read(rt, who)

    @requires()
    async def remove(self, typed: str) -> AsyncIterator[Any]:
        """Remove the open source if ``typed`` is its name."""
        name = self.opened.name
        removal = await registry.remove(runtime(), session(), uuid_of(self.chosen, text.SOURCE_GONE), name=typed)
        if removal.kept:
            yield notify(text.SOURCE_REMOVED_KEPT.format(name=name, kept=", ".join(removal.kept)))
            yield SourcesState.load
        else:
            yield notify(text.SOURCE_REMOVED.format(name=name, count=len(removal.deleted)))
            yield rx.redirect(routes.SOURCES)

    async def _save(self, data: dict[str, Any]) -> str:
        """Store the source and return its id; empty if the user must confirm a key first."""
        location = str(data.get("location", ""))
        try:
            source = self._source_input(data)
            if self.chosen == NEW:
                return str(await registry.add_git(runtime(), session(), source))
            await registry.update(runtime(), session(), uuid_of(self.chosen, text.SOURCE_GONE), source)
        except InvalidInputError as error:
            if set(error.fields) != {"host_key"}:
                raise
            offered = await registry.offered_host_key(runtime(), session(), location)
            self.offered_server, self.offered_fingerprint = offered.server, offered.fingerprint
            self._offered_key = offered.key
            return ""
        return self.chosen

    def _source_input(self, data: dict[str, Any]) -> SourceInput:
        values = {name: str(data.get(name, "")) for name in FIELDS}
        secrets = {
            KEEP: None,
            "none": GitSecrets(),
            "password": GitSecrets(values["username"].strip(), values["password"].strip()),
            "key": GitSecrets(private_key=values["private_key"]),
        }[self.access]
        hook = {KEEP: None, "none": "", "secret": values["webhook_secret"].strip()}[self.hooks]
        if self.hooks == "secret" and not hook:
            raise InvalidInputError({"webhook_secret": text.SOURCE_HOOK_HINT})
        confirmed = self.offered_server and registry.ssh_server(values["location"]) == self.offered_server
        every = values["every_s"]
        return SourceInput(
            values["name"],
            values["location"],
            ref=values["ref"],
            subfolder=values["subfolder"],
            every_s=int(every) if every.isascii() and every.isdigit() and len(every) < len("1000000") else -1,
            host_key=self._offered_key if confirmed else "",
            secrets=secrets,
            webhook_secret=hook,
        )

    async def _read(self, rt: Runtime, who: Session) -> None:
        views = await registry.list_sources(rt, who)
        self.rows = [row_of(view) for view in views]
        found: SourceView | None = next((view for view in views if str(view.id) == self.chosen), None)
        self.gone = found is None and self.chosen not in {"", NEW}
        self.opened = opened_of(found) if found else OpenedSource()
        if self.gone:
            self.chosen = ""
        self.webhook_url = (
            f"{rt.settings.PUBLIC_URL or _site(self)}{self.opened.webhook}" if self.opened.webhook else ""
        )

    def _form(self) -> None:
        self.formed += 1
        self.errors = dict.fromkeys(FIELDS, "")
        self.access = KEEP if self.opened.opened_with else "none"
        self.hooks = KEEP if self.opened.webhook else "none"
        self._forget_offer()

    def _forget_offer(self) -> None:
        self.offered_server = self.offered_fingerprint = self._offered_key = ""


def _site(state: rx.State) -> str:
    """The origin that the user's browser uses."""
    return str(state.router.url.origin)
