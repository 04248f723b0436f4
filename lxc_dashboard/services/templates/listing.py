"""A list of packages as people type and paste it: what it says, and all that is wrong with it, by line."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

from lxc_dashboard.db.models import PackageManager
from lxc_dashboard.errors import TemplateError
from lxc_dashboard.services.templates.model import PackageEntry
from lxc_dashboard.services.templates.package_names import package_name
from lxc_dashboard.services.templates.packages import MAX_LIST_BYTES, MAX_PACKAGES, parse_packages

MAX_FAULTS: Final = 50
# A list whose lines all end in CR and LF is shorter as it is kept.
MAX_TYPED_CHARS: Final = 2 * MAX_LIST_BYTES

_BOM: Final = codecs.BOM_UTF8.decode()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line, from 1; with the whole list where ``line`` is 0."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Listing:
    """``text`` as it is kept: LF line ends, no byte order mark. ``packages`` hold only where there is no fault."""

    text: str
    packages: tuple[PackageEntry, ...] = ()
    faults: tuple[Fault, ...] = ()


def read_listing(name: str, manager: PackageManager, text: str) -> Listing:
    """What ``text`` says in the format of a template's package lists, with every fault and not only the first.

    A package may stand in it once, under whatever pin: which of two counts is not ours to guess.
    """
    kept = _unix(text.replace(_BOM, "")) if len(text) <= MAX_TYPED_CHARS else text
    data = kept.encode("utf-8", "surrogatepass")
    file = f"{name}.{manager.value}"
    if len(data) > MAX_LIST_BYTES:
        return Listing("", faults=(Fault(0, f"The list is longer than {MAX_LIST_BYTES >> 10} KiB"),))
    faults = _faults(manager, kept, file)
    if not faults:
        try:
            return Listing(kept, parse_packages(name, manager, data, file)[0].packages)
        except TemplateError as error:
            faults = [Fault(error.line, error.message)]
    return Listing(kept, faults=tuple(faults[:MAX_FAULTS]))


def _unix(text: str) -> str:
    """With LF at the ends of lines. A pattern would look through a text of CRs once for each of them."""
    *lines, last = text.split("\n")
    return "\n".join([*(line.rstrip("\r") for line in lines), last])


def _faults(manager: PackageManager, text: str, file: str) -> list[Fault]:
    """Of what is wrong as much as is told: a list is read with each pause of its typing."""
    found: list[Fault] = []
    seen: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if len(found) >= MAX_FAULTS:
            break
        if len(seen) > MAX_PACKAGES:
            return [*found, Fault(number - 1, f"holds more than {MAX_PACKAGES:,} packages")]
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            bucket, _ = parse_packages("", manager, line.encode("utf-8", "surrogatepass"), file)
        except TemplateError as error:
            found.append(Fault(number, error.message))
            continue
        for package in bucket.packages:
            name = package_name(package.spec, manager)
            first, spec = seen.setdefault(name, (number, package.spec))
            if first != number:
                found.append(Fault(number, _twice(name, package.spec, spec, first)))
    return found


def _twice(name: str, spec: str, before: str, line: int) -> str:
    if spec == before:
        return f"{spec} stands in line {line} already"
    return f"{name} stands in line {line} already, as {before}: only one of them can count"
