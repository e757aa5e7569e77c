"""The cases: what is measured, of every contender in turn."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from contender import Contender
from load import Load, port_name, vlan_id
from ours import Trunkline
from ovn import Ovn
from process import BenchError, now_s
from series import Results

CONTENDERS: tuple[Callable[[Path, Load], Contender], ...] = (Trunkline, Ovn)
HUNDRED = Load(10, 100, 20)
SMALL = Load(200, 2_000, 20)
MIDDLE = Load(1_000, 10_000, 20)
ONE_NETWORK = Load(1_000, 10_000, 1)
LARGE = Load(2_000, 50_000, 20)
SIZES = (SMALL, MIDDLE, ONE_NETWORK, LARGE)
AT_ONCE = 200
BINDS = 200
SELDOM = 4
SLOW_BIND_S = 0.5
"""A contender that takes longer than this to bind takes only every `SELDOM`th turn."""
LIMIT_S = 120.0
ONCE_S = 30.0
"""A contender that takes longer than this is measured once."""
SETTLED_S = 75.0
RETAG_VLAN_IDS = (3001, 3002)

Say = Callable[[str], None]


@contextmanager
def contenders(load: Load, say: Say) -> Iterator[list[Contender]]:
    """Make every contender with *load* for the length of the block."""
    folder = Path(tempfile.mkdtemp(prefix="tl-bench-"))
    made: list[Contender] = []
    try:
        for number, make in enumerate(CONTENDERS):
            started = now_s()
            made.append(make(folder / str(number), load))
            say(f"{made[-1].name} filled with {load} in {now_s() - started:.1f} s")
        yield made
    finally:
        for contender in made:
            contender.close()
        shutil.rmtree(folder)


def _timed(work: Callable[[], None]) -> float:
    started = now_s()
    work()
    return now_s() - started


def _start(contender: Contender, limit_s: float) -> float:
    def work() -> None:
        contender.start()
        contender.settle(limit_s)

    return _timed(work)


def start(results: Results, say: Say, load: Load, rounds: int, limit_s: float = LIMIT_S) -> None:
    """Converge and restart: from the start of the process until all is applied and reported.

    `converge` begins with an empty switch and nothing reported, `restart` with all flows in place. Resident
    memory and CPU time are read at the end of each.
    """
    with contenders(load, say) as all_contenders:
        running = list(all_contenders)
        for number in range(rounds):
            for contender in list(running):
                for case in ("converge", "restart"):
                    try:
                        elapsed_s = _start(contender, limit_s)
                    except BenchError:
                        results.record(
                            case, str(load), contender.name, "s", [], note=f"not within {limit_s:g} s"
                        )
                        say(f"{case} {load}: {contender.name} not within {limit_s:g} s")
                        running.remove(contender)
                        contender.stop()
                        break
                    usage = contender.usage
                    flows = contender.switch.flow_count()
                    results.record(case, str(load), contender.name, "s", elapsed_s, note=f"{flows:,} flows")
                    results.record("cpu", f"{case} {load}", contender.name, "s", usage.cpu_s)
                    results.record("memory", f"{case} {load}", contender.name, "MB", usage.rss_bytes / 1e6)
                    took = f"{elapsed_s:.2f} s, {usage.cpu_s:.2f} s of CPU"
                    say(f"{case} {load}, round {number + 1}: {contender.name} {took}")
                    contender.stop()
                if contender not in running or number + 1 == rounds:
                    continue
                if elapsed_s > ONCE_S:
                    say(f"{contender.name} is not asked again: it takes too long")
                    running.remove(contender)
                else:
                    contender.reset()


def bind(results: Results, say: Say, load: Load, rounds: int) -> None:
    """Bind: from the plugging of one VIF until the northbound says that its port is up; likewise unbind.

    `bind after the switch` is the part from when ovs-vswitchd says the VIF's ofport. Then the change of a
    network's VLAN id, until it is in the switch, and 200 VIFs at once.
    """
    work = str(load)
    with contenders(load, say) as all_contenders:
        for contender in all_contenders:
            contender.start()
            contender.settle(LIMIT_S)
        say(f"bind {work}: all at rest")
        slow: set[str] = set()
        for turn in range(rounds):
            number = load.local + turn % (load.ports - load.local)
            for contender in all_contenders:
                if turn % SELDOM == 0 or contender.name not in slow:
                    bind_s = _bind(results, contender, number)
                    if bind_s > SLOW_BIND_S:
                        slow.add(contender.name)
            # The floor of `bind`: what the switch alone takes until a VIF has its ofport.
            results.record("bind", work, "switch alone", "s", _ofport_s(all_contenders[0]))
        say(f"bind {work}: {rounds} ports bound and unbound")
        for number in range(max(3, rounds // 20)):
            for contender in all_contenders:
                started = now_s()
                contender.retag(0, RETAG_VLAN_IDS[number % 2])
                results.record("retag", work, contender.name, "s", now_s() - started)
        for contender in all_contenders:
            contender.retag(0, vlan_id(0))
            many = range(load.local, min(load.ports, load.local + AT_ONCE))

            def plug_all(which: Contender = contender, numbers: range = many) -> None:
                which.switch.plug(port_name(number) for number in numbers)
                which.await_up(numbers, is_up=True)

            results.record(f"bind {len(many)} at once", work, contender.name, "s", _timed(plug_all))
        say(f"bind {work}: {len(many)} at once")


def _bind(results: Results, contender: Contender, number: int) -> float:
    """Plug one VIF in and out again; return the seconds until it was up."""
    names, work = [port_name(number)], str(contender.load)
    started = now_s()
    contender.switch.plug(names)
    contender.switch.await_ofport(names[0])
    plugged = now_s()
    contender.await_up([number], is_up=True)
    up = now_s()
    results.record("bind", work, contender.name, "s", up - started)
    results.record("bind after the switch", work, contender.name, "s", up - plugged)
    contender.switch.settle()
    started = now_s()
    contender.switch.unplug(names)
    contender.await_up([number], is_up=False)
    results.record("unbind", work, contender.name, "s", now_s() - started)
    contender.switch.settle()
    return up - plugged


def _ofport_s(contender: Contender) -> float:
    started = now_s()
    contender.switch.plug(["nobody"])
    contender.switch.settle()
    elapsed_s = now_s() - started
    contender.switch.unplug(["nobody"])
    contender.switch.settle()
    return elapsed_s


def idle(results: Results, say: Say, load: Load, seconds: float) -> None:
    """Idle: CPU seconds that the controller uses in *seconds* with everything up and nothing to do."""
    with contenders(load, say) as all_contenders:
        for contender in all_contenders:
            contender.start()
            contender.settle(LIMIT_S)
        # What follows a start has ended by then: both announce a new port, several times, and our first
        # audit, 60 s after the start, reads all flows.
        _pause(SETTLED_S)
        before = [contender.usage.cpu_s for contender in all_contenders]
        say(f"idle for {seconds:g} s")
        _pause(seconds)
        for contender, cpu_s in zip(all_contenders, before, strict=True):
            used_s = contender.usage.cpu_s - cpu_s
            results.record("idle", f"{seconds:g} s, {load}", contender.name, "s of CPU", used_s)


def _pause(seconds: float) -> None:
    # Time itself is what is measured here: there is nothing to wait for.
    time.sleep(seconds)
