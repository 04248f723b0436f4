"""Parse address ranges, find free addresses in them, and check static addresses against the product's containers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.messages import Message
from lxc_dashboard.services.auth import acting
from lxc_dashboard.services.creation import vmids
from lxc_dashboard.services.creation.form.codes import FieldCode
from lxc_dashboard.services.creation.form.readers import PREFIX_MIN
from lxc_dashboard.services.creation.form.spec import Segment
from lxc_dashboard.services.creation.preflight.neighbours import SEEN_HOLDS_S, seen_lately

if TYPE_CHECKING:
    from uuid import UUID

    from lxc_dashboard.db.database import Transaction
    from lxc_dashboard.db.repositories.jobs import InUse
    from lxc_dashboard.runtime import Runtime
    from lxc_dashboard.services.auth.model import Session
    from lxc_dashboard.services.creation.form.spec import ContainerSpec

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

RANGE_MAX: Final = 4096
TEXT_MAX_CHARS: Final = 120
EXAMPLES: Final = {4: "10.0.0.10-10.0.0.40/24", 6: "fd00::10-fd00::40/64"}
_RANGE: Final = re.compile(r"([0-9A-Fa-f:.]+)\s*-\s*([0-9A-Fa-f:.]+)\s*/\s*([0-9]{1,3})")
_GROUP_END: Final = re.compile(r"[0-9A-Fa-f]*\Z")


@dataclass(frozen=True, slots=True)
class AddressRange:
    """The addresses from ``first`` to ``last``, both included, in one network with ``prefix`` bits."""

    first: Address
    last: Address
    prefix: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}/{self.prefix}"

    def __contains__(self, address: object) -> bool:
        return isinstance(address, type(self.first)) and int(self.first) <= int(address) <= int(self.last)

    def __iter__(self) -> Iterator[Address]:
        """The addresses that a machine can have: without the network address and the broadcast address."""
        kept = _kept_by_network(self.network)
        for number in range(int(self.first), int(self.last) + 1):
            address = type(self.first)(number)
            if address not in kept:
                yield address

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        return ipaddress.ip_network(f"{self.first}/{self.prefix}", strict=False)

    def cidr(self, address: Address) -> str:
        return f"{address}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class Free:
    """``addresses`` in CIDR form, lowest first. ``unasked``: the number of guests whose addresses are unknown."""

    addresses: tuple[str, ...]
    unasked: int = 0


def parse_range(text: str, *, version: int | None = None, field: str = "range") -> AddressRange:
    """Parse ``10.0.0.10-10.0.0.40/24``, or short ``10.0.0.10-40/24``; IPv6 alike. At most ``RANGE_MAX`` addresses.

    ``version``: the required IP version, if any. Raises ``InvalidInputError`` for ``field``.
    """
    example = EXAMPLES[version or 4]
    found = _RANGE.fullmatch(text.strip()) if len(text) <= TEXT_MAX_CHARS else None
    if found is None:
        raise InvalidInputError({field: Message.of(FieldCode.NO_RANGE, example=example)})
    begin, end, prefix = found.groups()
    first = _address(begin, field, example)
    last = _address(end if set(end) & set(".:") else _GROUP_END.sub(end, begin, count=1), field, example)
    wrong = _wrong_pair(first, last, version) or _wrong_size(first, last, int(prefix))
    if wrong:
        raise InvalidInputError({field: wrong})
    return AddressRange(first, last, int(prefix))


def _address(text: str, field: str, example: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise InvalidInputError({field: Message.of(FieldCode.RANGE_BAD_ADDRESS, word=text, example=example)}) from None


def _wrong_pair(first: Address, last: Address, version: int | None) -> Message | None:
    if first.version != last.version:
        return Message.of(FieldCode.RANGE_MIXED)
    if version not in (None, first.version):
        return Message.of(FieldCode.RANGE_VERSION, version=version, example=EXAMPLES[version])
    if int(last) < int(first):
        return Message.of(FieldCode.RANGE_BACKWARDS)
    return None


def _wrong_size(first: Address, last: Address, prefix: int) -> Message | None:
    if not PREFIX_MIN <= prefix <= first.max_prefixlen:
        return Message.of(FieldCode.BAD_PREFIX, least=PREFIX_MIN, most=first.max_prefixlen)
    if ipaddress.ip_interface(f"{first}/{prefix}").network != ipaddress.ip_interface(f"{last}/{prefix}").network:
        return Message.of(FieldCode.RANGE_TWO_NETWORKS, first=str(first), last=str(last), prefix=prefix)
    if int(last) - int(first) >= RANGE_MAX:
        return Message.of(FieldCode.RANGE_TOO_LONG, most=f"{RANGE_MAX:,}")
    if any(address.is_multicast or address.is_loopback or address.is_unspecified for address in (first, last)):
        return Message.of(FieldCode.RANGE_UNUSABLE)
    if next(iter(AddressRange(first, last, prefix)), None) is None:
        return Message.of(FieldCode.RANGE_OF_NETWORK)
    return None


def _kept_by_network(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> frozenset[Address]:
    if network.prefixlen >= network.max_prefixlen - 1:
        return frozenset()
    broadcast = [network.broadcast_address] if network.version == 4 else []  # noqa: PLR2004 - IPv4's own name
    return frozenset([network.network_address, *broadcast])


async def next_free(
    rt: Runtime, session: Session, wanted: AddressRange, count: int = 1, *, gateway: str = "", field: str = "range"
) -> Free:
    """Find the ``count`` lowest addresses that no one is known to use.

    In use are ``gateway``, the addresses of the product's containers (also those not yet created), and those of guests,
    nodes and their gateways that the user may see in PVE. Reserves nothing: ``request`` checks the product's containers
    again when it stores the row. Raises ``InvalidInputError`` for ``field`` if too few are free, and PVE's errors.
    """
    client = await acting.client(rt, session)
    seen = await seen_lately(rt.pve, client, session.endpoint_id, session.userid, SEEN_HOLDS_S)

    async def find() -> tuple[str, ...]:
        async with rt.db.transaction() as tx:
            ours = [text for each in await tx.jobs.addresses_in_use(session.endpoint_id) for text in each.addresses]
        taken = {address for text in (*ours, *seen.addresses, gateway) if (address := _plain(text)) is not None}
        return tuple(wanted.cidr(address) for address in islice((a for a in wanted if a not in taken), count))

    def is_wanted(text: str) -> bool:
        return _plain(text) in wanted

    free = await find()
    if len(free) < count and await vmids.forget_gone(rt, client, session.endpoint_id, is_wanted=is_wanted):
        free = await find()
    if len(free) < count:
        short = Message.of(FieldCode.RANGE_SHORT, free=len(free), wanted=count)
        raise InvalidInputError({field: Message.of(FieldCode.RANGE_TAKEN) if count == 1 else short})
    return Free(free, seen.unasked)


def _plain(text: str) -> Address | None:
    """The address in ``10.0.0.5/24`` or ``10.0.0.5``. None for other text, such as ``dhcp``."""
    try:
        return ipaddress.ip_address(text.partition("/")[0].partition("%")[0])
    except ValueError:
        return None


async def faults(
    tx: Transaction, endpoint_id: UUID, specs: Sequence[ContainerSpec], *, own: UUID | None = None
) -> dict[str, Message]:
    """By field, the static addresses of ``specs`` that another of the product's containers uses in the same segment.

    Includes containers not yet created, and ignores ``own``. Of several, the last is named. The result stays true
    until the end of ``tx``: if ``tx`` also stores the rows, no two jobs get the same address.
    """
    wanted = [(*pair, spec.segment) for spec in specs for pair in _static(spec)]
    if not wanted:
        return {}
    held: dict[str, list[InUse]] = {}
    for known in await tx.jobs.addresses_in_use(endpoint_id):
        for address in known.addresses if known.container.id != own else ():
            held.setdefault(address, []).append(known)
    return {
        field: Message.of(
            FieldCode.ADDRESS_HELD, address=address, vmid=each.container.vmid, hostname=each.container.hostname
        )
        for field, address, segment in wanted
        for each in held.get(address, ())
        if not each.bridge or Segment(each.bridge, each.vlan) == segment
    }


def _static(spec: ContainerSpec) -> list[tuple[str, str]]:
    """``("ipv4_address", "10.0.0.5")`` for each static address of the spec."""
    settings = (("ipv4_address", spec.ipv4), ("ipv6_address", spec.ipv6))
    return [(field, ip.address.partition("/")[0]) for field, ip in settings if ip.address]
