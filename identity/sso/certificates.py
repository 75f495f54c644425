"""Certificates of SAML identity providers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.exceptions import ValidationError

from core.fields import StringField
from core.late import LateModule

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
else:
    x509 = LateModule("cryptography.x509")  # 2 MiB with the kinds of keys
    ec = LateModule("cryptography.hazmat.primitives.asymmetric.ec")
    rsa = LateModule("cryptography.hazmat.primitives.asymmetric.rsa")

MOST = 3
SMALLEST_RSA = 2048


def read_certificates(pem: str) -> list[x509.Certificate]:
    """The certificates of a PEM text; ValueError when one cannot be read or its key is of no use."""
    certificates = x509.load_pem_x509_certificates(pem.encode())
    for certificate in certificates:
        key = certificate.public_key()
        is_strong = isinstance(key, rsa.RSAPublicKey) and key.key_size >= SMALLEST_RSA
        if not is_strong and not isinstance(key, ec.EllipticCurvePublicKey):
            raise ValueError("the key must be RSA of at least 2048 bits, or an elliptic curve's")
    return certificates


class CertificateField(StringField):
    """One PEM certificate, or a few while the provider changes its key."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(max_length=32_768, **kwargs)

    def to_internal_value(self, data: object) -> str:
        text = super().to_internal_value(data)
        try:
            count = len(read_certificates(text))
        except ValueError as error:
            raise ValidationError(
                "must be a PEM certificate with an RSA key of at least 2048 bits or an elliptic curve's key"
            ) from error
        if count > MOST:
            raise ValidationError(f"must hold at most {MOST} certificates")
        return text
