"""The wizard: five steps at the left, the form in the middle, what will be made at the right."""

from __future__ import annotations

from typing import Any

import reflex as rx

from lxc_dashboard import routes, text
from lxc_dashboard.components import wizard as part
from lxc_dashboard.components import wizard_begun as begun
from lxc_dashboard.components import wizard_lists as lists
from lxc_dashboard.components.blocks import missing_block, note, page_states, panel
from lxc_dashboard.components.controls import badge, button
from lxc_dashboard.components.widgets import confirm_button
from lxc_dashboard.components.wizard_appliances import appliance_search
from lxc_dashboard.components.wizard_command import as_commands
from lxc_dashboard.components.wizard_mounts import mount_list
from lxc_dashboard.components.wizard_presets import presets_button
from lxc_dashboard.components.wizard_proposal import proposal
from lxc_dashboard.components.wizard_several import one_only, planned, several_block
from lxc_dashboard.pages.shell import page
from lxc_dashboard.state.create import CreateState
from lxc_dashboard.state.templates.template_list import TemplateRow
from lxc_dashboard.state.wizard import STEPS


def _actions() -> rx.Component:
    start_again = confirm_button(
        text.START_OVER,
        title=text.START_OVER_TITLE,
        consequence=text.START_OVER_CONSEQUENCE,
        verb=text.START_OVER,
        kind="plain",
        on_confirm=CreateState.start_again,
    )
    return rx.cond(CreateState.phase == "ready", rx.fragment(presets_button(), begun.link_button(), start_again))


@page(
    routes.CREATE,
    text.CREATE_TITLE,
    crumbs=((text.NAV_CONTAINERS, routes.CONTAINERS),),
    on_load=[CreateState.load, CreateState.resume_download, CreateState.watch_review],
    actions=_actions,
)
def create() -> rx.Component:
    gone = missing_block(CreateState.problem.cause, text.MISSING_BEGUN_DETAIL, text.NEW_CONTAINER, routes.CREATE)
    return page_states(CreateState, _wizard, missing=gone, retry=CreateState.load)


def _wizard() -> rx.Component:
    return rx.el.div(begun.notes(), _form(), proposal(), class_name="stack")


def _form() -> rx.Component:
    return rx.el.div(
        _steps(),
        rx.el.form(
            part.hidden_marks(),
            _step("template", _template_step()),
            _step("configure", _configure_step()),
            _step("packages", _packages_step()),
            _step("scripts", _scripts_step()),
            _step("review", _review_step()),
            rx.el.div(
                button(text.BACK, on_click=CreateState.back, disabled=CreateState.step == STEPS[0]),
                _forward(),
                class_name="wizard-foot",
            ),
            on_submit=CreateState.forward,
            class_name="wizard-form",
            id=part.FORM_ID,
            no_validate=True,
        ),
        rx.el.aside(panel(text.SUMMARY, lists.summary_list()), class_name="wizard-aside"),
        part.guide(),
        class_name="wizard",
    )


def _forward() -> rx.Component:
    last = CreateState.step == STEPS[-1]
    label = rx.cond(last, rx.cond(CreateState.creating, text.CREATING, text.CREATE), text.NEXT)
    waiting = CreateState.creating | (last & (CreateState.checking | CreateState.blocked))
    return button(label, kind="primary", type="submit", disabled=waiting, id="forward")


def _steps() -> rx.Component:
    return rx.el.nav(
        rx.el.ol(*(_step_entry(index, name) for index, name in enumerate(STEPS)), class_name="wizard-steps"),
        aria_label=text.WIZARD_STEPS,
    )


def _step_entry(index: int, name: str) -> rx.Component:
    """Done, current, or to mend: told by a sign, and by the name for readers."""
    title = text.STEP_NAMES[name]
    current = CreateState.step == name
    wrong = CreateState.to_mend.contains(name)
    done = (CreateState.reached > index) & ~current
    sign = rx.cond(wrong, "!", rx.cond(done, "✓", str(index + 1)))
    looks = rx.cond(current, "tree-entry wizard-step current", "tree-entry wizard-step") + rx.cond(wrong, " bad", "")
    return rx.el.li(
        rx.el.button(
            rx.el.span(sign, class_name="wizard-number", aria_hidden=True),
            title,
            type="button",
            class_name=looks,
            disabled=CreateState.reached < index,
            on_click=CreateState.go(name),
            aria_label=rx.cond(wrong, text.STEP_TO_MEND.format(step=title), title),
            custom_attrs={"aria-current": rx.cond(current, "step", "false")},
        )
    )


def _step(name: str, content: rx.Component) -> rx.Component:
    return rx.el.section(
        content,
        hidden=CreateState.step != name,
        aria_label=text.STEP_NAMES[name],
        id=f"step-{name}",
        tab_index=-1,
        class_name="wizard-section",
    )


def _template_step() -> rx.Component:
    return rx.el.div(
        rx.cond(
            CreateState.templates.length() > part.EASILY_SEEN,
            rx.el.input(
                id=part.FIND_ID,
                type="search",
                class_name="input filter",
                aria_label=text.FIND_TEMPLATE,
                placeholder=text.FIND_TEMPLATE,
                auto_complete="off",
            ),
        ),
        rx.el.div(
            _template_card("", text.NO_TEMPLATE, text.NO_TEMPLATE_HINT, ""),
            rx.foreach(CreateState.templates, _template_row),
            class_name="template-cards",
            role="radiogroup",
            aria_label=text.TEMPLATE,
        ),
        rx.el.p(text.NO_TEMPLATE_MATCHES, id=f"{part.FIND_ID}-none", class_name="soft", role="status", hidden=True),
        part.step_error("revision_id"),
        class_name="stack-small",
    )


def _template_row(row: rx.Var[TemplateRow]) -> rx.Component:
    trouble = rx.cond(row.trouble != "", badge(row.trouble, tone="warm"))
    known_os = rx.cond(row.os != "", badge(row.os))
    return _template_card(row.id, row.name, row.description, row.holds, known_os, badge(row.revision), trouble)


def _template_card(template_id: Any, name: Any, description: Any, holds: Any, *marks: rx.Component) -> rx.Component:
    chosen = CreateState.template_id == template_id
    return rx.el.label(
        rx.el.input(
            type="radio",
            name="template_choice",
            checked=chosen,
            on_change=lambda _value: CreateState.choose(template_id),
        ),
        rx.el.span(name, class_name="template-name"),
        *([rx.el.span(*marks, class_name="row")] if marks else []),
        rx.el.span(description, class_name="soft"),
        rx.el.span(holds, class_name="soft"),
        class_name=rx.cond(chosen, "template-card current", "template-card"),
    )


def _configure_step() -> rx.Component:
    return rx.el.div(
        rx.cond(
            CreateState.missing.length() > 0,
            note(text.NOT_OFFERED, rx.el.ul(rx.foreach(CreateState.missing, rx.el.li)), tone="warm"),
        ),
        _essential(),
        several_block(),
        _fields(
            text.ACCESS,
            part.entry("password_mode"),
            part.password_field(),
            part.entry("ssh_keys"),
        ),
        _fields(
            text.NETWORK,
            part.choice_field("bridge", CreateState.bridges.length() > 0, rx.foreach(CreateState.bridges, part.option)),
            part.entry("vlan"),
            part.entry("ipv4_mode"),
            _if_static("ipv4", one_only(part.entry("ipv4_address"))),
            _if_static("ipv4", part.range_field("ipv4")),
            _if_static("ipv4", part.entry("ipv4_gateway")),
        ),
        mount_list(),
        rx.el.details(rx.el.summary(text.ADVANCED), _advanced(), class_name="advanced"),
        class_name="stack",
    )


def _essential() -> rx.Component:
    present, downloads = CreateState.os_present, CreateState.os_downloads
    groups = (
        rx.cond(present.length() > 0, rx.el.optgroup(rx.foreach(present, part.option), label=text.OS_PRESENT)),
        rx.cond(downloads.length() > 0, rx.el.optgroup(rx.foreach(downloads, part.option), label=text.TO_DOWNLOAD)),
    )
    return rx.el.div(
        _fields(
            text.ESSENTIAL,
            one_only(part.entry("hostname")),
            part.select_field("node", rx.foreach(CreateState.nodes, part.option), on_change=CreateState.change_node),
            part.choice_field("ostemplate", (present.length() + downloads.length()) > 0, *groups),
            part.entry("cores"),
            part.entry("memory_mib"),
            part.entry("disk_gib"),
            part.choice_field(
                "storage", CreateState.storages.length() > 0, rx.foreach(CreateState.storages, part.option)
            ),
            part.entry("vmid", placeholder=CreateState.next_vmid),
        ),
        appliance_search(),
        class_name="stack-small",
    )


def _if_static(family: str, control: rx.Component) -> rx.Component:
    return rx.el.div(control, hidden=CreateState.form[f"{family}_mode"] != "static")


def _advanced() -> rx.Component:
    return rx.el.div(
        part.entry("swap_mib"),
        part.entry("ipv6_mode"),
        _if_static("ipv6", one_only(part.entry("ipv6_address"))),
        _if_static("ipv6", part.range_field("ipv6")),
        _if_static("ipv6", part.entry("ipv6_gateway")),
        part.entry("nameserver"),
        part.entry("searchdomain"),
        part.entry("mtu"),
        part.choice_field(
            "pool",
            CreateState.pools.length() > 0,
            rx.el.option(text.NO_POOL, value=""),
            rx.foreach(CreateState.pools, part.option),
        ),
        part.entry("tags"),
        part.entry("start_order"),
        *(part.entry(name) for name in ("unprivileged", "nesting", "keyctl", "fuse", "firewall", "onboot")),
        part.entry("pause_after_create"),
        part.entry("description"),
        class_name="fields",
    )


def _fields(title: str, *controls: rx.Component) -> rx.Component:
    return rx.el.fieldset(rx.el.legend(title, class_name="fields-title"), rx.el.div(*controls, class_name="fields"))


def _packages_step() -> rx.Component:
    return rx.el.div(
        panel(text.PACKAGES_OF_TEMPLATE, part.package_list()),
        panel(text.EXTRA_PACKAGES, part.extra_packages()),
        class_name="stack",
    )


def _scripts_step() -> rx.Component:
    return rx.el.div(
        rx.el.p(text.SCRIPTS_LEAD, class_name="soft"),
        lists.script_list(),
        part.step_error("scripts"),
        class_name="stack",
    )


def _review_step() -> rx.Component:
    again = button(text.CHECK_AGAIN, small=True, on_click=CreateState.check_now, disabled=CreateState.checking)
    return rx.el.div(
        panel(text.PREFLIGHT, lists.findings(), actions=rx.el.div(lists.checked_at(), again, class_name="row")),
        planned(),
        panel(text.REVIEW, lists.review_list()),
        as_commands(),
        class_name="stack",
    )
