"""Packages of a job, batched by manager, and the install script of each manager: plain ``sh``, the packages are ``$@``.

Each script installs only packages that are missing or differ from their pinned version. It waits for the manager's
lock. ``explain`` reads its output.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.services.creation.form.spec import ContainerSpec, PackageRef

if TYPE_CHECKING:
    from lxc_dashboard.services.templates.model import PackageEntry, TemplateContent


LOCK_WAIT_S: Final = 600

_KEEP_MISSING: Final = """
wanted=$#
for spec in "$@"; do
    shift
    has "$spec" || set -- "$@" "$spec"
done
if [ "$#" -eq 0 ]; then
    log_info "All $wanted packages are installed already"
    exit 0
fi
log_info "Installing $# of $wanted packages: $*"
"""
# A pin may require an older version than the installed one. Only apt knows the release of a package.
# Without a terminal of its own, dpkg stays in the step's session and ends with it.
_APT: Final = (
    """
has() {
    found=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "${1%%[=/]*}" 2>/dev/null) || return 1
    [ "${found%% *}" = installed ] || return 1
    case $1 in
    *=*) case ${found#* } in ${1#*=}) return 0 ;; *) return 1 ;; esac ;;
    */*) return 1 ;;
    esac
    return 0
}
"""
    + _KEEP_MISSING
    + f"""
wait_for_apt_lock {LOCK_WAIT_S}
apt-get -o DPkg::Lock::Timeout={LOCK_WAIT_S} -o Acquire::Retries=3 update
lxcd_finish_dpkg
apt-get -y -o DPkg::Lock::Timeout={LOCK_WAIT_S} -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 --allow-downgrades \\
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install -- "$@"
"""
)
# `apk info` reads a version, as in `name=1.2-r0`, like `apk add`.
_APK: Final = (
    'has() { apk info -e "$1" >/dev/null 2>&1; }\n'
    + _KEEP_MISSING
    + f'apk add --update-cache --wait {LOCK_WAIT_S} "$@"\n'
)
# dnf waits for its lock by itself, and decides about names that rpm does not know (a group, a path). No `--` before the
# packages: dnf5 accepts it only since 5.4.3, and no list contains an option.
_DNF: Final = (
    'has() { rpm -q --quiet -- "$1" >/dev/null 2>&1; }\n' + _KEEP_MISSING + 'dnf -y --setopt=retries=3 install "$@"\n'
)
_NPM: Final = (
    'has() { npm ls --global --depth=0 -- "$1" >/dev/null 2>&1; }\n'
    + _KEEP_MISSING
    + 'npm install --global --no-fund --no-audit --no-progress -- "$@"\n'
)
# pip itself skips packages that are installed as required, and then asks no server.
_PIP: Final = """
export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
export PIP_PROGRESS_BAR=off
log_info "Installing what is missing of $# packages: $*"
python3 -m pip install -- "$@"
"""
# By manager: the required tool, the command that checks for it, the script.
_TOOLS: Final = {
    PackageManager.APT: ("apt-get", "command -v apt-get", _APT),
    PackageManager.APK: ("apk", "command -v apk", _APK),
    PackageManager.DNF: ("dnf", "command -v dnf", _DNF),
    PackageManager.NPM: ("npm", "command -v npm", _NPM),
    PackageManager.PIP: ("python3 with pip", "python3 -m pip --version", _PIP),
}


def install_script(manager: PackageManager, specs: Sequence[str]) -> bytes:
    """One script for all ``specs``. Raises ``KeyError`` for custom packages, which bring their own commands."""
    tool, asked, body = _TOOLS[manager]
    return (
        "#!/bin/sh\nset -eu\n"
        f"{asked} >/dev/null 2>&1 || {{ log_error '{tool} is not in this guest: {manager.value} packages cannot be installed'; exit 1; }}\n"
        f"set -- {shlex.join(specs)}\n{body}"
    ).encode()


def custom_script(name: str, check: str, install: str) -> bytes:
    """The script of a custom package: installs it if its check fails, then checks again."""
    shown = shlex.quote(name)
    return (
        "set -u\n"
        f"if ( eval {shlex.quote(check)} ) >/dev/null 2>&1; then\n"
        f'    log_info {shown} "is installed already"\n    exit 0\nfi\n'
        f"log_info Installing {shown}\n"
        f"( eval {shlex.quote(install)} ) || exit $?\n"
        f"if ( eval {shlex.quote(check)} ) >/dev/null 2>&1; then exit 0; fi\n"
        f'log_error {shown} "was installed, but its check still fails"\nexit 1\n'
    ).encode()


BATCH_TIMEOUT_S: Final = 3600
# System packages first: they bring npm, pip and what custom packages need.
ORDER: Final = (
    PackageManager.APT,
    PackageManager.APK,
    PackageManager.DNF,
    PackageManager.NPM,
    PackageManager.PIP,
    PackageManager.CUSTOM,
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Packages of one manager, installed together. A custom package is a batch of its own, with its own timeout."""

    key: str
    title: str
    manager: PackageManager
    count: int
    script: bytes
    timeout_s: int


def batches(spec: ContainerSpec, content: TemplateContent | None) -> list[Batch]:
    """The batches in order: the template's packages without those that the user removed, then the added ones."""
    chosen: dict[PackageManager, dict[str, PackageEntry | None]] = {manager: {} for manager in ORDER}
    off = set(spec.packages_off)
    for bucket in content.buckets if content else ():
        for entry in bucket.packages:
            if PackageRef(bucket.name, bucket.manager, entry.spec) not in off:
                chosen[bucket.manager].setdefault(entry.spec, entry)
    for extra in spec.packages_extra:
        chosen[extra.manager].setdefault(extra.spec, None)
    found: list[Batch] = []
    for manager in ORDER:
        if manager is PackageManager.CUSTOM:
            found += [_custom(number, entry) for number, entry in enumerate(chosen[manager].values(), 1) if entry]
        elif chosen[manager]:
            found.append(_batch(manager, list(chosen[manager])))
    return found


def _batch(manager: PackageManager, specs: Sequence[str]) -> Batch:
    name = manager.value
    script = install_script(manager, specs)
    return Batch(f"packages.{name}", f"packages-{name}", manager, len(specs), script, BATCH_TIMEOUT_S)


def _custom(number: int, entry: PackageEntry) -> Batch:
    script = custom_script(entry.spec, entry.check, entry.install)
    key, title = f"packages.custom.{number:03d}", f"custom-{entry.spec}"
    return Batch(key, title, PackageManager.CUSTOM, 1, script, entry.timeout_s)
