"""A certificate that a board makes for itself, and the fingerprint by which trainees know it.

No authority vouches for it. The fingerprint is a part of the join code, which trainees have from the projector: whoever
listens between can have another certificate, and no other with the same fingerprint.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.classroom.room import ALPHABET

if TYPE_CHECKING:
    from cryptography import x509

_DIGITS = 16
"""How many of them a fingerprint has: 79 bits."""


def fingerprint(certificate: bytes) -> str:
    """The fingerprint of a certificate in DER, in the letters of join codes."""
    number = int.from_bytes(hashlib.sha256(certificate).digest())
    digits = []
    for _ in range(_DIGITS):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(digits)


def make(folder: Path, names: tuple[str, ...], now: datetime | None = None) -> tuple[Path, Path, str]:
    """Write a certificate for these names and addresses, with its key; the files, and the fingerprint.

    It is valid for a week.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    began = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "labkit class")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began - timedelta(days=1))
        .not_valid_after(began + timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([_name(each) for each in dict.fromkeys(names)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "certificate.pem", folder / "key.pem"
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file, key_file, fingerprint(certificate.public_bytes(Encoding.DER))


def _name(text: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
