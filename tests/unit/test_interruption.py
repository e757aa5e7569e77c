"""An interruption waits for the end of a block that must not be left half done."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, NoReturn

import pytest

from trunkline.host import interruption
from trunkline.host.interruption import kept_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


class EndedError(Exception):
    pass


def end(number: int, _: FrameType | None) -> NoReturn:
    raise EndedError(number)


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, end), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before[0])
    signal.signal(signal.SIGHUP, before[1])


def interrupted(times: int, *steps: Callable[[], object]) -> None:
    """Take *steps* in a block that is interrupted so often before."""
    with kept_back():
        for _ in range(times):
            signal.raise_signal(signal.SIGTERM)
        for step in steps:
            step()


def test_the_first_interruption_happens_at_the_end_of_the_block() -> None:
    done: list[str] = []
    with pytest.raises(EndedError):
        interrupted(1, lambda: done.append("all of it"))
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGTERM) is end


def test_a_second_interruption_ends_the_block() -> None:
    done: list[str] = []
    with pytest.raises(EndedError):
        interrupted(2, lambda: done.append("all of it"))
    assert done == []
    assert signal.getsignal(signal.SIGTERM) is end


def test_an_interruption_is_not_lost_if_the_block_fails() -> None:
    with pytest.raises(EndedError):
        interrupted(1, [].pop)


def test_an_interruption_that_lasts_too_long_ends_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "PATIENCE_S", 0.01)
    with pytest.raises(EndedError):
        interrupted(1, threading.Event().wait)


def test_what_is_ignored_stays_so_and_other_threads_keep_nothing() -> None:
    with kept_back():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    seen = []

    def work() -> None:
        with kept_back():
            seen.append(signal.getsignal(signal.SIGTERM))

    other = threading.Thread(target=work)
    other.start()
    other.join()
    assert seen == [end]
