"""From what a form or an API caller sent to a ``ContainerSpec``, with a message for each wrong field."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.fields import FIELDS
from lxc_dashboard.services.creation.form.readers import Form, WrongError, password
from lxc_dashboard.services.creation.form.spec import ContainerSpec, IpSettings, PasswordMode


def validate(raw: Mapping[str, object]) -> ContainerSpec:
    """Read all fields of ``FIELDS`` that a spec has.

    Takes text of a form too: ``"2"``, ``"on"``, tags and keys in one string, ``mounts`` as JSON. Raises ``InvalidInputError``
    naming every wrong field. Secrets are checked apart (``check_password``).
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
    """Raises ``InvalidInputError`` for ``password``. Its reason never holds the password."""
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
