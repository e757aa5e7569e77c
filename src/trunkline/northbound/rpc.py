"""One JSON-RPC connection to a database server (RFC 7047 section 4), for a client that asks and waits.

The agent replicates the northbound through `ovs.db.idl`; an operator's command does not. It makes a handful
of requests and exits, so start-up time is what counts: importing `ovs.jsonrpc` takes 0.2 s, and where its C
extension is not built it parses 2 MB/s against the 100 MB/s of the standard library.
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
from trunkline.host.unix_path import short
from trunkline.northbound.remote import parse

_CHUNK = 1 << 18

# A signal that comes just before a system call does not interrupt it, and Python only sees it afterwards.
_LONGEST_BLOCK_S = 1.0
_GLANCE_S = 0.001

PROBE_S = 10.0
"""How long nothing may come from a server that notifications are awaited of."""


class UnreachableError(TrunklineError):
    """No database server could be reached, or it stopped answering."""


class Tls(NamedTuple):
    """The files, PEM, by which a client of an `ssl:` remote shows who it is and knows who answers."""

    private_key: str | None = None
    certificate: str | None = None
    ca_cert: str | None = None


class Notification(NamedTuple):
    """A message of the server's that answers no request."""

    method: str
    params: list[Any]


class RequestError(TrunklineError):
    """The server answered a request with an error; *reason* is its own word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@contextmanager
def sensible(remote: str) -> Iterator[None]:
    """Raise UnreachableError where the block fails for what the server at *remote* has answered.

    For a block that takes an answer apart, and does nothing else.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UnreachableError(f"{remote}: the answer makes no sense; is this a database server?") from error


class Rpc:
    """A connection on which one request at a time is made and awaited; echoes are answered meanwhile."""

    def __init__(self, remote: str, stream: socket.socket) -> None:
        self.remote = remote
        self._socket = stream
        self._input = bytearray()
        self._notifications: deque[Notification] = deque()
        self._next_id = 0
        self._has_read = False
        self._heard_s = self._probed_s = time.monotonic()

    @classmethod
    def connect(cls, remote: str, timeout_s: float, tls: Tls | None = None) -> Rpc:
        """Return a connection to *remote*: `unix:PATH`, `tcp:HOST:PORT` or `ssl:HOST:PORT`.

        Raises:
            InvalidValueError: *remote* is written otherwise.
            UnreachableError: nobody answers there; the text says why.
        """
        kind, place, port = parse(remote)
        try:
            if kind == "unix":
                return cls(remote, _unix(place, timeout_s))
            stream = socket.create_connection((place, port), timeout_s)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return cls(remote, stream if kind == "tcp" else _tls(stream, place, tls or Tls()))
        except OSError as error:
            raise UnreachableError(f"{remote}: {_reason(error, kind)}") from error

    def request(self, method: str, params: list[Any], timeout_s: float) -> Any:
        """Return the server's result of *method*; notifications that arrive meanwhile are kept.

        Raises:
            RequestError: the server answered with an error.
            UnreachableError: the connection was lost, or there was no answer within *timeout_s*.
        """
        deadline = time.monotonic() + timeout_s
        self._next_id += 1
        self._send({"method": method, "params": params, "id": self._next_id}, deadline)
        while True:
            message = self._receive(deadline)
            if message is None:
                raise UnreachableError(f"{self.remote}: no answer to {method!r} within {timeout_s:g} s")
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
        """Return whether the server has closed the connection, as far as that is known here by now."""
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
            self._socket.sendall(json.dumps(message).encode())
        except OSError as error:
            raise self._lost(error) from error

    def _receive(self, deadline: float) -> dict[str, Any] | None:
        """Return the next message, None at *deadline*; echoes and notifications are dealt with on the way."""
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
        """Return why the connection ended: with *error*, or closed by the server (None)."""
        reason = "the database server closed the connection" if error is None else _reason(error, "")
        if isinstance(self._socket, ssl.SSLSocket) and not self._has_read:
            # By TLS 1.3 the server judges the client's certificate when the client's handshake is over: its
            # alert may come after a broken pipe, or be lost with it.
            reason = _tls_reason(error) if _is_alert(error) else _alert(self._socket)
        return UnreachableError(f"{self.remote}: {reason}")

    def _parsed(self) -> dict[str, Any] | None:
        """Return the first message of the input, None while it is incomplete.

        RFC 7047 messages have no length before them. One ends in a brace, so only then is it worth a try.
        """
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


def _alert(stream: ssl.SSLSocket) -> str:
    """Return why the server closed *stream*, by the alert that it sent before, if that is to be had."""
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
        with short(Path(path)) as place:
            stream.connect(place)
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
    """Return what *tls* means: trust its authority and no other, and show its certificate if it has one.

    Not `ssl.create_default_context`: without an authority that trusts the whole Internet's, and from Python
    3.13 on it wants extensions (VERIFY_X509_STRICT) that the authorities of ovs-pki(8) do not have.

    Raises:
        UnreachableError: no authority is named, or a file is missing, not readable or not what it should be.
    """
    if not tls.ca_cert:
        raise UnreachableError("no authority is named that the server's certificate must be from; name one")
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
        raise UnreachableError(
            f"{tls.ca_cert}: no certificate of an authority in PEM ({error.reason})"
        ) from error
    if tls.certificate or tls.private_key:
        _show(context, tls.certificate, tls.private_key)
    return context


def _show(context: ssl.SSLContext, certificate: str | None, private_key: str | None) -> None:
    """Have *context* show *certificate*; its key may be in the same file."""
    if not certificate:
        raise UnreachableError(f"{private_key}: a private key without its certificate; name both")
    try:
        # A key with a pass phrase must not have the program wait for somebody to type it.
        context.load_cert_chain(certificate, private_key, password="")
    except ssl.SSLError as error:
        files = f"{certificate} and {private_key}" if private_key else certificate
        raise UnreachableError(
            f"{files}: not a certificate and its key, without a pass phrase, in PEM ({error.reason or error})"
        ) from error


_ALERTS = {
    "CERTIFICATE_REQUIRED": "the server wants a certificate of this client, and got none",
    "HANDSHAKE_FAILURE": "the server refused the handshake; it may want a certificate of this client",
    "UNKNOWN_CA": "the server does not trust the authority of this client's certificate",
    "BAD_CERTIFICATE": "the server refused this client's certificate",
    "CERTIFICATE_EXPIRED": "the server finds this client's certificate expired",
    "CERTIFICATE_REVOKED": "the server finds this client's certificate revoked",
    "CERTIFICATE_UNKNOWN": "the server refused this client's certificate",
    "UNSUPPORTED_CERTIFICATE": "the server refused this client's certificate as unsuitable",
}
"""What alerts that answer a client's certificate mean (RFC 8446 section 6.2), by OpenSSL's word for each."""


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted: {error.verify_message}; is it of the named authority?"
        )
    word = error.reason or str(error)
    alert = next((text for name, text in _ALERTS.items() if word.endswith(f"ALERT_{name}")), None)
    return f"TLS failed: {alert or word}"


def _reason(error: OSError, kind: str) -> str:
    if isinstance(error, ssl.SSLError):
        return _tls_reason(error)
    if isinstance(error, TimeoutError):
        return "no answer in time; is the address right, and does a firewall let it through?"
    if kind == "unix" and error.errno == errno.ENOENT:
        running = "is the northbound running (`trunkline nb start`)"
        return f"no such socket; {running}, or is it elsewhere (`remotes`)?"
    if error.errno == errno.ECONNREFUSED:
        return "connection refused; is the northbound running (`trunkline nb status`)?"
    if error.errno == errno.EACCES:
        return "permission denied; run as a user who may open the socket"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


def _error_text(error: Any) -> str:
    if isinstance(error, dict):
        return ": ".join(str(error[key]) for key in ("error", "details") if key in error)
    return str(error)
