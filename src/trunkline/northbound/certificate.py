"""The name in a certificate: its CN, by which the database's server knows a client (RFC 5280 section 4.1)."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTEXT_0, _SEQUENCE, _UTF16 = 0xA0, 0x30, 0x1E
_COMMON_NAME = bytes.fromhex("0603550403")
"""The object identifier 2.5.4.3, as DER has it."""


def common_name(path: str) -> str | None:
    """Return the CN of the first certificate in the PEM file at *path*; None if there is none to be read."""
    try:
        text = Path(path).read_text(errors="replace")
        begin = text.index(ssl.PEM_HEADER)
        end = text.index(ssl.PEM_FOOTER, begin) + len(ssl.PEM_FOOTER)
        (_, certificate), *_ = _elements(ssl.PEM_cert_to_DER_cert(text[begin:end]))
        (_, to_be_signed), *_ = _elements(certificate)
        fields = [content for tag, content in _elements(to_be_signed) if tag != _CONTEXT_0]
        # The serial number, the signature's algorithm, the issuer, the validity, and then the subject.
        return _name(fields[4])
    except (OSError, ValueError, IndexError):
        return None


def _name(subject: bytes) -> str | None:
    for _, names in _elements(subject):
        for tag, attribute in _elements(names):
            if tag == _SEQUENCE and attribute.startswith(_COMMON_NAME):
                (kind, value), *_ = _elements(attribute[len(_COMMON_NAME) :])
                return value.decode("utf-16-be" if kind == _UTF16 else "utf-8", errors="replace")
    return None


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element of *data*, DER (X.690 sections 8.1 and 10.1)."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(data[at : at + count]), at + count
        yield tag, data[at : at + length]
        at += length
