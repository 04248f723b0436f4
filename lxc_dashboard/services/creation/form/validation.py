"""Validate the input of a form or an API caller into a ``ContainerSpec``, with a message for each invalid field.

An API caller uses the fields of ``FIELDS`` with ``in_api``. Missing ones get the template's value, then the node's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form.choices import Choices, choices, defaults, split_os_template, system_missing
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.fields import BY_NAME, FIELDS
from lxc_dashboard.services.creation.form.readers import Form, WrongError, password
from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpSettings, PasswordMode, Secrets
from lxc_dashboard.services.templates.library import catalog as templates

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.templates.model import TemplateSummary


def validate(raw: Mapping[str, object]) -> ContainerSpec:
    """Read all fields of ``FIELDS`` that a spec has.

    Accepts text of a form too: ``"2"``, ``"on"``, tags and keys in one string, ``mounts`` as JSON. Checks no secrets
    (see ``check_password``). Raises ``InvalidInputError`` with every invalid field.
    """
    form = Form(raw)
    values: dict[str, Any] = {}
    for row in FIELDS:
        if row.in_spec:
            values[row.name] = form.take(row.name, row.read, row.default) if row.counts(values) else row.default
    for family in ("ipv4", "ipv6"):
        values[family] = IpSettings(*(values.pop(f"{family}_{part}") for part in ("mode", "address", "gateway")))
    spec = ContainerSpec(**values)
    _check_together(form, spec)
    if form.faults:
        raise InvalidInputError(form.faults)
    return spec


def check_password(mode: PasswordMode, value: str | None) -> None:
    """Raises ``InvalidInputError`` for ``password``. Its reason never contains the password."""
    if mode is not PasswordMode.GIVEN:
        return
    try:
        password(value)
    except WrongError as wrong:
        raise InvalidInputError({"password": wrong.reason}) from None


def _check_together(form: Form, spec: ContainerSpec) -> None:
    if spec.revision_id is None:
        for name in ("packages_off", "scripts"):
            if getattr(spec, name):
                form.faults.setdefault(name, Message.of(FieldCode.NEEDS_TEMPLATE))
    if spec.ostemplate_download and not spec.ostemplate.endswith(f"/{spec.ostemplate_download}"):
        form.faults.setdefault("ostemplate_download", Message.of(FieldCode.OTHER_OSTEMPLATE))
    for family, ip in (("ipv4", spec.ipv4), ("ipv6", spec.ipv6)):
        if ip.gateway and ip.address and ipaddress.ip_interface(ip.address).ip == ipaddress.ip_address(ip.gateway):
            form.faults.setdefault(f"{family}_gateway", Message.of(FieldCode.GATEWAY_IS_OWN))


async def completed(rt: Runtime, session: Session, given: Mapping[str, Any]) -> tuple[ContainerSpec, Secrets]:
    """The spec with missing fields filled in as by the wizard, and the password if one is given.

    Raises ``InvalidInputError`` with every invalid field, ``UnreachableError``, ``ConflictError`` if no node is online.
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
    """``given`` if there is a password, else the wizard's initial value. An explicit mode wins."""
    usual = PasswordMode.GIVEN if "password" in sound else BY_NAME["password_mode"].start
    return PasswordMode(sound.get("password_mode", usual))
