"""One JSON-RPC connection to a database server (RFC 7047 section 4), for a client that asks and waits.

The agent replicates the northbound through `ovs.db.idl`. An operator's command makes a handful of requests
and exits, so its start-up time counts: importing `ovs.jsonrpc` takes 0.2 s. Without its C extension that
parses 2 MB/s, where the standard library parses 100 MB/s.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from trunkline.core.error import TrunklineError
from trunkline.host.remote import parse
from trunkline.host.unix_path import connect
from trunkline.northbound.message import encoded
from trunkline.northbound.peer import NORTHBOUND, Peer

_CHUNK = 1 << 18

# A signal just before a system call does not interrupt the call, and Python handles it only after the call.
_LONGEST_BLOCK_S = 1.0
_GLANCE_S = 0.001

PROBE_S = 10.0
"""How long a server may send nothing while notifications are awaited, before it is asked for an echo."""


class UnreachableError(TrunklineError):
    """No database server could be reached, or it stopped answering."""


class Tls(NamedTuple):
    """The PEM files of a client of `ssl:` remotes: its key and certificate, and the CA that it trusts."""

    private_key: str | None = None
    certificate: str | None = None
    ca_cert: str | None = None


class Notification(NamedTuple):
    """A message of the server that is not an answer to a request."""

    method: str
    params: list[Any]


class RequestError(TrunklineError):
    """The server answered a request with an error; *reason* is in its own words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@contextmanager
def sensible(remote: str) -> Iterator[None]:
    """Raise UnreachableError if the block fails, as the answer of the server at *remote* is invalid.

    For a block that takes an answer apart, and does nothing else.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UnreachableError(f"{remote}: the answer cannot be read; is this a database server?") from error


class Rpc:
    """A connection with one request at a time; while it waits, it answers the server's echoes."""

    def __init__(self, remote: str, stream: socket.socket, peer: Peer = NORTHBOUND) -> None:
        self.remote, self._peer = remote, peer
        self._socket = stream
        self._input = bytearray()
        self._notifications: deque[Notification] = deque()
        self._next_id = 0
        self._has_read = False
        self._heard_s = self._probed_s = time.monotonic()

    @classmethod
    def connect(cls, remote: str, timeout_s: float, tls: Tls | None = None, peer: Peer = NORTHBOUND) -> Rpc:
        """Return a connection to *remote*, whose database should be that of *peer*.

        That is `unix:PATH`, `tcp:HOST:PORT` or `ssl:HOST:PORT`.

        Raises:
            InvalidValueError: *remote* is none of these.
            UnreachableError: no server answers there; the text says why.
        """
        kind, place, port = parse(remote)
        try:
            if kind == "unix":
                return cls(remote, _unix(place, timeout_s), peer)
            stream = socket.create_connection((place, port), timeout_s)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return cls(remote, stream if kind == "tcp" else _tls(stream, place, tls or Tls()), peer)
        except OSError as error:
            raise UnreachableError(f"{remote}: {_reason(error, kind, peer)}") from error

    def request(self, method: str, params: list[Any], timeout_s: float) -> Any:
        """Return the server's result of *method*; notifications that arrive before it are kept.

        Raises:
            RequestError: the server answered with an error.
            InvalidValueError: a text of *params* is none that a database can hold.
            UnreachableError: the connection was lost, or there was no answer within *timeout_s*.
        """
        deadline = time.monotonic() + timeout_s
        self._next_id += 1
        self._send({"method": method, "params": params, "id": self._next_id}, deadline)
        while True:
            message = self._receive(deadline)
            if message is None:
                raise UnreachableError(
                    f"{self.remote}: no answer within {timeout_s:.2g} s: its server is stopped, or very busy"
                )
            if message.get("id") == self._next_id and "method" not in message:
                if message.get("error") is not None:
                    raise RequestError(_error_text(message["error"]))
                return message.get("result")

    def notification(self, timeout_s: float) -> Notification | None:
        """Return the next notification, or None if none comes within *timeout_s*.

        A server that sends nothing for `PROBE_S` is asked for an echo.

        Raises:
            UnreachableError: the connection was lost, or nothing came for `PROBE_S` after that.
        """
        deadline = time.monotonic() + max(timeout_s, _GLANCE_S)
        while not self._notifications:
            # What came while nobody looked is read before the server is judged.
            until = max(min(deadline, self._quiet_since() + PROBE_S), time.monotonic() + _GLANCE_S)
            if self._receive(until) is not None:
                continue
            now_s = time.monotonic()
            if now_s >= self._quiet_since() + PROBE_S:
                self._probe(now_s)
            elif now_s >= deadline:
                return None
        return self._notifications.popleft()

    def _quiet_since(self) -> float:
        return max(self._heard_s, self._probed_s)

    def _probe(self, now_s: float) -> None:
        """Ask the server for an echo; raise UnreachableError if it has not answered the one before."""
        if self._probed_s > self._heard_s:
            raise UnreachableError(f"{self.remote}: no sign of life for {now_s - self._heard_s:.0f} s")
        self._probed_s = now_s
        self._send({"method": "echo", "params": [], "id": "probe"}, now_s + PROBE_S)

    def has_ended(self) -> bool:
        """Return whether the server has closed the connection, as far as is known by now."""
        ready = select.poll()
        ready.register(self._socket, select.POLLIN)
        try:
            while ready.poll(0):
                self._receive(time.monotonic() + _GLANCE_S)
        except UnreachableError:
            return True
        return False

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _send(self, message: dict[str, Any], deadline: float) -> None:
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            self._socket.sendall(encoded(message))
        except OSError as error:
            raise self._lost(error) from error

    def _receive(self, deadline: float) -> dict[str, Any] | None:
        """Return the next message, None at *deadline*; echoes are answered and notifications kept first."""
        while (message := self._parsed()) is None:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                return None
            self._socket.settimeout(min(remaining_s, _LONGEST_BLOCK_S))
            try:
                data = self._socket.recv(_CHUNK)
            except TimeoutError:
                continue
            except OSError as error:
                raise self._lost(error) from error
            if not data:
                raise self._lost(None)
            self._has_read = True
            self._heard_s = time.monotonic()
            self._input += data
        method = message.get("method")
        with sensible(self.remote):
            if method == "echo":
                self._send({"result": message["params"], "error": None, "id": message["id"]}, deadline)
            elif method is not None:
                self._notifications.append(Notification(method, message["params"]))
        return message

    def _lost(self, error: OSError | None) -> UnreachableError:
        """Return the error that says why the connection ended: by *error*, or closed by the server (None)."""
        reason = _CLOSED if error is None else _reason(error, "", self._peer)
        if not self._has_read:
            kind, place, port = parse(self.remote)
            if kind == "ssl":
                # In TLS 1.3 the server checks the client's certificate after the client's handshake is over:
                # the alert may come after a broken pipe, or be lost with it.
                reason = _tls_reason(error) if _is_alert(error) else _alert(self._socket)
            elif kind == "tcp" and reason == _CLOSED and _speaks_tls(place, port):
                reason = self._peer.speaks_tls(self.remote)
        return UnreachableError(f"{self.remote}: {reason}")

    def _parsed(self) -> dict[str, Any] | None:
        """Return the first message of the input, None while it is incomplete.

        A message of RFC 7047 does not say how long it is. It ends in a brace, so the input is parsed only if
        it ends in one.
        """
        if self._input.startswith(_TLS_ALERT):
            raise UnreachableError(f"{self.remote}: {self._peer.speaks_tls(self.remote)}")
        if self._input and not self._input.startswith(b"{"):
            raise UnreachableError(f"{self.remote}: the answer is not JSON-RPC; is this a database server?")
        if not self._input.endswith((b"}", b"}\n")):
            return None
        text = self._input.decode(errors="replace")
        with sensible(self.remote):
            try:
                message, end = json.JSONDecoder().raw_decode(text)
            except json.JSONDecodeError:
                return None
        self._input = bytearray(text[end:].strip().encode())
        return message if isinstance(message, dict) else {}


_CLOSED = "the database server closed the connection"

_TLS_ALERT = b"\x15\x03"
"""How the alert begins with which a server of TLS may answer what is not TLS (RFC 8446 section 5.1)."""


def _speaks_tls(host: str, port: int) -> bool:
    """Return whether the server at *host* and *port* takes part in a handshake of TLS, or ends it in TLS.

    A database server that listens for TLS closes the connection of a client that does not begin with it, and
    says nothing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), _LONGEST_BLOCK_S) as stream, context.wrap_socket(stream):
            return True
    except OSError as error:
        return _is_alert(error)


def _alert(stream: socket.socket) -> str:
    """Return why the server closed *stream*, by the alert that it sent before, if that can still be read."""
    try:
        stream.settimeout(_LONGEST_BLOCK_S)
        stream.recv(1)
    except OSError as error:
        if _is_alert(error):
            return _tls_reason(error)
    return "the server closed the connection; it may not accept this client's certificate"


def _is_alert(error: OSError | None) -> TypeGuard[ssl.SSLError]:
    return isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "")


def _unix(path: str, timeout_s: float) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.settimeout(timeout_s)
    try:
        connect(stream, Path(path), timeout_s)
    except OSError:
        stream.close()
        raise
    return stream


def _tls(stream: socket.socket, host: str, tls: Tls) -> ssl.SSLSocket:
    try:
        return _tls_context(tls).wrap_socket(stream, server_hostname=host)
    except BaseException:
        stream.close()
        raise


def _tls_context(tls: Tls) -> ssl.SSLContext:
    """Return a context that trusts the CA of *tls* alone, and presents its certificate if it has one.

    `ssl.create_default_context` is not used: without a CA it trusts those of the whole Internet, and from
    Python 3.13 on it requires extensions (VERIFY_X509_STRICT) that the CAs of ovs-pki(8) do not have.

    Raises:
        UnreachableError: there is no CA, or a file is missing, not readable or invalid.
    """
    if not tls.ca_cert:
        raise UnreachableError(
            "no CA certificate is given, to verify the server's certificate with; give one"
        )
    for file in filter(None, tls):
        if not os.access(file, os.R_OK):
            raise UnreachableError(f"{file}: no such file, or not readable; TLS needs it")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Open vSwitch's own certificates name no host: the CA is what is trusted, as in ovs-vsctl(8).
    context.check_hostname = False
    try:
        context.load_verify_locations(tls.ca_cert)
    except ssl.SSLError as error:
        raise UnreachableError(f"{tls.ca_cert}: not a CA certificate in PEM ({error.reason})") from error
    if tls.certificate or tls.private_key:
        _show(context, tls.certificate, tls.private_key)
    return context


def _show(context: ssl.SSLContext, certificate: str | None, private_key: str | None) -> None:
    """Have *context* present *certificate*; its key may be in the same file."""
    if not certificate:
        raise UnreachableError(f"{private_key}: a private key without its certificate; give both")
    try:
        # If the key has a pass phrase, the program must fail, and not wait for somebody to type it.
        context.load_cert_chain(certificate, private_key, password="")
    except ssl.SSLError as error:
        files = f"{certificate} and {private_key}" if private_key else certificate
        raise UnreachableError(
            f"{files}: not a certificate and its key, without a pass phrase, in PEM ({error.reason or error})"
        ) from error


_ALERTS = {
    "CERTIFICATE_REQUIRED": "the server requires a client certificate, and got none",
    "HANDSHAKE_FAILURE": "the server refused the handshake; it may require a client certificate",
    "UNKNOWN_CA": "the server does not trust the CA of this client's certificate",
    "BAD_CERTIFICATE": "the server refused this client's certificate",
    "CERTIFICATE_EXPIRED": "the server says that this client's certificate has expired",
    "CERTIFICATE_REVOKED": "the server says that this client's certificate was revoked",
    "CERTIFICATE_UNKNOWN": "the server refused this client's certificate",
    "UNSUPPORTED_CERTIFICATE": "the server refused this client's certificate as unsuitable",
}
"""What the alerts about a client's certificate mean (RFC 8446 section 6.2), by OpenSSL's word for each."""


RENEW = "renew the server's certificate, or that of its CA"
"""What to do about a certificate that has expired."""

_ACTS = {9: "are the clocks right, here and there?", 10: RENEW}
"""What to do by X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (x509_vfy.h)."""


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        act = _ACTS.get(error.verify_code, "is it from the given CA?")
        return f"the server's certificate is not trusted: {error.verify_message}; {act}"
    word = error.reason or str(error)
    ended = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    if ended or word in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return "the server does not answer in TLS; does it listen without it, at tcp:HOST:PORT?"
    alert = next((text for name, text in _ALERTS.items() if word.endswith(f"ALERT_{name}")), None)
    return f"TLS failed: {alert or word}"


def _reason(error: OSError, kind: str, peer: Peer) -> str:
    if isinstance(error, ssl.SSLError):
        return _tls_reason(error)
    if isinstance(error, TimeoutError) and kind == "unix":
        return "no answer in time: its server is stopped, or very busy"
    if isinstance(error, TimeoutError):
        return "no answer in time; is the address right, and does a firewall let it through?"
    if error.errno in (errno.ECONNREFUSED, errno.ENOENT):
        return f"nobody listens there; {peer.remedy}"
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return _CLOSED
    if error.errno == errno.EACCES:
        return "permission denied; run as a user who may open the socket"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


def _error_text(error: Any) -> str:
    if isinstance(error, dict):
        return ": ".join(str(error[key]) for key in ("error", "details") if key in error)
    return str(error)
