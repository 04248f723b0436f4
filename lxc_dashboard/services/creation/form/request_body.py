"""A container described in a few words, as an API caller does: what is not said is the template's, or the node's.

The fields are the wizard's, checked by the same ``validate``; besides them ``template`` and ``password``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.services.creation.form.choices import Choices, choices, split_os_template
from lxc_dashboard.services.creation.form.defaults import defaults, system_missing
from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpMode, PasswordMode
from lxc_dashboard.services.creation.form.validation import check_password, validate
from lxc_dashboard.services.creation.request import Secrets
from lxc_dashboard.services.templates.library import catalog as templates

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.templates.summaries import TemplateSummary

# What the spec holds in another shape than a caller says it.
_SHAPED: Final = frozenset({"ipv4", "ipv6", "revision_id"})
NO_FIELD: Final = "There is no such field"
_LISTS_AS_TEXT: Final = frozenset({"ssh_keys", "tags"})
_BESIDES: Final[Mapping[str, Any]] = {
    "template": str,
    "password": str,
    **dict.fromkeys(("ipv4_mode", "ipv6_mode"), IpMode),
    **dict.fromkeys(("ipv4_address", "ipv4_gateway", "ipv6_address", "ipv6_gateway"), str),
}


def _said(name: str, hint: Any) -> Any:
    """The JSON that a field takes: numbers, flags and some lists may come as text, as from a form."""
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if NoneType in get_args(hint) else [hint]
    kind = kinds[0]
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return list[item] | str if name in _LISTS_AS_TEXT else list[item]  # type: ignore[valid-type]  # made at run time
    return kind | str if kind in {int, bool} else kind


def _fields() -> dict[str, Any]:
    hints = get_type_hints(ContainerSpec)
    of_spec = {f.name: _said(f.name, hints[f.name]) for f in dataclass_fields(ContainerSpec) if f.name not in _SHAPED}
    return {**_BESIDES, **of_spec}


# By name, the type that msgspec reads it as.
FIELDS: Final[Mapping[str, Any]] = _fields()


async def completed(rt: Runtime, session: Session, given: Mapping[str, Any]) -> tuple[ContainerSpec, Secrets]:
    """The whole spec, as the wizard would have filled it in, and the password where one is given.

    Raises ``InvalidInputError`` with all that is wrong by field, ``UnreachableError``, ``NotFoundError`` (no node is online).
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
        faults = {**error.fields, **faults}
    if faults or spec is None:
        raise InvalidInputError(faults)
    return spec, Secrets(password if mode is PasswordMode.GIVEN else None)


def _fault(name: str, value: Any) -> str:
    wanted = FIELDS.get(name)
    if wanted is None:
        return NO_FIELD
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        if isinstance(wanted, type) and issubclass(wanted, Enum):
            return f"One of {', '.join(str(member.value) for member in wanted)}"
        return str(error).replace("`", "")
    return ""


async def _template(rt: Runtime, session: Session, name: str, faults: dict[str, str]) -> TemplateSummary | None:
    if not name.strip():
        return None
    try:
        return templates.named(await templates.list_templates(session, rt.db), name.strip(), "template")
    except InvalidInputError as error:
        faults |= error.fields
        return None


def _validated(
    sound: Mapping[str, Any], summary: TemplateSummary | None, offered: Choices, faults: dict[str, str]
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
        for name, fault in error.fields.items():
            faults.setdefault(name, fault)
        return None


def _lacks_system(name: str, system: str, offered: Choices) -> str:
    if offered.hides_storages:
        return (
            f"{name} is made for {system}, which no storage that you see on {offered.node} has. Name another OS template, "
            "or have Datastore.Audit granted to you at the storage that has it (/storage/NAME)"
        )
    return f"{name} is made for {system}, which {offered.node} has not: name another"


def _password_mode(sound: Mapping[str, Any]) -> PasswordMode:
    """A password that is said is meant; without any word one is made, as in the wizard."""
    usual = PasswordMode.GIVEN if "password" in sound else PasswordMode.GENERATED
    return PasswordMode(sound.get("password_mode", usual))
