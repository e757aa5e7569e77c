"""RFC 7047 section 4: messages come in a row, cut anywhere; what is said of servers that are not."""

from __future__ import annotations

import errno
import json
import os
import socket
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model.certificate import Authority
from trunkline.core.error import InvalidValueError
from trunkline.northbound import member
from trunkline.northbound.client import Northbound
from trunkline.northbound.rpc import Notification, RequestError, Rpc, Tls, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Peer:
    """The other end of a connection, which says what it is told to."""

    def __init__(self) -> None:
        ours, self.socket = socket.socketpair()
        self.rpc = Rpc("unix:peer", ours)

    def say(self, *messages: dict[str, Any], piece: int = 1 << 20) -> None:
        data = "".join(json.dumps(message, ensure_ascii=False) for message in messages).encode()

        def send() -> None:
            for start in range(0, len(data), piece):
                self.socket.sendall(data[start : start + piece])

        threading.Thread(target=send, daemon=True).start()


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.rpc.close()
    made.socket.close()


def reply(result: Any, error: Any = None) -> dict[str, Any]:
    return {"id": 1, "result": result, "error": error}


@pytest.mark.parametrize("piece", [1, 2, 7, 4096])
def test_an_answer_is_read_however_it_is_cut_also_within_a_character(peer: Peer, piece: int) -> None:
    result = [{"name": "wéb}{", "deep": {"a": [{}]}}] * 20
    peer.say(reply(result), piece=piece)
    assert peer.rpc.request("transact", [], 10) == result


def test_an_echo_is_answered_and_a_notification_kept_while_an_answer_is_awaited(peer: Peer) -> None:
    echo = {"id": "echo", "method": "echo", "params": ["still there?"]}
    update: dict[str, object] = {"id": None, "method": "update", "params": [None, {}]}
    peer.say(update, echo, reply("done"))
    assert peer.rpc.request("monitor", [], 10) == "done"
    assert peer.rpc.notification(0) == Notification("update", [None, {}])
    assert peer.rpc.notification(0) is None
    sent = peer.socket.recv(1 << 16).decode()
    request, end = json.JSONDecoder().raw_decode(sent)
    assert (request["method"], json.loads(sent[end:])["result"]) == ("monitor", ["still there?"])


def test_an_error_is_told_in_the_servers_words(peer: Peer) -> None:
    peer.say(reply(None, {"error": "unknown database", "details": "x"}))
    with pytest.raises(RequestError, match="unknown database: x"):
        peer.rpc.request("get_schema", ["x"], 10)


def test_no_answer_in_time_is_said_so(peer: Peer) -> None:
    with pytest.raises(UnreachableError, match=r"no answer within 0.05 s: its server is st"):
        peer.rpc.request("list_dbs", [], 0.05)


def test_a_server_that_hangs_up_is_said_so(peer: Peer) -> None:
    peer.socket.shutdown(socket.SHUT_WR)
    with pytest.raises(UnreachableError, match="closed the connection"):
        peer.rpc.request("list_dbs", [], 10)


@pytest.mark.parametrize("code", [errno.ECONNRESET, errno.EPIPE])
def test_a_server_that_hangs_up_is_spoken_of_alike_however_the_system_puts_it(code: int) -> None:
    class Ended(socket.socket):
        def sendall(self, *_: object) -> None:
            raise OSError(code, os.strerror(code))

    with Ended(socket.AF_UNIX) as ended:
        rpc = Rpc("unix:peer", ended)
        with pytest.raises(UnreachableError, match=r"^unix:peer: the database server closed the connection$"):
            rpc.request("list_dbs", [], 10)


def test_a_server_that_ends_the_connection_in_tls_is_said_to_speak_it() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
        with pytest.raises(UnreachableError, match=r"speaks TLS; use `remotes=ssl:192\.0\.2\.1:6641`"):
            Rpc("tcp:192.0.2.1:6641", ours).request("list_dbs", [], 10)
    ours.close()


def test_a_server_that_is_no_database_is_said_so(peer: Peer) -> None:
    peer.socket.sendall(b"SSH-2.0-x\r\n")
    with pytest.raises(UnreachableError, match="is this a database server"):
        peer.rpc.request("list_dbs", [], 10)


def test_a_socket_that_nobody_listens_on_is_said_so() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nb.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
        with pytest.raises(UnreachableError, match="nobody listens there; is the northbound running"):
            Northbound.connect(f"unix:{path}")


@pytest.mark.parametrize(
    "remote",
    [
        *("foo:bar", "unix:", "tcp:192.0.2.1", "tcp:192.0.2.1:x", "/run/nb.sock", "tcp::6641", "tcp:[]:6641"),
        *("tcp:192.0.2.1:0", "tcp:192.0.2.1:65536", "ssl:192.0.2.1:99999", "tcp:a..b:6641"),
        f"tcp:{'x' * 64}:6641",
    ],
)
def test_what_is_no_remote_is_a_usage_error_also_beside_one_that_is(remote: str) -> None:
    """It is wrong whatever runs where: exit code 2, not that of a server that does not answer."""
    for given in (remote, f"unix:/nonexistent/a,{remote}"):
        with pytest.raises(InvalidValueError, match="is not a remote; write unix:PATH"):
            Northbound.connect(given)


@pytest.mark.parametrize(
    "answer",
    [
        b'{"id":1,"error":null,"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id":1,"error":null,"result":[{"rows":7}]}',
        b'{"id":1,"error":null,"result":{"a":1}}',
        b'{"id":1,"error":null,"result":[{"rows":[{"name":5,"schema":{}}]}]}',
        b'{"id":1,"error":null,"result":[{"rows":[{"name":"Trunkline_Northbound","connected":true,"schema":"{}"}]}]}',
        b'{"id":1,"error":null,"result":[{"rows":[{"name":"Trunkline_Northbound","connected":true,"schema":"[[["}]}]}',
        b'{"id":1,"error":null,"result":[{"rows":[{"name":"Trunkline_Northbound","connected":true,'
        b'"schema":"{\\"version\\":\\"x.y\\"}"}]}]}',
        b'{"method":"echo"}',
        b'{"method":["update"]}',
    ],
)
def test_an_answer_that_makes_no_sense_is_said_so(answer: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/nb.sock")
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as stream:
                stream.recv(1 << 16)
                stream.sendall(answer)
                stream.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(UnreachableError, match="the answer cannot be read; is this a database server"):
            Northbound.connect(f"unix:{folder}/nb.sock")


@pytest.mark.parametrize("answer", [b"", bytes.fromhex("15030300020100")], ids=["nothing", "close_notify"])
def test_a_server_that_ends_the_handshake_is_said_to_speak_no_tls(answer: bytes, tmp_path: Path) -> None:
    """Some releases of OpenSSL take a connection that ends for one that TLS has closed."""
    authority = Authority(tmp_path, "ca")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as stream:
                stream.recv(1 << 16)
                stream.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        tls = Tls(ca_cert=str(authority.certificate))
        with pytest.raises(
            UnreachableError, match="the server does not answer in TLS; does it listen without"
        ):
            Northbound.connect(f"ssl:127.0.0.1:{listener.getsockname()[1]}", tls=tls)


def test_a_server_that_too_many_wait_for_is_waited_for(tmp_path: Path) -> None:
    place = str(tmp_path / "nb.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen(1)
        waiting = [socket.socket(socket.AF_UNIX)]
        while waiting[-1].connect_ex(place) == 0:
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
        with pytest.raises(UnreachableError, match="no answer in time: its server is stopped, or very busy"):
            Rpc.connect(f"unix:{place}", 0.01)
        with ThreadPoolExecutor() as pool:
            accepted = pool.submit(lambda: [server.accept()[0] for _ in waiting])
            Rpc.connect(f"unix:{place}", 60).close()
            for each in (*waiting, *accepted.result(60)):
                each.close()


def test_every_remote_that_failed_is_named() -> None:
    with pytest.raises(UnreachableError, match=r"unix:/nonexistent/a: .*; unix:/nonexistent/b: "):
        Northbound.connect("unix:/nonexistent/a, unix:/nonexistent/b")


@pytest.mark.parametrize("verb", ["insert", "update", "mutate", "delete"])
def test_of_a_write_whose_answer_is_lost_it_is_said_that_nobody_knows_whether_it_was_done(
    peer: Peer, verb: str
) -> None:
    with pytest.raises(
        UnreachableError,
        match="it is unknown whether the change was made or still will be: check before you repeat it",
    ):
        member.transact(peer.rpc, "db", [{"op": verb}], 0.05)
    with pytest.raises(UnreachableError, match=r"stopped, or very busy$"):
        member.transact(peer.rpc, "db", [{"op": "select"}], 0.05)
