"""What tells one package from another, whatever version of it is asked for, and how packages are named to people."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from lxc_dashboard.db.models import PackageManager

# What stands before the @ of an address may be a password: it has no place in a note, a log or in the audit.
_LOGIN = re.compile(r"://[^/\s@]*@")
_APT = re.compile(r"[=/]")
_APK = re.compile(r"[<>=~@]")
# A version of RPM begins with a digit and has a dot or a star; java-17-openjdk is a name.
_DNF = re.compile(r"(.+?)-(?:\d+:)?\d[^-\s]*[.*][^-\s]*(?:-[\d*][^-\s]*)?")
_NPM = re.compile(r"((?:@[^/@\s]+/)?[^@/:\s#]+)(?:@.*)?", re.DOTALL)
_PIP = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?=[\s\[(@<>=!~;,]|$)")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")


def without_logins(text: str) -> str:
    """A sentence about packages, for anybody to read."""
    return _LOGIN.sub("://…@", text)


def package_name(spec: str, manager: PackageManager) -> str:
    """What tells one package from another, without its version: ``nginx`` of ``nginx=1.26.3-3``.

    An architecture (``libc6:i386``) belongs to it, and so does a marker of pip (``; python_version < '3.9'``).
    """
    return _NAMES[manager](spec)


def _apt(spec: str) -> str:
    return _APT.split(spec, maxsplit=1)[0]


def _apk(spec: str) -> str:
    return _APK.split(spec, maxsplit=1)[0]


def _dnf(spec: str) -> str:
    if spec.startswith("@"):
        return " ".join(spec.casefold().split())
    if "/" in spec:
        return spec
    versioned = _DNF.fullmatch(spec)
    return versioned.group(1) if versioned else re.split(r"[<>=]", spec, maxsplit=1)[0]


def _npm(spec: str) -> str:
    named = _NPM.fullmatch(spec)
    return named.group(1) if named else spec.partition("#")[0]


def _pip(spec: str) -> str:
    named = _PIP.match(spec) or _EGG.search(spec)
    if named is None:
        return spec.partition("#")[0]
    name = re.sub(r"[-_.]+", "-", named.group(1)).lower()
    marker = "".join(spec.partition(";")[2].split())
    return f"{name} ; {marker}" if marker else name


def _custom(spec: str) -> str:
    return spec


_NAMES: Final[dict[PackageManager, Callable[[str], str]]] = {
    PackageManager.APT: _apt,
    PackageManager.APK: _apk,
    PackageManager.DNF: _dnf,
    PackageManager.NPM: _npm,
    PackageManager.PIP: _pip,
    PackageManager.CUSTOM: _custom,
}
