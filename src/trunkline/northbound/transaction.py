"""A guarded transaction: read, guard what was read, write; and again if another writer came first."""

from __future__ import annotations

import gc
import random
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from trunkline.northbound.check import Check
from trunkline.northbound.operation import ABORT, select
from trunkline.northbound.refusal import RefusedError, TransactionError, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trunkline.northbound.operation import Operation, Row

    Read: TypeAlias = Callable[..., list[list[Row]]]
    """Returns the rows that each of some selects finds, all read at the same moment."""

_ATTEMPTS = 40
_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.25


class Guard(NamedTuple):
    """A `wait` for rows to be as they were read; if they are not, the transaction is prepared again."""

    operation: Operation


Part: TypeAlias = "Operation | Check | Guard"
"""A part of a transaction: an operation; or a check or a guard, which may abort the transaction."""


class Database(Protocol):
    """What a transaction needs of the client."""

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        """Do *operations* in one transaction: all of them or none."""

    def read(self, *selects: Operation) -> list[list[Row]]:
        """Return the rows that each of *selects* finds, all as of one moment."""


Around: TypeAlias = "Callable[[], AbstractContextManager[object]]"


def write(
    nb: Database,
    parts: Callable[[], Sequence[Part]],
    *,
    is_rehearsal: bool = False,
    around: Around = nullcontext,
) -> None:
    """Do *parts()* in one transaction; if one of its guards fails, call it again, to read again.

    If there are no parts, nothing is sent. A rehearsal changes nothing: the database checks all but indexes
    and references, and then aborts the transaction. Each attempt to commit is made inside *around()*.

    Raises:
        RefusedError, NotFoundError: a check fails, or the database refuses; or other writers came first
            again and again.
        TransactionError: the database refuses, and the error has its own words.
    """
    for pause_s in _pauses():
        with no_collection():
            wanted = [*parts(), *([ABORT] if is_rehearsal else [])]
            if not wanted or _is_done(nb, wanted, around):
                return
        time.sleep(pause_s)
    raise RefusedError(f"other writers came first {_ATTEMPTS} times; try again")


def _is_done(nb: Database, parts: Sequence[Part], around: Around) -> bool:
    """Do *parts* in one transaction; return False if a guard failed."""
    operations = [part if isinstance(part, dict) else part.operation for part in parts]
    try:
        with around():
            nb.transact(operations)
    except TransactionError as error:
        failed = parts[error.position] if error.position < len(parts) else None
        if failed is ABORT:
            return True
        if isinstance(failed, Guard) and error.error == "timed out":
            return False
        if isinstance(failed, Check) and error.error == "timed out":
            names = sorted(row["name"] for row in nb.read(failed.culprits)[0]) if failed.blame else []
            raise (failed.blame(names) if failed.blame and names else failed.error) from error
        reason = refusal(error, lambda table, where: nb.read(select(table, *where))[0])
        if reason is error:
            raise
        raise reason from error
    return True


@contextmanager
def no_collection() -> Iterator[None]:
    """Run the block without the garbage collector.

    There is no garbage among the rows that are prepared. Looking through 10,000 of them again and again takes
    0.25 s, as long as all the rest.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _pauses() -> Iterator[float]:
    """Yield how long to wait, in seconds, after each attempt that another writer made fail."""
    longest_s = _FIRST_PAUSE_S
    for _ in range(_ATTEMPTS):
        yield random.uniform(0, longest_s)
        longest_s = min(longest_s * 2, _LONGEST_PAUSE_S)
