"""Where the northbound listens by its own rows, when two programs change that at once."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.northbound import member
from trunkline.northbound.client import Northbound, RefusedError, UnreachableError
from trunkline.northbound.connection import connections, listen, unlisten
from trunkline.northbound.operation import delete, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from trunkline.lab.northbound import Northbound as Served
    from trunkline.northbound.operation import Operation

pytestmark = pytest.mark.system

TARGET, OTHER = "pssl:6641:192.0.2.1", "pssl:6642:192.0.2.1"
"""Places that this machine has not: what is looked at here are the rows."""


class Outrun(Northbound):
    """A client before whose first write somebody else does something."""

    before: Callable[[], object] | None = None

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        if self.before is not None and any(each["op"] != "select" for each in operations):
            before, self.before = self.before, None
            before()
        return super().transact(operations)


@pytest.fixture
def northbound(nb: Served) -> Iterator[Northbound]:
    with Northbound.connect(nb.remote) as connected:
        yield connected


@pytest.fixture
def outrun(nb: Served) -> Iterator[Outrun]:
    with Outrun.connect(nb.remote) as connected:
        assert isinstance(connected, Outrun)
        yield connected


def test_a_server_that_hangs_holds_up_the_first_connection_alone_and_not_for_long(
    nb: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named first, and a command makes several connections: to ask, and to watch."""
    monkeypatch.setattr(member, "FIRST_GLANCE_S", 0.1)
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(tmp_path / "hung.sock"))
        hung.listen()
        hung.setblocking(False)
        remotes = f"unix:{tmp_path}/hung.sock,{nb.remote}"
        with Northbound.connect(remotes, timeout_s=1000) as connected:
            assert connected.rpc.remote == nb.remote
            hung.accept()[0].close()
            with connected.watch(select("NB_Global")) as watched:
                watched.wait_until(lambda rows: bool(rows["NB_Global"]), 60)
            with pytest.raises(BlockingIOError):
                hung.accept()


def test_of_several_servers_of_which_one_hangs_each_is_named_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the time is over before one of them is tried again."""
    monkeypatch.setattr(member, "FIRST_GLANCE_S", 0.1)
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(tmp_path / "hung.sock"))
        hung.listen()
        remotes = f"unix:{tmp_path}/hung.sock,unix:{tmp_path}/nobody.sock"
        with pytest.raises(UnreachableError) as failed:
            member.connect(remotes, 2, end_s=time.monotonic() + 2)
    hangs, nobody = str(failed.value).split("; ", 1)
    assert hangs.startswith(f"unix:{tmp_path}/hung.sock: no answer within ")
    assert f"unix:{tmp_path}/nobody.sock: nobody listens there" in nobody


def test_of_two_programs_that_listen_on_one_target_at_once_both_succeed_and_the_last_ones_role_holds(
    northbound: Northbound, outrun: Outrun
) -> None:
    outrun.before = lambda: listen(northbound, [TARGET], "first")
    listen(outrun, [TARGET, OTHER, OTHER], "last")
    assert connections(northbound) == {TARGET: "last", OTHER: "last"}


def test_a_target_that_goes_while_it_gets_a_role_is_listened_on_all_the_same(
    northbound: Northbound, outrun: Outrun
) -> None:
    listen(northbound, [TARGET], "")
    outrun.before = lambda: unlisten(northbound, [TARGET])
    listen(outrun, [TARGET], "last")
    assert connections(northbound) == {TARGET: "last"}


def test_of_two_programs_that_end_one_target_at_once_the_last_is_told(
    northbound: Northbound, outrun: Outrun
) -> None:
    listen(northbound, [TARGET, OTHER], "")
    outrun.before = lambda: unlisten(northbound, [TARGET])
    with pytest.raises(
        RefusedError, match=r"no connection is called 'pssl:6641:192\.0\.2\.1'; there are: pssl"
    ):
        unlisten(outrun, [OTHER, TARGET])
    assert list(connections(northbound)) == [OTHER]


def test_nothing_listens_by_a_row_that_goes_before(northbound: Northbound, outrun: Outrun) -> None:
    outrun.before = lambda: northbound.transact([delete("NB_Global")])
    with pytest.raises(RefusedError, match="the northbound has no NB_Global row"):
        listen(outrun, [TARGET], "")
    assert connections(northbound) == {}
