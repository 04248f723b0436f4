"""The CA and the certificate of the node.

Both stay in the data folder, so that a pinned fingerprint stays valid.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pve_sandbox.store import write_atomically

LIFETIME = dt.timedelta(days=3650)
PUBLIC = 0o644
AUTHORITY = (
    "PVE Cluster Manager CA"  # PVE's name: clients recognise the nodes of one cluster by it and by the uuid beside it
)
LOCAL_NAMES = ("localhost",)
LOCAL_ADDRESSES = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files. ``fingerprint`` is the SHA-256 of the node's certificate, in PVE's notation."""

    ca_file: Path
    cert_file: Path
    key_file: Path
    fingerprint: str


def node_certificate(folder: Path, names: tuple[str, ...] = ()) -> Certificate:
    """Return the certificate in ``folder``, and create it on first use."""
    ca_file, cert_file, key_file = folder / "pve-root-ca.pem", folder / "pve-ssl.pem", folder / "pve-ssl.key"
    if not (ca_file.exists() and cert_file.exists() and key_file.exists()):
        _make(ca_file, cert_file, key_file, names)
    leaf = x509.load_pem_x509_certificate(cert_file.read_bytes())
    return Certificate(ca_file, cert_file, key_file, leaf.fingerprint(hashes.SHA256()).hex(":").upper())


def _make(ca_file: Path, cert_file: Path, key_file: Path, names: tuple[str, ...]) -> None:
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name(
        [
            *_name("Sandbox node authority"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, str(uuid4())),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, AUTHORITY),
        ]
    )
    authority = (
        _builder(ca_name, ca_name, ca_key.public_key(), ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    hosts: list[x509.GeneralName] = [x509.DNSName(name) for name in (*LOCAL_NAMES, *names)]
    hosts += [x509.IPAddress(ipaddress.ip_address(address)) for address in LOCAL_ADDRESSES]
    leaf = (
        _builder(_name("sandbox"), ca_name, key.public_key(), ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_atomically(key_file, private)
    write_atomically(cert_file, leaf.public_bytes(pem), PUBLIC)
    write_atomically(ca_file, authority.public_bytes(pem), PUBLIC)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, issuer_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
