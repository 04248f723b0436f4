"""Where a request comes from and goes to, as far as that can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from lxc_dashboard import text

Network = IPv4Network | IPv6Network

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Trust:
    """Which proxies are believed, and under which address the product is reached (empty: under whatever one)."""

    proxies: tuple[Network, ...] = ()
    public_url: str = ""

    @classmethod
    def of(cls, proxies: str, public_url: str) -> Trust:
        """``proxies``: addresses and networks, separated by commas. Raises ``ValueError`` for what is none."""
        parts = [part.strip() for part in proxies.split(",") if part.strip()]
        return cls(tuple(ip_network(part, strict=False) for part in parts), public_url)

    def believes(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.proxies)


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """Lower-case names; of a header that comes twice, the values with a comma between."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        separator = "; " if name == "cookie" else ", "
        found[name] = f"{found[name]}{separator}{value}" if name in found else value
    return found


def client_address(scope: Mapping[str, Any], headers: Mapping[str, str], trust: Trust) -> str:
    """The nearest address that is no proxy of ours. What a client itself writes into X-Forwarded-For is not believed."""
    client = scope.get("client")
    address = str(client[0]) if client else ""
    if not trust.believes(address):
        return address
    for hop in reversed([part.strip() for part in headers.get("x-forwarded-for", "").split(",") if part.strip()]):
        address = hop[:64]
        if not trust.believes(address):
            break
    return address


def is_https(scope: Mapping[str, Any], headers: Mapping[str, str], trust: Trust) -> bool:
    """Whether the browser speaks TLS, to us or to a proxy that is believed."""
    if scope.get("scheme") in {"https", "wss"}:
        return True
    client = scope.get("client")
    forwarded = headers.get("x-forwarded-proto", "") if client and trust.believes(str(client[0])) else ""
    return forwarded.split(",")[0].strip() == "https"


def keeps_cookie(scope: Mapping[str, Any], headers: Mapping[str, str], trust: Trust) -> bool:
    """Whether a browser stores our cookie here: with TLS, on this very machine, or where PUBLIC_URL says plain http."""
    host = host_of(headers.get("host", ""))
    return is_https(scope, headers, trust) or host in LOCAL_HOSTS or not wants_secure(trust.public_url)


def wants_secure(public_url: str) -> bool:
    """The cookie is for TLS only, unless PUBLIC_URL was told to be plain http."""
    return not public_url.startswith("http://")


def host_of(authority: str) -> str:
    """``host`` of ``host:port``, an IPv6 address with its brackets."""
    return authority.rsplit(":", 1)[0] if not authority.endswith("]") else authority


def is_own_origin(origin: str, headers: Mapping[str, str], trust: Trust) -> bool:
    """Whether a page of ours asked: the one of PUBLIC_URL, or of the very host that was asked. A missing one is not ours.

    Where PUBLIC_URL is set that host counts on this very machine alone: any name may be led to our address by its owner.
    """
    if trust.public_url and origin == origin_of(trust.public_url):
        return True
    parts = urlsplit(origin)
    host = headers.get("host", "")
    if trust.public_url and host_of(host) not in LOCAL_HOSTS:
        return False
    return parts.scheme in {"http", "https"} and bool(host) and origin == f"{parts.scheme}://{host}"


def refusal_of(trust: Trust) -> str:
    """What to tell who comes from elsewhere: it may be a user who typed another name of ours."""
    return text.WRONG_ADDRESS.format(address=origin_of(trust.public_url)) if trust.public_url else text.WRONG_ORIGIN


def origin_of(url: str) -> str:
    """As a browser writes it: in lower case, without a port that goes without saying, without what stands before an ``@``."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host.removesuffix(_PORTS.get(parts.scheme, ''))}"
