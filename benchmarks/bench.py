"""The benchmarks: `scripts/bench [--quick] [--out DIRECTORY] [NAME …]`.

A name is a case: start (converge, restart, memory and cpu), bind, install, idle, forward, scale, narrow,
flows, apply, probe, metrics.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import apply
import cases
import probe
import report
from flows import flows
from forward.case import forward
from install import install
from narrow import SIZES, narrow
from process import now_s
from scale import case as scale
from scrape import scrape
from series import Results

from trunkline.lab.datapath import DATAPATHS, NETDEV, SYSTEM

NAMES = (
    "install",
    "start",
    "bind",
    "idle",
    "forward",
    "scale",
    "narrow",
    "flows",
    "apply",
    "probe",
    "metrics",
)
ALIASES = {"converge": "start", "restart": "start", "memory": "start", "cpu": "idle"}
STARTED_S = now_s()


def say(text: str) -> None:
    """Show progress."""
    print(f"{now_s() - STARTED_S:7.1f} s  {text}", file=sys.stderr, flush=True)


def run(name: str, results: Results, datapath_type: str, *, is_quick: bool) -> None:
    """Run the case *name*; a quick run has fewer rounds, and no large size."""
    if name == "install":
        install(results, say, 3 if is_quick else 9)
    elif name == "start":
        for load in cases.SIZES[: 2 if is_quick else None]:
            # What the targets are about is run often: the speed of a shared machine changes within a minute.
            rounds = 7 if load == cases.MIDDLE else 3
            cases.start(results, say, load, rounds=1 if is_quick else rounds)
    elif name == "bind":
        for load in (cases.HUNDRED, cases.MIDDLE):
            cases.bind(results, say, load, 10 if is_quick else cases.BINDS)
    elif name == "forward":
        forward(results, say, 2 if is_quick else 9, datapath_type)
    elif name == "scale":
        size = (scale.QUICK, scale.QUICK_ROUNDS) if is_quick else (scale.FULL, scale.FULL_ROUNDS)
        scale.scale(results, say, *size)
    elif name == "narrow":
        narrow(results, say, SIZES[: 1 if is_quick else None], 5 if is_quick else 20)
    elif name == "flows":
        flows(results, say, cases.MIDDLE, 3 if is_quick else 9)
    elif name == "probe":
        for chassis, networks in probe.SIZES[: 1 if is_quick else None]:
            probe.probe(results, say, chassis, networks, 3)
    elif name == "apply":
        for load in apply.SIZES[: 2 if is_quick else None]:
            apply.apply(results, say, load, 3 if is_quick else 9)
    elif name == "metrics":
        scrape(results, say, cases.MIDDLE, 3 if is_quick else 9)
    else:
        cases.idle(results, say, cases.MIDDLE, 10.0 if is_quick else 60.0)


def main() -> None:
    """Run what the command line names, and report."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and sizes")
    parser.add_argument("--out", type=Path, help="where results.json and the plots go; no files without it")
    parser.add_argument(
        "--datapath",
        choices=DATAPATHS,
        default=NETDEV,
        help="of `forward`; system, the kernel's, has a kernel of its own",
    )
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in (*NAMES, *ALIASES)]
    if unknown:
        parser.error(f"there is no case {unknown[0]!r}; give some of {', '.join((*NAMES, *ALIASES))}")
    # Ended by kill(1) or timeout(1), it ends what it has started.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    results = Results()
    if asked.datapath == SYSTEM and asked.names != ["forward"]:
        parser.error(f"--datapath {SYSTEM}: only `forward` is measured there; give `forward` alone")
    names = list(dict.fromkeys(ALIASES.get(name, name) for name in asked.names or NAMES))
    for number, name in enumerate(names, 1):
        say(f"case {number} of {len(names)}: {name}")
        try:
            run(name, results, asked.datapath, is_quick=asked.quick)
        finally:
            if asked.out is not None:
                # Slow to import, and for those alone who want files.
                import plot

                asked.out.mkdir(parents=True, exist_ok=True)
                report.write_json(results, asked.out / "results.json")
                plot.write(results, asked.out)
    print(report.table(results))


if __name__ == "__main__":
    main()
