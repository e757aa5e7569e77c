"""Host names of remotes: looked up beside the loop, which goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from trunkline.ovsdb import lookup
from trunkline.ovsdb.lookup import Name


class Server:
    """A name server that answers when it is told to."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.answer: list[str] = []
        self.asked = 0

    def resolve(self, host: str) -> list[str]:
        self.asked += 1
        self.may_answer.wait()
        if not self.answer:
            raise OSError(-2, "Name or service not known")
        return self.answer


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.may_answer.set()


def settled(name: Name) -> str | None:
    """Return the address once the lookup under way has ended."""
    name.address()
    for thread in threading.enumerate():
        if thread.name == "lookup nb":
            thread.join()
    return name.address()


def test_a_name_server_that_does_not_answer_holds_nobody_up_and_is_asked_once(server: Server) -> None:
    name = Name("nb", server.resolve)
    assert [name.address() for _ in range(3)] == [None] * 3
    assert server.asked == 1
    server.answer = ["192.0.2.1"]
    server.may_answer.set()
    assert settled(name) == "192.0.2.1"


def test_each_connection_tries_the_next_address(server: Server) -> None:
    server.answer = ["2001:db8::1", "192.0.2.1"]
    server.may_answer.set()
    name = Name("nb", server.resolve)
    assert {settled(name), name.address()} == {"2001:db8::1", "192.0.2.1"}


def test_a_name_is_tried_out_once_each_of_its_addresses_was_tried(server: Server) -> None:
    name = Name("nb", server.resolve)
    name.address()
    assert name.has_address_after(9), "the name server has not answered yet"
    server.answer = ["2001:db8::1", "192.0.2.1"]
    server.may_answer.set()
    settled(name)
    assert [name.has_address_after(tries) for tries in (0, 1, 2)] == [True, True, False]


def test_a_name_that_is_not_found_is_tried_out(server: Server) -> None:
    server.may_answer.set()
    name = Name("nb", server.resolve)
    settled(name)
    assert not name.has_address_after(1)


def test_what_was_found_is_used_while_the_name_server_is_away(server: Server) -> None:
    name = Name("nb", server.resolve)
    server.answer = ["192.0.2.1"]
    server.may_answer.set()
    assert settled(name) == "192.0.2.1"
    server.may_answer.clear()
    assert name.address() == "192.0.2.1"
    server.answer = []
    server.may_answer.set()
    assert settled(name) == "192.0.2.1"
    assert name.failure == "Name or service not known"
    server.answer = ["192.0.2.2"]
    assert settled(name) == "192.0.2.2"
    assert name.failure is None


@pytest.mark.parametrize("place", ["192.0.2.1:6641", "[2001:db8::1]:6641", "2001:db8::1:6641"])
def test_an_address_is_left_as_it_is(place: str) -> None:
    assert lookup.by_address(place) == place


def test_a_name_that_is_none_has_a_reason() -> None:
    assert lookup.by_address("a..b:6641") is None
    assert lookup.failures("unix:/x,tcp:a..b:6641, ssl:192.0.2.1:1").keys() == {"a..b"}
