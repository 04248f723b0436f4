from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lxc_dashboard.proxmox.schemas.text import words

_NUMBERED = re.compile(r"^(?P<kind>[a-z]+)(?P<index>\d+)$")
_TRUE = frozenset({"1", "true", "yes", "on"})


def split_property_string(text: str, default_key: str = "volume") -> dict[str, str]:
    """``local:8,size=8G`` as ``{"volume": "local:8", "size": "8G"}``: PVE's way to put a record into one value."""
    parts = (part.partition("=") for part in text.split(",") if part)
    return {key if equals else default_key: value if equals else key for key, equals, value in parts}


def property_string(values: Mapping[str, str | int | bool | None]) -> str:
    """The reverse: booleans as 1 and 0, what is None left out. The key ``volume`` is written without its name."""
    parts = []
    for key, value in values.items():
        if value is not None:
            text = str(int(value)) if isinstance(value, bool) else str(value)
            parts.append(text if key == "volume" else f"{key}={text}")
    return ",".join(parts)


@dataclass(frozen=True, slots=True)
class LxcConfig:
    """``GET /nodes/{node}/lxc/{vmid}/config``. ``values`` holds every key as text, as PVE writes it.

    While a guest is being created there is nothing but ``lock`` and ``digest``.
    """

    values: Mapping[str, str]

    @classmethod
    def of(cls, found: Mapping[str, object]) -> LxcConfig:
        return cls({key: _text(value) for key, value in found.items() if value is not None})

    def text(self, key: str) -> str:
        return self.values.get(key, "")

    def number(self, key: str) -> int | None:
        value = self.values.get(key, "")
        return int(float(value)) if re.fullmatch(r"-?\d+(\.\d+)?", value) else None

    def flag(self, key: str) -> bool:
        return self.text(key).lower() in _TRUE

    @property
    def is_bare(self) -> bool:
        """Nothing of a container yet: what there is while one is created, and after a create that was killed."""
        return self.values.keys() <= {"lock", "digest"}

    @property
    def digest(self) -> str:
        return self.text("digest")

    @property
    def hostname(self) -> str:
        return self.text("hostname")

    @property
    def description(self) -> str:
        return self.text("description")

    @property
    def lock(self) -> str:
        return self.text("lock")

    @property
    def ostype(self) -> str:
        return self.text("ostype")

    @property
    def tags(self) -> tuple[str, ...]:
        return words(self.text("tags"))

    @property
    def cores(self) -> int | None:
        return self.number("cores")

    @property
    def memory_mib(self) -> int | None:
        return self.number("memory")

    @property
    def swap_mib(self) -> int | None:
        return self.number("swap")

    @property
    def unprivileged(self) -> bool:
        return self.flag("unprivileged")

    @property
    def features(self) -> dict[str, str]:
        return split_property_string(self.text("features"))

    @property
    def rootfs(self) -> dict[str, str]:
        return split_property_string(self.text("rootfs"))

    @property
    def nets(self) -> dict[int, dict[str, str]]:
        """``{0: {"name": "eth0", "bridge": "vmbr0", "ip": "dhcp", ...}}``."""
        return self._numbered("net")

    @property
    def mount_points(self) -> dict[int, dict[str, str]]:
        return self._numbered("mp")

    def _numbered(self, kind: str) -> dict[int, dict[str, str]]:
        found = ((_NUMBERED.match(key), value) for key, value in self.values.items())
        return {int(m["index"]): split_property_string(value) for m, value in found if m and m["kind"] == kind}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return value if isinstance(value, str) else str(value)
