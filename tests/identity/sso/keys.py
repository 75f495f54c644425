"""Keys and certificates of identity providers, made for the tests that need them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


@dataclasses.dataclass(frozen=True)
class Signer:
    """A private key and its certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def new_certificate(*, days: int = 30, bits: int = 2048) -> Signer:
    """A self-signed certificate that is good from yesterday for some days; none ends it in the past."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.example")])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=2))
        .not_valid_after(now + dt.timedelta(days=days or -1))
    )
    return Signer(key, builder.sign(key, hashes.SHA256()))


@functools.cache
def idp_signer() -> Signer:
    """The key of the identity provider of most tests."""
    return new_certificate()


@functools.cache
def other_signer() -> Signer:
    """Somebody else's key."""
    return new_certificate()
