"""Certificates for tests: an authority, and files for each name.

They have the least that Open vSwitch wants, fewer extensions than docs/access.md tells to make: people have
such certificates, from ovs-pki(8) or by an older page.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """The files of one name, PEM, and the authority to trust."""

    key: Path
    certificate: Path
    ca: Path

    @classmethod
    def of(cls, folder: Path, name: str, ca: str = "ca") -> Certificate:
        """Return the files of *name* in *folder*."""
        return cls(folder / f"{name}.key", folder / f"{name}.pem", folder / f"{ca}.pem")

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
        (folder / "leaf.ext").write_text("basicConstraints=critical,CA:FALSE\n")
        (folder / "issued.txt").touch()
        (folder / "ca.conf").write_text(
            f"[ca]\ndefault_ca=all\n[all]\ndatabase={folder}/issued.txt\nnew_certs_dir={folder}\n"
            "rand_serial=yes\nunique_subject=no\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n"
        )
        self.certificate, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        openssl(
            *("req", "-x509", *_NEW_KEY, "-subj", f"/CN={name}"),
            *("-keyout", str(self._key), "-out", str(self.certificate)),
        )

    @classmethod
    def usurped(cls, files: Certificate) -> Authority:
        """Return what would issue with the key of *files*, whose certificate is no authority's."""
        authority = object.__new__(cls)
        authority.folder, authority.certificate, authority._key = (
            files.key.parent,
            files.certificate,
            files.key,
        )
        return authority

    def issue(self, name: str, days: int = 2) -> Certificate:
        """Return files for *name*, which is the certificate's CN; they expire in *days*; in -1, yesterday."""
        key, certificate, request = (self.folder / f"{name}.{end}" for end in ("key", "pem", "csr"))
        openssl(*("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request)))
        now = datetime.now(UTC)
        begin, end = (f"{now + timedelta(days=each):%Y%m%d%H%M%SZ}" for each in (-2, days))
        # `openssl x509 -days` takes no day before today since 3.4.
        openssl(
            *("ca", "-batch", "-notext", "-config", str(self.folder / "ca.conf")),
            *("-cert", str(self.certificate), "-keyfile", str(self._key)),
            *("-in", str(request), "-out", str(certificate), "-extfile", str(self.folder / "leaf.ext")),
            *("-startdate", begin, "-enddate", end),
        )
        return Certificate(key, certificate, self.certificate)


def openssl(*words: str) -> None:
    """Run `openssl`, which has to succeed."""
    subprocess.run(["openssl", *words], check=True, capture_output=True)
