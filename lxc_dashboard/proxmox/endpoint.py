"""The address of a PVE API, and the check of its certificate."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import ssl
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.x509.oid import NameOID

from lxc_dashboard.errors import InvalidInputError, TlsError
from lxc_dashboard.messages import Message
from lxc_dashboard.proxmox import errors
from lxc_dashboard.proxmox.codes import ProxmoxCode

DEFAULT_PORT = 8006
FINGERPRINT_HEX_LENGTH = 64
CERTIFICATE_TIMEOUT_S = 5.0
PVE_AUTHORITY = re.compile(r"PVE Cluster Manager CA")  # the organization of each CA that PVE makes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One PVE API.

    ``fingerprint``: SHA-256 of the leaf certificate, colons optional. Where it is set, nothing else is checked.
    ``ca_pem``: the CA that signed the certificate (``/etc/pve/pve-root-ca.pem``). With neither, the system's CAs
    count. ``verify_tls=False`` disables verification where neither of the two is set.
    """

    host: str
    port: int = DEFAULT_PORT
    name: str = ""
    fingerprint: str | None = None
    ca_pem: str | None = field(default=None, repr=False)
    verify_tls: bool = True

    def __post_init__(self) -> None:
        if self.fingerprint is not None:
            object.__setattr__(self, "fingerprint", normal_fingerprint(self.fingerprint))

    @property
    def authority(self) -> str:
        """Return ``host:port``, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def normal_fingerprint(text: str) -> str:
    """Return ``AB:CD:...`` in upper case for any notation of a SHA-256. Raises ``InvalidInputError``."""
    digits = text.replace(":", "").replace(" ", "").strip().upper()
    if len(digits) != FINGERPRINT_HEX_LENGTH or set(digits) - set("0123456789ABCDEF"):
        raise InvalidInputError({"fingerprint": Message.of(ProxmoxCode.BAD_FINGERPRINT)})
    return ":".join(digits[i : i + 2] for i in range(0, FINGERPRINT_HEX_LENGTH, 2))


def fingerprint_of(certificate_der: bytes) -> str:
    return normal_fingerprint(hashlib.sha256(certificate_der).hexdigest())


def ssl_context(endpoint: Endpoint) -> ssl.SSLContext:
    """Return the TLS context for ``endpoint``. :func:`check_pin` checks a pinned fingerprint after the handshake.

    Raises ``TlsError`` for an unreadable CA certificate.
    """
    if endpoint.fingerprint is not None or (not endpoint.verify_tls and endpoint.ca_pem is None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context = ssl.create_default_context(cadata=endpoint.ca_pem)
    except (ssl.SSLError, ValueError) as error:
        raise TlsError(Message.of(ProxmoxCode.BAD_CA), node=endpoint.authority, detail=str(error)) from error
    # Python 3.13 requires extensions that PVE's own CA does not have.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if endpoint.ca_pem is not None:  # ``ca_pem`` may be the node's own certificate, signed by another CA
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def check_pin(endpoint: Endpoint, certificate_der: bytes | None) -> None:
    """Raise ``TlsError`` where a fingerprint is pinned and ``certificate_der`` has another one."""
    if endpoint.fingerprint is None:
        return
    found = fingerprint_of(certificate_der or b"")
    if not hmac.compare_digest(found, endpoint.fingerprint):
        raise TlsError(
            Message.of(ProxmoxCode.OTHER_FINGERPRINT),
            node=endpoint.authority,
            detail=f"expected {endpoint.fingerprint}, found {found}",
        )


async def peer_fingerprint(host: str, port: int = DEFAULT_PORT) -> str:
    """Return the SHA-256 fingerprint of ``host``'s certificate, for a user to confirm. Sends no request.

    Raises ``UnreachableError``, ``TlsError``.
    """
    return fingerprint_of(await _peer_certificate(host, port))


async def peer_authority(host: str, port: int = DEFAULT_PORT) -> str:
    """Return the name of the CA that signed ``host``'s certificate, empty unless PVE made that CA.

    Each cluster has a CA of its own, with a uuid in its name. Raises ``UnreachableError``, ``TlsError``.
    """
    try:
        issuer = x509.load_der_x509_certificate(await _peer_certificate(host, port)).issuer
    except ValueError:
        return ""
    organizations = (str(attribute.value) for attribute in issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    return issuer.rfc4514_string() if any(map(PVE_AUTHORITY.fullmatch, organizations)) else ""


async def _peer_certificate(host: str, port: int) -> bytes:
    """Return the leaf certificate in DER. Raises ``UnreachableError``, ``TlsError``."""
    endpoint = Endpoint(host, port, verify_tls=False)
    try:
        async with asyncio.timeout(CERTIFICATE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=ssl_context(endpoint))
    except (OSError, ValueError) as error:  # ``ValueError``: the host is not a valid name
        raise errors.from_transport(error, endpoint.authority) from error
    try:
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return shown
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)  # the loop closes the socket in its next turn
