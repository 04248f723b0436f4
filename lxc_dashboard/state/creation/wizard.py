"""The wizard's form: its values, invalid fields, the shown step, and the user's draft.

``WizardState`` holds the vars that all parts of the wizard share. Each part is a substate that uses these vars as its
own, and gets another part by ``get_state``. ``_draw`` sets the vars derived from the form, also in each ``WizardPart``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.services.creation.form import choices, filled
from lxc_dashboard.services.creation.form.batch import Several, validate
from lxc_dashboard.services.creation.form.choices import Choices, defaults, of_node
from lxc_dashboard.services.creation.form.filled import Filled
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.templates.library import catalog
from lxc_dashboard.services.templates.model import TemplateConfig, TemplateDetail
from lxc_dashboard.state.base import runtime, session, uuid_of
from lxc_dashboard.state.creation import form as fields
from lxc_dashboard.state.creation import summary as kept
from lxc_dashboard.state.creation.form import STEPS, ExtraRow, PackageRow, ScriptRow
from lxc_dashboard.state.creation.summary import Line, summary_lines
from lxc_dashboard.state.templates.template_list import TemplateRow

ADDRESS_CHARS = 64
PUSHED_MAX = 16


@dataclass(frozen=True)
class Address:
    """The parameters of the page's address: step, template, and failed job to replace. Each may be empty."""

    step: str = ""
    template: str = ""
    edit: str = ""

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        step, template, edit = (str(parameters.get(name, ""))[:ADDRESS_CHARS] for name in ("step", "template", "edit"))
        return cls(step if step in STEPS else "", template, edit)


class WizardPart:
    """A substate of ``WizardState`` with vars derived from the form."""

    def _on_draw(self) -> None:
        """Set the part's vars from the form and from PVE's choices."""


class WizardState(rx.State):
    """``form``: the text of each field. ``initial``: the template's text. ``errors``: faults by field.

    ``versions``: for each field, how often the server has set it. ``refusals``: the number of refused submits.
    ``not_filled``: sentences on values of a draft, link or preset that could not be filled in. ``draft_at``: when the
    draft was stored. ``edits``: the id of the failed job to replace. ``stand_ins``: by field, a note that the node
    lacks the chosen value. ``preset_values``: values of a preset that differ from the template's. ``_pushed``:
    addresses on their way to the browser.
    """

    step: str = STEPS[0]
    reached: int = 0
    form: dict[str, str] = {}
    initial: dict[str, str] = {}
    versions: dict[str, int] = {}
    errors: dict[str, str] = {}
    invalid_steps: list[str] = []
    refusals: int = 0
    templates: list[TemplateRow] = []
    template_id: str = ""
    template_name: str = ""
    packages: list[PackageRow] = []
    extras: list[ExtraRow] = []
    extra_spec: str = ""
    scripts: list[ScriptRow] = []
    summary: list[Line] = []
    edits: str = ""
    preset_values: dict[str, str] = {}
    stand_ins: dict[str, str] = {}
    not_filled: list[str] = []
    draft_at: str = ""
    from_link: bool = False
    _choices: Choices | None = None
    _config: TemplateConfig = TemplateConfig(app="")
    _replaced: dict[str, kept.Replaced] = {}
    _revision_id: str = ""
    _revision_number: int = 0
    _job_template: str = ""
    _job_revision: int = 0
    _pushed: tuple[Address, ...] = ()

    # The request

    def _spec(self) -> ContainerSpec:
        """Validate the form. Raises ``InvalidInputError`` with every invalid field."""
        form = {**self.form, "hostname_pattern": ""} if self.edits else self.form
        return validate(
            fields.raw_of(
                form,
                revision_id=self._revision_id,
                packages=self.packages,
                extras=self.extras,
                scripts=self.scripts,
            )
        )

    def _several(self) -> Several | None:
        """The hostname pattern and address ranges of a batch. None for one container, also if a job is replaced."""
        return None if self.edits else Several.of(self.form)

    def _edited(self) -> UUID | None:
        """The failed job to replace."""
        return uuid_of(self.edits, text.NO_SUCH_JOB) if self.edits else None

    def _filled(self) -> Filled:
        """The form as drafts, links and presets store it."""
        return Filled(
            form=dict(self.form),
            template_id=uuid_of(self.template_id, text.NO_SUCH_TEMPLATE) if self.template_id else None,
            template_name=self.template_name,
            packages_off=tuple(row.key for row in self.packages if not row.on),
            extras=tuple((row.manager, row.spec) for row in self.extras),
            scripts=tuple(row.name for row in self.scripts),
            scripts_off=tuple(row.name for row in self.scripts if not row.on),
        )

    async def _keep_draft(self) -> None:
        """Store the draft, so that another tab, or this one after a restart of the server, can continue."""
        await filled.keep_draft(runtime(), session(), self._filled(), reached=self.reached, edits=self._edited())

    async def _forget_draft(self) -> None:
        self.draft_at = ""
        await filled.discard_draft(runtime(), session(), edits=self._edited())

    # Filling in

    def _clear(self) -> None:
        self.form, self.initial, self.preset_values, self.not_filled, self.draft_at = {}, {}, {}, [], ""
        self.extras, self.extra_spec, self.reached, self.step = [], "", 0, STEPS[0]
        self.from_link = False
        self._rebuild("password", "extra_spec")

    async def _fill(self, filled: Filled) -> None:
        """Select the template, then fill in the fields. List in ``not_filled`` what no longer exists."""
        template_id = str(filled.template_id or "")
        is_there = template_id in {"", *(row.id for row in self.templates)}
        self.not_filled = [] if is_there else [kept.template_gone(filled.template_name)]
        await self._take_template(template_id if is_there else "")
        node = filled.form.get("node", "")
        offered = self._choices
        if offered is None or node != self.form["node"]:
            offered = await self._offer(node)
        self._fit_to(offered)
        form = {**self.form, **{name: value for name, value in filled.form.items() if name in self.initial}}
        changed = fields.replace_missing(form, offered, of_node(offered, self._config))
        self.not_filled += kept.fallback_notes(form, changed)
        self.form = {**form, **changed}
        self.extras = kept.extras(filled)
        self.packages = kept.packages(self.packages, filled)
        self.scripts, gone = kept.scripts(self.scripts, filled)
        self.not_filled += gone if is_there else []
        self._rebuild(*self.form, "extra_spec")

    async def _take_template(self, template_id: str) -> None:
        """Select a template, or none. Fields that the user changed keep their values."""
        detail = await template_detail(template_id)
        offered = self._choices or await self._offer("")
        fresh = defaults(detail.summary if detail else None, offered)
        self._config = detail.summary.config if detail else TemplateConfig(app="")
        typed = {name: value for name, value in self.form.items() if value != self.initial.get(name, value)}
        before, self.initial = self.form, fresh
        self.form = {**fresh, **{name: value for name, value in typed.items() if name in fresh}}
        self._rebuild(*(name for name, value in self.form.items() if before.get(name) != value))
        self.template_id = template_id
        self.template_name = f"{detail.summary.name} r{detail.summary.revision_number}" if detail else ""
        self._revision_id = str(detail.summary.revision_id) if detail else ""
        self._revision_number = detail.summary.revision_number if detail else 0
        self.packages = fields.package_rows(detail) if detail else []
        self.scripts = fields.script_rows(detail) if detail else []
        self._mark({})

    async def _offer(self, node: str) -> Choices:
        """Ask PVE for the choices of a node. If it is empty or down, use the node with the most free memory."""
        self._choices = await choices.choices(runtime(), session(), node)
        return self._choices

    def _fit_to(self, offered: Choices) -> list[str]:
        """Replace values that the node does not have. Return the names of the changed fields."""
        initial, form = fields.fit_to_node(self.form, self.initial, offered, self._config)
        self._replaced = kept.replaced_choices(self.form, self.initial, form)
        self.initial.update(initial)
        self.form.update(form)
        return list(form)

    # Showing

    def _draw(self) -> None:
        """Set the vars derived from the form, here and in the parts."""
        offered = self._choices
        self._set(
            summary=summary_lines(self.form, self.template_name, offered),
            stand_ins=kept.stand_in_notes(self.form, offered, self._config, self._replaced) if offered else {},
        )
        for part in self._wizard().substates.values():
            if isinstance(part, WizardPart):
                part._on_draw()

    def _set(self, **values: Any) -> None:
        """Set only the vars that differ, because each one that is set is sent."""
        for name, value in values.items():
            if getattr(self, name) != value:
                setattr(self, name, value)

    def _wizard(self) -> WizardState:
        """The ``WizardState`` itself, also when called on a part."""
        parent = self.parent_state
        return parent if isinstance(parent, WizardState) else self

    def _rebuild(self, *names: str) -> None:
        """Make the page rebuild these inputs with the server's values."""
        for name in names:
            self.versions[name] = self.versions.get(name, 0) + 1

    def _mark(self, faults: Mapping[str, str]) -> None:
        """Show only these faults."""
        self._set(errors=dict(faults), invalid_steps=fields.steps_of(faults))

    def _changed(self, name: str) -> None:
        """Hide the fault of a field that has a new value, and draw."""
        self._mark({field: fault for field, fault in self.errors.items() if field != name})
        self._draw()

    def _refuse(self, faults: Mapping[str, str]) -> Any:
        """Show the faults, and the first step with an invalid field. Return the event to follow."""
        self._mark(fields.shown_faults(faults))
        self.step = self.invalid_steps[0]
        self.refusals += 1
        return self._go_there()

    def _other_revision(self) -> int:
        """The revision that the failed job used, if the template has another one now; else 0."""
        is_same_template = bool(self.edits) and self.template_id == self._job_template
        return self._job_revision if is_same_template and self._job_revision != self._revision_number else 0

    # Steps

    def _move_to(self, step: str) -> None:
        self.step = step
        self.reached = max(self.reached, STEPS.index(step))

    def _go_there(self, *, replace: bool = False) -> Any:
        """Send the browser to the address of the shown step, without a link. None if it is already there."""
        is_start = self.step == STEPS[0] and not self.template_id
        here = Address("" if is_start else self.step, self.template_id, self.edits)
        parameters = self.router.url.query_parameters
        there = Address.of(parameters)
        if here == there and not parameters.get("from"):
            return None
        self._has_arrived(there)
        self._pushed = (*self._pushed, here)[-PUSHED_MAX:]
        return rx.redirect(routes.create(here.template, here.step, edit=here.edit), replace=replace)

    def _is_own(self, address: Address) -> bool:
        """Whether the wizard sent the browser to this address. Then it already shows that step, or a later one."""
        own = self._has_arrived(address)
        if not own:
            self._pushed = ()
        return own

    def _has_arrived(self, address: Address) -> bool:
        """Whether the address was in ``_pushed``. Removes it and those before it, whose loads may have been cut off."""
        arrived = address in self._pushed
        if arrived:
            self._pushed = self._pushed[self._pushed.index(address) + 1 :]
        return arrived


async def template_detail(template_id: str) -> TemplateDetail | None:
    """The template, or None for no template. Raises ``NotFoundError``."""
    if not template_id:
        return None
    return await catalog.get_template(session(), runtime().db, uuid_of(template_id, text.NO_SUCH_TEMPLATE))
