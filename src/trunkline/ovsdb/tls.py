"""`ssl:` remotes of replicas: the files to show and to trust."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path

import ovs.stream

from trunkline.northbound.rpc import Tls
from trunkline.ovsdb.lookup import by_address
from trunkline.runtime.log import Log
from trunkline.runtime.private import Opened, TlsStream, open_streams, tls_failure_by_remote

log = Log("tls")


def _open(tls: Tls, suffix: str, open_at: Callable[[str], Opened]) -> Opened:
    place = by_address(suffix)
    if place is None:
        return errno.EHOSTUNREACH, None
    # A file that is missing, or is not PEM, raises in `ovs`. The session then tries again, with backoff.
    try:
        return open_at(place)
    except (OSError, ValueError, TypeError) as error:
        reason = _file_fault(tls, error)
        if tls_failure_by_remote.get(f"ssl:{suffix}") != reason:
            log.warning("the files for ssl: cannot be used", error=reason)
        tls_failure_by_remote[f"ssl:{suffix}"] = reason
        return errno.EPROTO, None


def _file_fault(tls: Tls, error: Exception) -> str:
    """Return why the files of *tls* cannot be used, and which one: *error* itself does not name it."""
    for path in filter(None, (tls.private_key, tls.certificate, tls.ca_cert)):
        try:
            Path(path).open("rb").close()
        except OSError as failure:
            return f"{path}: {failure.strerror}"
    return f"{tls.private_key}, {tls.certificate} and {tls.ca_cert} do not fit together: {error}"


def use(tls: Tls) -> None:
    """Use the files of *tls* for all connections to `ssl:` remotes from now on; all three are needed.

    The files are read at each connection, so that a renewed certificate needs no restart.
    """
    stream = ovs.stream.Stream
    stream.ssl_set_private_key_file(tls.private_key)
    stream.ssl_set_certificate_file(tls.certificate)
    stream.ssl_set_ca_cert_file(tls.ca_cert)
    open_streams("ssl", TlsStream, partial(_open, tls))
