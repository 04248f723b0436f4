"""Settings from the environment, checked once at start. Elsewhere only the CLI reads ``os.environ``.

Each secret may be in a file instead: ``NAME_FILE`` is its path.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from lxc_dashboard.errors import InvalidInputError


class Timing(BaseModel):
    """All times are in seconds. A worker renews its lease several times before the lease ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lease_s: float = 10.0
    renew_lease_every_s: float = 3.0
    # A job whose lease has ended is enqueued again by the next reap, once in ``enqueue_again_s``.
    reap_every_s: float = 5.0
    enqueue_again_s: float = 8.0
    # How often the worker finishes what cancelled jobs left in PVE.
    settle_every_s: float = 15.0
    # How often a job checks its ticket while a long step runs.
    check_ticket_every_s: float = 60.0
    # How long to look for the task of a POST whose answer was lost. PVE may not have started it yet.
    find_task_within_s: float = 6.0
    # Shorter for a later worker: it looks again where PVE refuses a second create or start of the guest.
    find_task_again_within_s: float = 2.0
    # How often an open review asks PVE again.
    check_review_every_s: float = 15.0
    # The journal collects events of many jobs for one write.
    journal_pause_s: float = 0.02
    longest_journal_pause_s: float = 0.08
    # The outbox drops entries that Redis refuses, and sends the next ones after this time.
    publish_again_after_s: float = 5.0


SECRET_VARIABLES = ("DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEY", "OLD_ENCRYPTION_KEYS")
HTTPS_PORT = 443
# A name or an address, optionally with a zone.
_HOST = re.compile(r"[\w.:-]+(?:%[\w.-]+)?")
_ADDRESS = "must be a host name or address, optionally with https:// and a port"
_HEX_KEY = re.compile(r"[0-9a-fA-F]{64}")
_FINGERPRINT = re.compile(r"(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}")


class EndpointSettings(BaseModel):
    """The endpoint of ``PVE_HOST`` and related variables. ``host`` is empty if there is none."""

    model_config = ConfigDict(frozen=True)

    host: str = ""
    port: int = 8006
    fingerprint: str = ""
    ca_pem: str = ""
    verify_tls: bool = True


class Settings(BaseSettings):
    """The settings. ``Settings.load()`` raises ``InvalidInputError`` with the error of each invalid variable."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=True)

    DATABASE_URL: SecretStr
    REDIS_URL: SecretStr
    ENCRYPTION_KEY: SecretStr
    OLD_ENCRYPTION_KEYS: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    PVE_HOST: str = ""
    PVE_PORT: Annotated[int, Field(ge=1, le=65535)] = 8006
    PVE_FINGERPRINT: str = ""
    PVE_CA_FILE: str = ""
    PVE_VERIFY_TLS: bool = True
    TEMPLATES_DIR: str = ""
    TEMPLATE_GIT_ALLOW_LOCAL: bool = False
    TEMPLATE_GIT_FILE_ROOT: str = ""
    SSL_CERT_FILE: str = ""
    PUBLIC_URL: str = ""
    PORT: Annotated[int, Field(ge=1, le=65535)] = 3001
    WEB_WORKERS: Annotated[int, Field(ge=1, le=32)] = 1
    CREATIONS_PER_WORKER: Annotated[int, Field(ge=1, le=500)] = 50
    CREATES_PER_NODE: Annotated[int, Field(ge=1, le=500)] = 4
    TRUSTED_PROXIES: str = "127.0.0.1,::1"
    LOG_LEVEL: str = "INFO"
    LOG_JSON: bool = False
    SANDBOX: bool = False
    TIMING: Timing = Timing()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use the values of ``load`` only, which has already read the environment and the files."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings from ``environ``, by default the process's own."""
        values = _read(os.environ if environ is None else environ)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InvalidInputError(_by_variable(error), "Some settings are invalid") from None

    @field_validator("DATABASE_URL")
    @classmethod
    def _database(cls, value: SecretStr) -> SecretStr:
        if urlsplit(value.get_secret_value()).scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
            raise ValueError("must begin with postgresql://")
        return value

    @field_validator("REDIS_URL")
    @classmethod
    def _redis(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in {"redis", "rediss"}:
            raise ValueError("must begin with redis:// or rediss://")
        database = parts.path.removeprefix("/")
        if database and not database.isdecimal():
            raise ValueError("must end with the number of a database, such as /0")
        try:
            parts.port  # noqa: B018 - raises for an invalid port
        except ValueError:
            raise ValueError("must have a port from 0 to 65535") from None
        return value

    @field_validator("ENCRYPTION_KEY")
    @classmethod
    def _key(cls, value: SecretStr) -> SecretStr:
        if not _HEX_KEY.fullmatch(value.get_secret_value()):
            raise ValueError("must be 64 hex characters; `lxc-dashboard secrets generate` makes one")
        return value

    @field_validator("OLD_ENCRYPTION_KEYS", mode="before")
    @classmethod
    def _old_keys(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        keys = [part.strip() for part in value.split(",") if part.strip()]
        if not all(_HEX_KEY.fullmatch(key) for key in keys):
            raise ValueError("must be keys of 64 hex characters, separated by commas")
        return tuple(keys)

    @field_validator("TIMING", mode="before")
    @classmethod
    def _timing(cls, value: object) -> object:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("PVE_FINGERPRINT")
    @classmethod
    def _fingerprint(cls, value: str) -> str:
        if value and not _FINGERPRINT.fullmatch(value):
            raise ValueError("must be a SHA-256 fingerprint: 32 bytes in hex, with or without colons")
        return value

    @field_validator("PUBLIC_URL")
    @classmethod
    def _public_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.netloc):
            raise ValueError("must be a full address such as https://lxc.example.org")
        return value.rstrip("/")

    @field_validator("TRUSTED_PROXIES")
    @classmethod
    def _proxies(cls, value: str) -> str:
        for part in filter(None, map(str.strip, value.split(","))):
            try:
                ipaddress.ip_network(part, strict=False)
            except ValueError:
                raise ValueError("must be addresses and networks such as 10.0.0.0/8, separated by commas") from None
        return value

    @field_validator("LOG_LEVEL")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.upper() not in logging.getLevelNamesMapping():
            raise ValueError("must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
        return value

    @field_validator("PVE_CA_FILE")
    @classmethod
    def _ca(cls, value: str) -> str:
        if value and not Path(value).is_file():
            raise ValueError("no such file")
        try:
            if value:
                Path(value).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise ValueError("cannot be read as PEM text") from None
        return value

    @model_validator(mode="after")
    def _check_folders(self) -> Self:
        if self.TEMPLATES_DIR and not Path(self.TEMPLATES_DIR).is_dir():
            raise ValueError("TEMPLATES_DIR: no such folder")
        if self.TEMPLATE_GIT_FILE_ROOT and not Path(self.TEMPLATE_GIT_FILE_ROOT).is_dir():
            raise ValueError("TEMPLATE_GIT_FILE_ROOT: no such folder")
        return self

    def endpoint(self) -> EndpointSettings:
        """The endpoint of the environment, with the CA's content."""
        ca_pem = Path(self.PVE_CA_FILE).read_text(encoding="utf-8") if self.PVE_CA_FILE else ""
        return EndpointSettings(
            host=self.PVE_HOST,
            port=self.PVE_PORT,
            fingerprint=self.PVE_FINGERPRINT,
            ca_pem=ca_pem,
            verify_tls=self.PVE_VERIFY_TLS,
        )

    def template_folders(self) -> tuple[tuple[str, Path], ...]:
        """Name and path of each folder of templates: the shipped one, then ``TEMPLATES_DIR``."""
        package = Path(__file__).parent
        shipped = package / "shipped_templates"
        folders = [("shipped", shipped if shipped.is_dir() else package.parent / "templates")]
        if self.TEMPLATES_DIR:
            folders.append(("templates-dir", Path(self.TEMPLATES_DIR)))
        return tuple(folders)


def _read(environ: Mapping[str, str]) -> dict[str, str]:
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name in Settings.model_fields:
        if name in environ:
            values[name] = environ[name].strip()
        file = environ.get(f"{name}_FILE")
        if file and name in SECRET_VARIABLES:
            try:
                values[name] = Path(file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                faults[f"{name}_FILE"] = f"cannot be read: {error}"
    for name, fallback in (("PVE_HOST", "PROXMOX_HOST"), ("PVE_PORT", "PROXMOX_PORT")):
        if not values.get(name) and environ.get(fallback):
            values[name] = environ[fallback].strip()
    faults |= _part_address(values)
    if faults:
        raise InvalidInputError(faults, "Some settings are invalid")
    return {name: value for name, value in values.items() if value}


def _part_address(values: dict[str, str]) -> dict[str, str]:
    """Split an address in ``PVE_HOST`` into ``PVE_HOST`` and ``PVE_PORT``, in place. Returns errors by variable."""
    if not values.get("PVE_HOST"):
        return {}
    try:
        host, port, is_named = part_address(values["PVE_HOST"])
    except ValueError as error:
        return {"PVE_HOST": str(error)}
    if is_named and values.get("PVE_PORT", str(port)) != str(port):
        return {"PVE_PORT": "must not be another port than the one in PVE_HOST"}
    values["PVE_HOST"] = host
    if port:
        values.setdefault("PVE_PORT", str(port))
    return {}


def part_address(given: str) -> tuple[str, int, bool]:
    """Split a host, address or ``https://`` URL into host, port, and whether it names the port. Port 0: unknown.

    Raises ``ValueError`` with a message for the user.
    """
    if set(given).isdisjoint(":/[@?") or _is_ipv6(given):
        host, port, is_named = given, 0, False
    else:
        host, port, is_named = _of_address(given)
    if not _HOST.fullmatch(host):
        raise ValueError(_ADDRESS)
    return host, port, is_named


def _of_address(given: str) -> tuple[str, int, bool]:
    try:
        parts = urlsplit(given if "://" in given else f"//{given}")
        host, named = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(_ADDRESS) from None
    if named == 0:
        raise ValueError("must not have the port 0")
    if parts.scheme not in {"", "https"} or parts.username or parts.path.strip("/") or parts.query:
        raise ValueError(_ADDRESS)
    return host, named or (HTTPS_PORT if parts.scheme else 0), bool(named)


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6  # noqa: PLR2004 - the IP version
    except ValueError:
        return False


def _by_variable(error: ValidationError) -> dict[str, str]:
    faults: dict[str, str] = {}
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        message = fault["msg"].removeprefix("Value error, ")
        name = str(fault["loc"][0]) if fault["loc"] else message.partition(":")[0]
        faults[name] = "is not set" if fault["type"] == "missing" else message.removeprefix(f"{name}: ")
    return faults
