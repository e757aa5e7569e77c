"""Certificates for tests, made as docs/access.md says: an authority, and files for each name."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


@dataclass(frozen=True)
class Certificate:
    """The files of one name, PEM, and the authority to trust."""

    key: Path
    certificate: Path
    ca: Path

    @property
    def options(self) -> tuple[str, ...]:
        """The options of the program that use these files."""
        return (
            *("--private-key", str(self.key)),
            *("--certificate", str(self.certificate)),
            *("--ca-cert", str(self.ca)),
        )


class Authority:
    """A certificate authority in *folder*, named *name*."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.certificate, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl(
            *("req", "-x509", *_NEW_KEY, "-subj", f"/CN={name}"),
            *("-keyout", str(self._key), "-out", str(self.certificate)),
        )

    def issue(self, name: str) -> Certificate:
        """Return files for *name*, which is the certificate's CN."""
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        _openssl(
            *("req", "-x509", *_NEW_KEY, "-subj", f"/CN={name}", "-CA", str(self.certificate)),
            *("-CAkey", str(self._key), "-keyout", str(key), "-out", str(certificate)),
        )
        return Certificate(key, certificate, self.certificate)


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)
