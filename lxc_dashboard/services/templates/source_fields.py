"""What may be said of a git source, field by field."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from lxc_dashboard.db.repositories.sources import GitSecrets
from lxc_dashboard.errors import GuestError, HostKeyError, InvalidInputError
from lxc_dashboard.guest.keys import fingerprint_of_pin, private_key_of
from lxc_dashboard.services.templates.git.address import GitAddress, check_ref, check_subfolder, parse_address

T = TypeVar("T")

SHORTEST_EVERY_S: Final = 60
LONGEST_EVERY_S: Final = 7 * 24 * 3600
MAX_SECRET_CHARS: Final = 4096
MAX_KEY_CHARS: Final = 32_768
MAX_HOST_KEY_CHARS: Final = 4096
WEBHOOK_SECRET_CHARS: Final = (16, 256)
RESERVED_NAMES: Final = frozenset({"shipped", "templates-dir", "custom", "imported"})

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,62}")


@dataclass(frozen=True, slots=True)
class WantedSource:
    """A git source as a person describes it. ``every_s``: read again after so many seconds, 0: only when asked.

    ``host_key``: of an SSH server, as it was shown and confirmed; empty: the one that is pinned already. ``secrets`` and
    ``webhook_secret``: None keeps what there is, empty forgets it.
    """

    name: str
    location: str
    ref: str = ""
    subfolder: str = ""
    every_s: int = 0
    host_key: str = ""
    secrets: GitSecrets | None = None
    webhook_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class KnownSource:
    """What there is before a change."""

    location: str
    host_key: str
    secrets: GitSecrets


@dataclass(frozen=True, slots=True)
class CheckedSource:
    """Fit to be stored."""

    name: str
    address: GitAddress
    ref: str
    subfolder: str
    every_s: int
    host_key: str
    secrets: GitSecrets
    webhook_secret: str | None = field(default=None, repr=False)


def check_source(wanted: WantedSource, known: KnownSource | None = None) -> CheckedSource:
    """Raises ``InvalidInputError`` with each field that is wrong: those of ``WantedSource``, ``username``, ``password``, ``private_key``."""
    faults: dict[str, str] = {}
    address = _caught(faults, lambda: parse_address(wanted.location))
    ref = _caught(faults, lambda: check_ref(wanted.ref))
    subfolder = _caught(faults, lambda: check_subfolder(wanted.subfolder))
    name = wanted.name.strip()
    if not _NAME.fullmatch(name):
        faults["name"] = "must be 1 to 63 letters, digits and . _ -, the first of them no mark"
    elif name in RESERVED_NAMES:
        faults["name"] = "is the dashboard's own name for another source"
    if wanted.every_s and not SHORTEST_EVERY_S <= wanted.every_s <= LONGEST_EVERY_S:
        faults["every_s"] = "must be between a minute and a week"
    _check_webhook_secret(wanted.webhook_secret, faults)
    if address is None or ref is None or subfolder is None:
        raise InvalidInputError(faults)
    secrets = _secrets(wanted, known, address, faults)
    host_key = _host_key(wanted, known, address, faults)
    if faults:
        raise InvalidInputError(faults)
    return CheckedSource(name, address, ref, subfolder, wanted.every_s, host_key, secrets, wanted.webhook_secret)


def _caught(faults: dict[str, str], check: Callable[[], T]) -> T | None:
    try:
        return check()
    except InvalidInputError as error:
        faults.update(error.fields)
        return None


def _check_webhook_secret(secret: str | None, faults: dict[str, str]) -> None:
    least, most = WEBHOOK_SECRET_CHARS
    if secret and not (least <= len(secret) <= most and secret.isascii() and secret.isprintable()):
        faults["webhook_secret"] = f"must be {least} to {most} letters, digits and marks"


def _secrets(
    wanted: WantedSource, known: KnownSource | None, address: GitAddress, faults: dict[str, str]
) -> GitSecrets:
    """Those to be used from now on: of the address's own kind only."""
    secrets = wanted.secrets
    if secrets is None:
        secrets = known.secrets if known else GitSecrets()
        if known and not secrets.is_empty and not parse_address(known.location).is_same_repository(address):
            which = "private_key" if address.scheme == "ssh" else "password"
            faults[which] = "must be given again: what is stored was given for another address"
    if address.scheme == "ssh":
        _check_key(secrets.private_key, faults)
        return GitSecrets(private_key=secrets.private_key)
    if address.scheme == "https":
        _check_password(secrets, faults)
        return GitSecrets(secrets.username, secrets.password)
    return GitSecrets()


def _check_key(key: str, faults: dict[str, str]) -> None:
    if not key:
        faults.setdefault("private_key", "is needed: SSH is opened with a key")
        return
    if len(key) > MAX_KEY_CHARS:
        faults["private_key"] = f"must be at most {MAX_KEY_CHARS:,} characters"
        return
    try:
        private_key_of(key)
    except GuestError:
        faults["private_key"] = "cannot be read: an Ed25519, ECDSA or RSA key without passphrase is needed"


def _check_password(secrets: GitSecrets, faults: dict[str, str]) -> None:
    for name, value in (("username", secrets.username), ("password", secrets.password)):
        if len(value) > MAX_SECRET_CHARS or not value.isprintable():
            faults[name] = f"must be at most {MAX_SECRET_CHARS:,} characters without line ends"
    if ":" in secrets.username:
        faults["username"] = "must hold no colon"
    if secrets.username and not secrets.password:
        faults.setdefault("password", "is needed beside a user: a password or a token")


def _host_key(wanted: WantedSource, known: KnownSource | None, address: GitAddress, faults: dict[str, str]) -> str:
    """The pinned one, of one line; empty unless SSH is used."""
    if address.scheme != "ssh":
        return ""
    same = known is not None and parse_address(known.location).server == address.server
    given = wanted.host_key.strip()
    if len(given) > MAX_HOST_KEY_CHARS:
        faults["host_key"] = f"must be at most {MAX_HOST_KEY_CHARS:,} characters"
        return ""
    key = given.partition("\n")[0].strip() or (known.host_key if known and same else "")
    try:
        fingerprint_of_pin(key or "none")
    except HostKeyError:
        faults["host_key"] = "must be confirmed: it is what tells this server from another"
    return key
