"""The wizard's input, valid or not, as drafts, links and presets store it. It contains no secrets."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import msgspec
import structlog

from lxc_dashboard.errors import CryptoError, InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.creation.form.choices import DOWNLOAD_PREFIX
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.fields import FIELDS

if TYPE_CHECKING:
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.creation.form.spec import ContainerSpec
    from lxc_dashboard.services.templates.model import TemplateDetail

log = structlog.get_logger(__name__)

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


LIFETIME: Final = timedelta(days=30)
MAX_DRAFT_BYTES: Final = 256 << 10


class Draft(msgspec.Struct, frozen=True):
    """``reached``: the number of steps that are done."""

    filled: Filled
    kept_at: datetime
    reached: int = 0


_DRAFT_DECODER: Final = msgspec.json.Decoder(Draft)


async def keep_draft(
    rt: Runtime, session: Session, filled: Filled, *, reached: int = 0, edits: UUID | None = None
) -> bool:
    """Store a draft. False if it is too large: the old one stays. Raises ``ServiceUnavailableError``."""
    content = msgspec.json.encode(Draft(without_secrets(filled), datetime.now(UTC), reached))
    if len(content) > MAX_DRAFT_BYTES or _read(content) is None:
        return False
    key = _key(session, edits)
    sealed = rt.keyring.encrypt(content, table="wizard", column="draft", row=key)
    await rt.bus.set(key, sealed.encode(), ttl_s=LIFETIME.total_seconds())
    return True


async def find_draft(rt: Runtime, session: Session, *, edits: UUID | None = None) -> Draft | None:
    """The user's draft. None if there is none, or if it cannot be read."""
    key = _key(session, edits)
    sealed = await rt.bus.get(key)
    if sealed is None:
        return None
    try:
        content = rt.keyring.decrypt(sealed.decode(), table="wizard", column="draft", row=key)
    except CryptoError as error:
        log.warning("draft of the wizard cannot be decrypted", why=str(error))
        return None
    return _read(content)


async def discard_draft(rt: Runtime, session: Session, *, edits: UUID | None = None) -> None:
    await rt.bus.delete(_key(session, edits))


def _key(session: Session, edits: UUID | None) -> str:
    own = f"wizard:draft:{session.endpoint_id}:{session.userid}"
    return f"{own}:{edits}" if edits else own


def _read(content: bytes) -> Draft | None:
    try:
        return _DRAFT_DECODER.decode(content)
    except msgspec.DecodeError as error:
        log.warning("draft of the wizard is of another shape", why=str(error))
        return None


LINK_CHARS: Final = 1800
MAX_LINK_BYTES: Final = 64 << 10
VERSION: Final = "1"
# Left out first if the link is too long.
_LONG: Final = tuple(row.name for row in FIELDS if row.is_long)
_LISTS: Final = ("packages_off", "scripts_off", "scripts", "extras")
_CODED: Final = re.compile(rf"{VERSION}[A-Za-z0-9_-]{{1,{LINK_CHARS - 1}}}")
_LINK_DECODER: Final = msgspec.json.Decoder(Filled)


@dataclass(frozen=True, slots=True)
class Link:
    """``coded``: letters, digits, ``-`` and ``_``, at most ``LINK_CHARS``. ``left_out``: parts that did not fit."""

    coded: str
    left_out: tuple[str, ...] = ()


def encode_link(filled: Filled) -> Link:
    """Encode without secrets. Drop whole fields and lists, in the order of ``_by_length``, until the link fits."""
    left_out: list[str] = []
    kept = without_secrets(filled)
    coded = _coded(kept)
    for name in _by_length(kept):
        if len(coded) <= LINK_CHARS:
            break
        kept = msgspec.structs.replace(kept, **{name: ()}) if name in _LISTS else kept.without(name)
        left_out.append(name)
        coded = _coded(kept)
    return Link(coded, tuple(left_out))


def decode_link(coded: str) -> Filled | None:
    """Decode a link. None if it is invalid, cut off, too long, or of another version."""
    if not _CODED.fullmatch(coded):
        return None
    try:
        return without_secrets(_LINK_DECODER.decode(_unpacked(coded[len(VERSION) :])))
    except (ValueError, zlib.error, binascii.Error) as error:
        log.info("link to the wizard cannot be read", why=str(error)[:200])
        return None


def _coded(filled: Filled) -> str:
    packed = zlib.compress(msgspec.json.encode(filled), 9)
    return VERSION + base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")


def _unpacked(text: str) -> bytes:
    """Decompress. Raises ``ValueError`` if the content is over ``MAX_BYTES`` or cut off."""
    packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    stream = zlib.decompressobj()
    content = stream.decompress(packed, MAX_LINK_BYTES)
    if not stream.eof or stream.unused_data:
        raise ValueError("cut off, or too long")
    return content


def _by_length(filled: Filled) -> Iterator[str]:
    """The order in which ``encode`` drops parts: long texts, then fields by length, then lists."""
    yield from (name for name in _LONG if filled.form.get(name))
    others = [name for name in filled.form if name not in _LONG]
    yield from sorted(others, key=lambda name: (-len(filled.form[name]), name))
    yield from (name for name in _LISTS if getattr(filled, name))
