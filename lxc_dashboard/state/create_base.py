"""What all parts of the wizard share: the form, which of its fields are wrong, where it stands, and the draft of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.services.creation.form import drafts
from lxc_dashboard.services.creation.form.batch import validate
from lxc_dashboard.services.creation.form.choices import Choices
from lxc_dashboard.services.creation.form.defaults import defaults, of_node
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.templates.model import TemplateConfig
from lxc_dashboard.services.templates.summaries import TemplateDetail
from lxc_dashboard.state import mount_rows, wizard, wizard_filled
from lxc_dashboard.state.base import PageState, runtime, session
from lxc_dashboard.state.ids import uuid_of
from lxc_dashboard.state.mount_rows import ShownMount
from lxc_dashboard.state.offer import Offer
from lxc_dashboard.state.summary import Line, summary_lines
from lxc_dashboard.state.templates.template_list import TemplateRow
from lxc_dashboard.state.wizard import ExtraRow, PackageRow, ScriptRow

ADDRESS_CHARS = 64
PUSHED_AT_MOST = 16


@dataclass(frozen=True)
class Asked:
    """What the address says: the step, the template and the failed run to be replaced, each empty where it is not named."""

    step: str = ""
    template: str = ""
    edit: str = ""

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        step, template, edit = (str(parameters.get(name, ""))[:ADDRESS_CHARS] for name in ("step", "template", "edit"))
        return cls(step if step in wizard.STEPS else "", template, edit)


class WizardBase(Offer, PageState, mixin=True):
    """``form`` is what was typed, by field; ``initial`` what the template gives; ``errors`` what is wrong, by field.

    ``versions`` counts, by field, how often the server has set it; ``refusals`` how often something was to be mended.
    ``told``: what could not be filled in as it was kept. ``draft_at``: when the draft that this began with was kept. ``edits``: the
    failed job that is to be replaced; ``moved_on``: its template has since. ``stand_ins``: by field, what the node has not of what was
    chosen or the template names. ``preset_values``: what a preset has set otherwise than the template.
    """

    step: str = wizard.STEPS[0]
    reached: int = 0
    form: dict[str, str] = {}
    initial: dict[str, str] = {}
    versions: dict[str, int] = {}
    errors: dict[str, str] = {}
    to_mend: list[str] = []
    refusals: int = 0
    templates: list[TemplateRow] = []
    template_id: str = ""
    template_name: str = ""
    packages: list[PackageRow] = []
    extras: list[ExtraRow] = []
    extra_spec: str = ""
    scripts: list[ScriptRow] = []
    mounts: list[ShownMount] = []
    summary: list[Line] = []
    edits: str = ""
    moved_on: str = ""
    moved_on_href: str = ""
    preset_values: dict[str, str] = {}
    stand_ins: dict[str, str] = {}
    told: list[str] = []
    draft_at: str = ""
    from_link: bool = False
    _wanted: TemplateConfig = TemplateConfig(app="")
    _replaced: dict[str, wizard_filled.Replaced] = {}
    _revision_id: str = ""
    _revision_number: int = 0
    _edited_template: str = ""
    _edited_revision: int = 0
    _pushed: tuple[Asked, ...] = ()

    # What is kept of it

    async def _keep_draft(self) -> None:
        """After each change: another tab, or this one after a restart, goes on from here."""
        await drafts.keep(runtime(), session(), self._filled(), reached=self.reached, edits=self._edited())

    async def _forget_draft(self) -> None:
        self.draft_at = ""
        await drafts.discard(runtime(), session(), edits=self._edited())

    def _edited(self) -> UUID | None:
        """The failed job that is to be replaced."""
        return uuid_of(self.edits, text.NO_SUCH_JOB) if self.edits else None

    def _clear(self) -> None:
        """As nothing was chosen or typed."""
        self.form, self.initial, self.preset_values, self.told, self.draft_at = {}, {}, {}, [], ""
        self.extras, self.extra_spec, self.reached, self.step = [], "", 0, wizard.STEPS[0]
        self.from_link = False
        self._changed_here("password", "extra_spec")

    def _filled(self) -> Filled:
        return Filled(
            form=dict(self.form),
            template_id=uuid_of(self.template_id, text.NO_SUCH_TEMPLATE) if self.template_id else None,
            template_name=self.template_name,
            packages_off=tuple(row.key for row in self.packages if not row.on),
            extras=tuple((row.manager, row.spec) for row in self.extras),
            scripts=tuple(row.name for row in self.scripts),
            scripts_off=tuple(row.name for row in self.scripts if not row.on),
        )

    async def _fill(self, filled: Filled) -> None:
        """Puts in what was kept: its template, then its fields. What is not there any more is left out and told."""
        known = {row.id for row in self.templates}
        template_id = str(filled.template_id or "")
        found = template_id if template_id in known else ""
        self.told = [] if found == template_id else [wizard_filled.template_gone(filled.template_name)]
        await self._take_template(found)
        node = filled.form.get("node", "")
        offered = await self._offer(node) if node != self.form["node"] else (self._choices or await self._offer(node))
        self._move_form(offered)
        form = {**self.form, **{name: value for name, value in filled.form.items() if name in self.initial}}
        changed = wizard.refitted(form, offered, of_node(offered, self._wanted))
        self.told += wizard_filled.fallen_back(form, changed)
        self.form = {**form, **changed}
        self.extras = wizard_filled.extras(filled)
        self.packages = wizard_filled.packages(self.packages, filled)
        self.scripts, missing = wizard_filled.scripts(self.scripts, filled)
        self.told += missing if found == template_id else []
        self._changed_here(*self.form, "extra_spec")

    # Template and fields

    async def _take_template(self, template_id: str) -> None:
        """What was typed and differs from the old template's values stays."""
        detail = await wizard_filled.detail_of(template_id)
        offered = self._choices or await self._offer("")
        fresh = defaults(detail.summary if detail else None, offered)
        self._wanted = detail.summary.config if detail else TemplateConfig(app="")
        typed = {name: value for name, value in self.form.items() if value != self.initial.get(name, value)}
        before, self.initial = self.form, fresh
        self.form = {**fresh, **{name: value for name, value in typed.items() if name in fresh}}
        self._changed_here(*(name for name, value in self.form.items() if before.get(name) != value))
        self.template_id = template_id
        self.template_name = f"{detail.summary.name} r{detail.summary.revision_number}" if detail else ""
        self._revision_id = str(detail.summary.revision_id) if detail else ""
        self._revision_number = detail.summary.revision_number if detail else 0
        self._take_selection(detail)
        self._mark({})

    def _move_form(self, offered: Choices) -> list[str]:
        """Fits what is chosen to the node that is offered now. The fields that changed by that."""
        initial, form = wizard.moved_to(self.form, self.initial, offered, self._wanted)
        self._replaced = wizard_filled.replaced(self.form, self.initial, form)
        self.initial.update(initial)
        self.form.update(form)
        return list(form)

    def _take_selection(self, detail: TemplateDetail | None) -> None:
        """The packages and scripts of another template, or of none. What was added beyond it stays."""
        self.packages = wizard.package_rows(detail) if detail else []
        self.scripts = wizard.script_rows(detail) if detail else []

    def _changed_here(self, *names: str) -> None:
        """These inputs are made anew with what the server says."""
        for name in names:
            self.versions[name] = self.versions.get(name, 0) + 1

    def _spec(self) -> ContainerSpec:
        one = {"hostname_pattern": ""} if self.edits else {}
        return validate(
            wizard.raw_of(
                {**self.form, **one},
                revision_id=self._revision_id,
                packages=self.packages,
                extras=self.extras,
                scripts=self.scripts,
            )
        )

    def _sum_up(self) -> None:
        self.summary = summary_lines(self.form, self.template_name, self._choices)
        self.mounts = mount_rows.shown(self.form.get(mount_rows.FIELD, ""))
        self._list_downloads()
        self._list_pools()
        self._tell_moved_on()
        offered = self._choices
        self.stand_ins = wizard_filled.stand_ins(self.form, offered, self._wanted, self._replaced) if offered else {}

    def _tell_moved_on(self) -> None:
        """Where the failed job was asked for with another revision of the template than the one that is taken here."""
        then, current = self._edited_revision, self._revision_number
        is_other = bool(self.edits) and self.template_id == self._edited_template and then not in {0, current}
        name = self.template_name.rpartition(" r")[0]
        self.moved_on = text.MOVED_ON.format(then=then, template=name, now=current) if is_other else ""
        there = routes.template_tab(self.template_id, "revisions", old=then, new=current)
        self.moved_on_href = there if is_other else ""

    def _template_said(self) -> str:
        """The template for the review, with what the failed job had of it where that was another revision."""
        since = text.TEMPLATE_SINCE.format(template=self.template_name, then=self._edited_revision)
        return since if self.moved_on else self.template_name

    def _mark(self, faults: Mapping[str, str]) -> None:
        self.errors = dict(faults)
        self.to_mend = wizard.steps_with(faults)

    # Where it stands

    def _move(self, by: int) -> None:
        self._move_to(wizard.STEPS[max(0, min(len(wizard.STEPS) - 1, wizard.STEPS.index(self.step) + by))])

    def _move_to(self, step: str) -> None:
        self.step = step
        self.reached = max(self.reached, wizard.STEPS.index(step))

    def _there(self, *, replace: bool = False) -> Any:
        """To the address of where the wizard stands, unless the browser is there. ``_pushed`` are the ones on their way.

        An address that holds a link is left.
        """
        begins = self.step == wizard.STEPS[0] and not self.template_id
        here = Asked("" if begins else self.step, self.template_id, self.edits)
        parameters = self.router.url.query_parameters
        if here == Asked.of(parameters) and not parameters.get("from"):
            return None
        self._pushed = (*self._pushed, here)[-PUSHED_AT_MOST:]
        return rx.redirect(routes.create(here.template, here.step, edit=here.edit), replace=replace)

    def _is_own(self, asked: Asked) -> bool:
        """Whether the wizard itself has led there: then it stands there already, or further by now."""
        own = asked in self._pushed
        self._pushed = self._pushed[self._pushed.index(asked) + 1 :] if own else ()
        return own
