"""Where a PVE API answers, and what proves that it is the one."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.x509.oid import NameOID

from lxc_dashboard.errors import InvalidInputError, TlsError
from lxc_dashboard.proxmox import errors

DEFAULT_PORT = 8006
FINGERPRINT_HEX_LENGTH = 64
CERTIFICATE_TIMEOUT_S = 5.0
PVE_AUTHORITY = "PVE Cluster Manager CA"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One PVE API.

    ``fingerprint``: SHA-256 of the leaf certificate, colons optional; when set it alone decides.
    ``ca_pem``: the CA that signed it (``/etc/pve/pve-root-ca.pem``). With neither, the system's CAs are asked.
    ``verify_tls=False`` switches verification off, and only where neither of the two is given.
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
        """``host:port``, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def normal_fingerprint(text: str) -> str:
    """``AB:CD:...`` in upper case from any way of writing a SHA-256. Raises InvalidInputError."""
    digits = text.replace(":", "").replace(" ", "").strip().upper()
    if len(digits) != FINGERPRINT_HEX_LENGTH or set(digits) - set("0123456789ABCDEF"):
        raise InvalidInputError({"fingerprint": "a SHA-256 fingerprint is 64 hexadecimal digits"})
    return ":".join(digits[i : i + 2] for i in range(0, FINGERPRINT_HEX_LENGTH, 2))


def fingerprint_of(certificate_der: bytes) -> str:
    return normal_fingerprint(hashlib.sha256(certificate_der).hexdigest())


def ssl_context(endpoint: Endpoint) -> ssl.SSLContext:
    """The context for ``endpoint``. With a pinned fingerprint the check follows the handshake: :func:`check_pin`.

    Raises TlsError when the CA cannot be read.
    """
    if endpoint.fingerprint is not None or (not endpoint.verify_tls and endpoint.ca_pem is None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context = ssl.create_default_context(cadata=endpoint.ca_pem)
    except (ssl.SSLError, ValueError) as error:
        raise TlsError(
            "The CA certificate of PVE cannot be read", node=endpoint.authority, detail=str(error)
        ) from error
    # Python 3.13 asks for extensions that the CA which PVE makes for itself does not carry.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if endpoint.ca_pem is not None:  # what is given is trusted, be it the node's own certificate that another CA signed
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def check_pin(endpoint: Endpoint, certificate_der: bytes | None) -> None:
    """Raises TlsError when a fingerprint is pinned and ``certificate_der`` is not the one."""
    if endpoint.fingerprint is None:
        return
    found = fingerprint_of(certificate_der or b"")
    if not hmac.compare_digest(found, endpoint.fingerprint):
        raise TlsError(
            "The TLS certificate of PVE changed: its fingerprint is not the pinned one",
            node=endpoint.authority,
            detail=f"expected {endpoint.fingerprint}, found {found}",
        )


async def peer_fingerprint(host: str, port: int = DEFAULT_PORT) -> str:
    """The SHA-256 fingerprint that ``host`` shows now, to be confirmed by a human and pinned. Sends no request.

    Raises UnreachableError, TlsError.
    """
    return fingerprint_of(await _peer_certificate(host, port))


async def peer_authority(host: str, port: int = DEFAULT_PORT) -> str:
    """The name of the CA that signed what ``host`` shows, where PVE made it: each cluster has one of its own, with a uuid in it.

    Empty for a certificate of any other CA. Raises UnreachableError, TlsError.
    """
    try:
        issuer = x509.load_der_x509_certificate(await _peer_certificate(host, port)).issuer
    except ValueError:
        return ""
    organizations = {attribute.value for attribute in issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)}
    return issuer.rfc4514_string() if PVE_AUTHORITY in organizations else ""


async def _peer_certificate(host: str, port: int) -> bytes:
    """The leaf certificate, in DER. Raises UnreachableError, TlsError."""
    endpoint = Endpoint(host, port, verify_tls=False)
    try:
        async with asyncio.timeout(CERTIFICATE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=ssl_context(endpoint))
    except (OSError, ValueError) as error:  # the latter of a host that is no name at all
        raise errors.from_transport(error, endpoint.authority) from error
    try:
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return shown
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)  # the loop closes the socket in its next turn
