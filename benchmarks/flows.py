"""The case `flows`: how long it takes to see the flows of a chassis, as whole processes.

`trunkline flows` beside `ovs-ofctl dump-flows`, which shows the same flows as they are. And what a proof
costs that is watched: the first one, and after a change of one port.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import process_time

from load import Load, network_name, port_name
from ours import PROGRAM, Trunkline
from process import do, now_s
from series import Results

from trunkline.insight.chassis import read as read_chassis
from trunkline.path import isolation, isolation_watch

LIMIT_S = 120.0

Say = Callable[[str], None]


def flows(results: Results, say: Say, load: Load, rounds: int) -> None:
    """Ask a chassis with *load* for its flows, *rounds* times each way."""
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder:
        chassis = Trunkline(Path(folder) / "0", load)
        try:
            chassis.start()
            chassis.settle(LIMIT_S)
            count = chassis.switch.flow_count()
            say(f"flows {load}: at rest, {count:,} flows")
            for _ in range(rounds):
                for work, contender, argv in ways(chassis):
                    elapsed_s, cpu_s = took(argv, chassis)
                    note = f"of {count:,} flows"
                    results.record("flows", work, contender, "s", elapsed_s, note=note)
                    results.record("cpu", f"flows, {work}", contender, "s", cpu_s, note=note)
            watched(results, chassis, rounds)
        finally:
            chassis.close()


def watched(results: Results, chassis: Trunkline, rounds: int) -> None:
    """Have this process watch the proof of *chassis*, and change the MAC of one port *rounds* times."""
    os.environ |= chassis.switch.environment
    with isolation.asked(read_chassis()) as asked:
        watch = isolation_watch.IsolationWatch(asked)
        first_s = proved_in(watch)
        results.record("cpu", "proved, watched: at first", "trunkline", "s", first_s)
        for number in range(rounds):
            chassis.readdress(0, f"02:ff:ff:00:00:{number % 256:02x}", LIMIT_S)
            changed_s = proved_in(watch)
            results.record("cpu", "proved, watched: one port changed", "trunkline", "s", changed_s)
            results.record("flows", "proof: all ÷ one port changed", "trunkline", "×", first_s / changed_s)


def proved_in(watch: isolation_watch.IsolationWatch) -> float:
    """Return how many seconds of CPU an answer took, which says that all is proved."""
    before = process_time()
    found = watch.answer()
    assert found is not None
    assert found["is_proved"], found
    return process_time() - before


def took(argv: list[str], chassis: Trunkline) -> tuple[float, float]:
    """Return how many seconds *argv* ran, and how many of CPU time it and its like used."""
    before, started = getrusage(RUSAGE_CHILDREN), now_s()
    do(argv, chassis.switch.environment)
    elapsed_s, after = now_s() - started, getrusage(RUSAGE_CHILDREN)
    return elapsed_s, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def ways(chassis: Trunkline) -> list[tuple[str, str, list[str]]]:
    """Return what is asked, of whom, and the command for it."""
    ours = [*PROGRAM, "flows"]
    key = network_key(chassis)
    cookie = f"cookie={0x7472 << 48 | 1 << 32 | key:#x}/{0xFFFF00FFFFFFFFFF:#x}"
    ofctl = ["ovs-ofctl", "-O", "OpenFlow14", "dump-flows", f"{chassis.switch.folder}/br-int.mgmt"]
    return [
        ("the program alone", "trunkline", [*PROGRAM, "--version"]),
        ("all, by band", "trunkline", ours),
        ("all, by band", "ovs-ofctl", ofctl),
        ("what was dropped", "trunkline", [*ours, "--drops"]),
        ("one network", "trunkline", [*ours, "--network", network_name(0)]),
        ("one network", "ovs-ofctl", [*ofctl, cookie]),
        ("one port", "trunkline", [*ours, "--port", port_name(0)]),
        ("all, in words", "trunkline", [*ours, "--sort", "packets"]),
        ("all, as text", "trunkline", [*ours, "--raw"]),
        ("proved", "trunkline", [*PROGRAM, "prove"]),
        ("all, as text", "ovs-ofctl", ofctl),
    ]


def network_key(chassis: Trunkline) -> int:
    """Return the key of the first network."""
    shown = do(
        [*PROGRAM, "network", "show", network_name(0)],
        {**chassis.switch.environment, "TRUNKLINE_NB": chassis.remote},
    )
    found = re.search(r"^unique_key +(\d+)$", shown, re.MULTILINE)
    assert found is not None, shown
    return int(found[1])
