"""What somebody has put into the wizard, right or not: what a draft, a link and a preset hold. It has no place for a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from lxc_dashboard.errors import InvalidInputError

MAX_FIELDS: Final = 100
MAX_ITEMS: Final = 2000
VALUE_CHARS: Final = 32_768
NAME_CHARS: Final = 512
SECRETS: Final = frozenset({"password"})
UNREADABLE: Final = "This is nothing that the wizard has written"

_Name = Annotated[str, msgspec.Meta(max_length=NAME_CHARS)]
_Value = Annotated[str, msgspec.Meta(max_length=VALUE_CHARS)]
_Form = Annotated[dict[_Name, _Value], msgspec.Meta(max_length=MAX_FIELDS)]
_Names = Annotated[tuple[_Name, ...], msgspec.Meta(max_length=MAX_ITEMS)]
_Pairs = Annotated[tuple[tuple[_Name, _Name], ...], msgspec.Meta(max_length=MAX_ITEMS)]


class Filled(msgspec.Struct, frozen=True, omit_defaults=True):
    """``form``: each field as it was typed. ``packages_off``: ``bucket/manager/spec``. ``extras``: manager and spec.

    ``scripts``: all names in the order chosen; ``scripts_off``: those that do not run.
    """

    form: _Form = {}
    template_id: UUID | None = None
    template_name: _Name = ""
    packages_off: _Names = ()
    extras: _Pairs = ()
    scripts: _Names = ()
    scripts_off: _Names = ()

    def to_json(self) -> dict[str, Any]:
        """JSON of the same keys, those at their defaults left out."""
        found: dict[str, Any] = msgspec.to_builtins(without_secrets(self))
        return found

    @classmethod
    def from_json(cls, raw: object) -> Filled:
        """Raises ``InvalidInputError`` (``filled``) for what is of another shape or beyond the bounds above."""
        try:
            return without_secrets(msgspec.convert(raw, cls))
        except msgspec.ValidationError as error:
            raise InvalidInputError({"filled": UNREADABLE}, UNREADABLE) from error

    def without(self, *names: str) -> Filled:
        """Without these fields of the form."""
        return msgspec.structs.replace(self, form=_without(self.form, names))


def without_secrets(filled: Filled) -> Filled:
    return filled.without(*SECRETS)


def _without(form: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """Half of a surrogate pair, as a form that cuts a text sends it, could not be written down: it is a ``?``."""
    return {name: value.encode("utf-8", "replace").decode() for name, value in form.items() if name not in names}
