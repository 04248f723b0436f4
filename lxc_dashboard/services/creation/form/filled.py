"""The wizard's input, valid or not, as drafts, links and presets store it. It contains no secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import msgspec

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form.choices import DOWNLOAD_PREFIX
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.fields import FIELDS

if TYPE_CHECKING:
    from lxc_dashboard.services.creation.form.spec import ContainerSpec
    from lxc_dashboard.services.templates.summaries import TemplateDetail

MAX_FIELDS: Final = 100
MAX_ITEMS: Final = 2000
VALUE_CHARS: Final = 32_768
NAME_CHARS: Final = 512
SECRETS: Final = frozenset(row.name for row in FIELDS if row.is_secret)

_Name = Annotated[str, msgspec.Meta(max_length=NAME_CHARS)]
_Value = Annotated[str, msgspec.Meta(max_length=VALUE_CHARS)]
_Form = Annotated[dict[_Name, _Value], msgspec.Meta(max_length=MAX_FIELDS)]
_Names = Annotated[tuple[_Name, ...], msgspec.Meta(max_length=MAX_ITEMS)]
_Pairs = Annotated[tuple[tuple[_Name, _Name], ...], msgspec.Meta(max_length=MAX_ITEMS)]


class Filled(msgspec.Struct, frozen=True, omit_defaults=True):
    """``form``: the text of each field. ``packages_off``: ``bucket/manager/spec``. ``extras``: manager and spec.

    ``scripts``: all names in the chosen order. ``scripts_off``: those that do not run.
    """

    form: _Form = {}
    template_id: UUID | None = None
    template_name: _Name = ""
    packages_off: _Names = ()
    extras: _Pairs = ()
    scripts: _Names = ()
    scripts_off: _Names = ()

    def to_json(self) -> dict[str, Any]:
        """JSON with the same keys, without those that have their default."""
        found: dict[str, Any] = msgspec.to_builtins(without_secrets(self))
        return found

    @classmethod
    def from_json(cls, raw: object) -> Filled:
        """Raises ``InvalidInputError`` for ``filled`` if the JSON has the wrong shape or exceeds the limits above."""
        try:
            return without_secrets(msgspec.convert(raw, cls))
        except msgspec.ValidationError as error:
            unreadable = Message.of(FieldCode.UNREADABLE)
            raise InvalidInputError({"filled": unreadable}, unreadable) from error

    def without(self, *names: str) -> Filled:
        """A copy without these fields of the form."""
        return msgspec.structs.replace(self, form=_without(self.form, names))


def without_secrets(filled: Filled) -> Filled:
    return filled.without(*SECRETS)


def _without(form: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """Replace lone surrogates by ``?``, because UTF-8 cannot encode them. A browser that cuts a text can send one."""
    return {name: value.encode("utf-8", "replace").decode() for name, value in form.items() if name not in names}


def filled_of(spec: ContainerSpec, detail: TemplateDetail | None) -> Filled:
    """The wizard's input that gives ``spec``. ``detail``: its template now; None without a template."""
    runs = spec.scripts
    names = [script.name for script in detail.scripts] if detail else []
    return Filled(
        form=form_of(spec),
        template_id=detail.summary.id if detail else None,
        template_name=detail.summary.name if detail else "",
        packages_off=tuple(f"{ref.bucket}/{ref.manager.value}/{ref.spec}" for ref in spec.packages_off),
        extras=tuple((extra.manager.value, extra.spec) for extra in spec.packages_extra),
        scripts=() if runs is None else (*runs, *(name for name in names if name not in runs)),
        scripts_off=() if runs is None else tuple(name for name in names if name not in runs),
    )


def form_of(spec: ContainerSpec) -> dict[str, str]:
    """The form's text of each field of ``spec``. ``validate`` reads it back."""
    form = {row.name: row.write(row.of(spec)) for row in FIELDS if row.in_form and row.in_spec}
    return form | ({"ostemplate": f"{DOWNLOAD_PREFIX}{spec.ostemplate}"} if spec.ostemplate_download else {})
