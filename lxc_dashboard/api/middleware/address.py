"""The client's address, the site's own origin and TLS, from what trusted proxies report."""

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
    """The trusted proxies, and the site's public URL (empty: any address)."""

    proxies: tuple[Network, ...] = ()
    public_url: str = ""

    @classmethod
    def of(cls, proxies: str, public_url: str) -> Trust:
        """``proxies``: addresses and networks, separated by commas. Raises ``ValueError`` for an invalid one."""
        parts = [part.strip() for part in proxies.split(",") if part.strip()]
        return cls(tuple(ip_network(part, strict=False) for part in parts), public_url)

    def trusts(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.proxies)


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """Headers by lower-case name; repeated headers are joined with a comma, cookies with a semicolon."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        separator = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return headers


def client_address(scope: Mapping[str, Any], headers: Mapping[str, str], trust: Trust) -> str:
    """The nearest hop that is not a trusted proxy. Entries of X-Forwarded-For before it are ignored."""
    client = scope.get("client")
    address = str(client[0]) if client else ""
    if not trust.trusts(address):
        return address
    for hop in reversed([part.strip() for part in headers.get("x-forwarded-for", "").split(",") if part.strip()]):
        address = hop[:64]
        if not trust.trusts(address):
            break
    return address


def is_https(scope: Mapping[str, Any], headers: Mapping[str, str], trust: Trust) -> bool:
    """Whether the browser uses TLS, to this process or to a trusted proxy."""
    if scope.get("scheme") in {"https", "wss"}:
        return True
    client = scope.get("client")
    forwarded = headers.get("x-forwarded-proto", "") if client and trust.trusts(str(client[0])) else ""
    return forwarded.split(",")[0].strip() == "https"


def keeps_cookie(scope: Mapping[str, Any], headers: Mapping[str, str], trust: Trust) -> bool:
    """Whether the browser keeps the session cookie: over TLS, on this machine, or if PUBLIC_URL is plain http."""
    host = host_of(headers.get("host", ""))
    return is_https(scope, headers, trust) or host in LOCAL_HOSTS or not wants_secure(trust.public_url)


def wants_secure(public_url: str) -> bool:
    """Whether cookies are for TLS only: always, unless PUBLIC_URL is plain http."""
    return not public_url.startswith("http://")


def host_of(authority: str) -> str:
    """``host`` of ``host:port``; an IPv6 address keeps its brackets."""
    return authority.rsplit(":", 1)[0] if not authority.endswith("]") else authority


def is_own_origin(origin: str, headers: Mapping[str, str], trust: Trust) -> bool:
    """Whether ``origin`` is PUBLIC_URL's, or that of the request's own host. An empty origin is not.

    If PUBLIC_URL is set, the request's host counts only if it is this machine: anyone can point a name at this address.
    """
    if trust.public_url and origin == origin_of(trust.public_url):
        return True
    parts = urlsplit(origin)
    host = headers.get("host", "")
    if trust.public_url and host_of(host) not in LOCAL_HOSTS:
        return False
    return parts.scheme in {"http", "https"} and bool(host) and origin == f"{parts.scheme}://{host}"


def foreign_origin_message(trust: Trust) -> str:
    """The error for a foreign origin. The sender may be a user who typed another name of this site."""
    return text.WRONG_ADDRESS.format(address=origin_of(trust.public_url)) if trust.public_url else text.WRONG_ORIGIN


def origin_of(url: str) -> str:
    """The origin of ``url`` as a browser writes it: lower case, without default port and user."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host.removesuffix(_PORTS.get(parts.scheme, ''))}"
