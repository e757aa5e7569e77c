"""Where the northbound listens by its own rows, when two programs change that at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from trunkline.northbound.client import Northbound, RefusedError
from trunkline.northbound.connection import connections, listen, unlisten
from trunkline.northbound.operation import delete

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
