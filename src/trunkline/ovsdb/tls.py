"""`ssl:` remotes of replicas: the files to show and to trust, and repairs of the `ovs` package's stream."""

from __future__ import annotations

import errno
import ssl
from typing import Any

import ovs.poller
import ovs.socket_util
import ovs.stream

from trunkline.northbound.rpc import Tls
from trunkline.ovsdb.lookup import by_address
from trunkline.runtime.log import Log

log = Log("tls")


class _TlsStream(ovs.stream.SSLStream):  # type: ignore[misc]
    """The stream of `ovs`, for a process that must not end where a file is wrong for a while."""

    @staticmethod
    def _open(suffix: str, dscp: int) -> tuple[int, Any]:
        place = by_address(suffix)
        if place is None:
            return errno.EHOSTUNREACH, None
        # A file that is missing or no PEM raises in `ovs`; the session then tries again, with backoff.
        try:
            opened: tuple[int, Any] = ovs.stream.SSLStream._open(place, dscp)
        except (OSError, ValueError, TypeError) as error:
            log.warning("the files for ssl: cannot be used", error=error)
            return errno.EPROTO, None
        return opened

    _awaits_peer = False

    def connect(self) -> int:
        """Return 0 when the connection and its TLS handshake are done, EAGAIN while they are not."""
        self._awaits_peer = False
        error: int = ovs.stream.Stream.connect(self)
        if error:
            return error
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._awaits_peer = True
            return errno.EAGAIN
        except ssl.SSLWantWriteError:
            return errno.EAGAIN
        except OSError as failure:
            if isinstance(failure, ssl.SSLError):
                log.warning("TLS failed", peer=self.name, error=failure)
            return int(ovs.socket_util.get_exception_errno(failure))
        return 0

    def wait(self, poller: ovs.poller.Poller, wait: int) -> None:
        if self._awaits_peer:
            # A socket in the handshake is writable all the time: waiting for that would be a busy loop.
            poller.fd_wait(self.socket, ovs.poller.POLLIN)
            return
        # What OpenSSL has decrypted already does not make the socket readable again.
        if wait == ovs.stream.Stream.W_RECV and self.socket.pending():
            poller.immediate_wake()
        super().wait(poller, wait)


def use(tls: Tls) -> None:
    """Have replicas that connect from now on to `ssl:` remotes use the files of *tls*; all three are needed.

    The files are read at each connection, so that a renewed certificate needs no restart.
    """
    stream = ovs.stream.Stream
    stream.ssl_set_private_key_file(tls.private_key)
    stream.ssl_set_certificate_file(tls.certificate)
    stream.ssl_set_ca_cert_file(tls.ca_cert)
    stream.register_method("ssl", _TlsStream)
