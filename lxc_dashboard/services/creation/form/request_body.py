"""A container as an API caller describes it. What is left out is the template's, then the node's.

The fields are those of ``FIELDS`` with ``in_api``, checked by the same ``validate`` as the wizard's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form.choices import Choices, choices, split_os_template
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.defaults import defaults, system_missing
from lxc_dashboard.services.creation.form.fields import BY_NAME
from lxc_dashboard.services.creation.form.spec import ContainerSpec, PasswordMode, Secrets
from lxc_dashboard.services.creation.form.validation import check_password, validate
from lxc_dashboard.services.templates.library import catalog as templates

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.templates.summaries import TemplateSummary


async def completed(rt: Runtime, session: Session, given: Mapping[str, Any]) -> tuple[ContainerSpec, Secrets]:
    """The whole spec, completed as the wizard would do it, and the password if one is given.

    Raises ``InvalidInputError`` with all faults by field, ``UnreachableError``, ``NotFoundError`` (no node is online).
    """
    faults = {name: fault for name, value in given.items() if (fault := _fault(name, value))}
    sound = {name: value for name, value in given.items() if name not in faults}
    summary = await _template(rt, session, sound.get("template", ""), faults)
    offered = await choices(rt, session, str(sound.get("node", "")))
    spec = _validated(sound, summary, offered, faults)
    password = sound.get("password")
    mode = _password_mode(sound)
    try:
        check_password(mode, password)
    except InvalidInputError as error:
        faults = {**error.reasons, **faults}
    if faults or spec is None:
        raise InvalidInputError(faults)
    return spec, Secrets(password if mode is PasswordMode.GIVEN else None)


def _fault(name: str, value: Any) -> Message | None:
    row = BY_NAME.get(name)
    if row is None or not row.in_api:
        return Message.of(FieldCode.UNKNOWN)
    try:
        msgspec.convert(value, row.json)
    except msgspec.ValidationError as error:
        said = Message(text=str(error).replace("`", ""))
        return Message.of(FieldCode.NOT_ONE_OF, choices=row.choices) if row.choices else said
    return None


async def _template(rt: Runtime, session: Session, name: str, faults: dict[str, Message]) -> TemplateSummary | None:
    if not name.strip():
        return None
    try:
        return templates.named(await templates.list_templates(session, rt.db), name.strip(), "template")
    except InvalidInputError as error:
        faults |= error.reasons
        return None


def _validated(
    sound: Mapping[str, Any], summary: TemplateSummary | None, offered: Choices, faults: dict[str, Message]
) -> ContainerSpec | None:
    if summary and "ostemplate" not in sound and (missing := system_missing(offered, summary.config)):
        faults.setdefault("ostemplate", _lacks_system(summary.name, missing, offered))
    form = {**defaults(summary, offered), **sound}
    ostemplate, download = split_os_template(form["ostemplate"])
    raw = {
        "ostemplate_download": download,
        **form,
        "ostemplate": ostemplate,
        "password_mode": _password_mode(sound).value,
        "revision_id": summary.revision_id if summary else None,
    }
    try:
        return validate(raw)
    except InvalidInputError as error:
        for name, fault in error.reasons.items():
            faults.setdefault(name, fault)
        return None


def _lacks_system(name: str, system: str, offered: Choices) -> Message:
    code = FieldCode.SYSTEM_UNSEEN if offered.hides_storages else FieldCode.SYSTEM_MISSING
    return Message.of(code, template=name, system=system, node=offered.node)


def _password_mode(sound: Mapping[str, Any]) -> PasswordMode:
    """``given`` if there is a password, else as in the wizard."""
    usual = PasswordMode.GIVEN if "password" in sound else BY_NAME["password_mode"].start
    return PasswordMode(sound.get("password_mode", usual))
