"""Fixtures of the system tests: a northbound, chassis and whole labs, taken down when the test is over."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from dummy_chassis import chassis, site  # noqa: F401 - fixtures

from trunkline.lab import Lab, topology
from trunkline.lab import lab as labs
from trunkline.lab.journal import Journal, Process
from trunkline.lab.northbound import Northbound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.lab.topology import Topology

_MARK = "made-by-tests"
_numbers = itertools.count()


class LabFactory(Protocol):
    """Brings a lab up from a topology, or from its YAML without `name`, under a name of its own."""

    def __call__(self, wanted: Topology | str, *, agents: bool = True) -> Lab: ...


@pytest.fixture(scope="session", autouse=True)
def _no_leftovers() -> None:
    """Take down the labs of test runs that were killed, in one of the workers that start together."""
    labs.STATE.mkdir(parents=True, exist_ok=True)
    lock = os.open(labs.STATE, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in labs.names():
            if _is_left(name):
                labs.down(name)
    finally:
        os.close(lock)


def _is_left(name: str) -> bool:
    """Whether a test made the lab of that name, in a process that has ended; its mark names the process."""
    try:
        pid, start_ticks = json.loads((labs.STATE / name / _MARK).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False  # another's lab, or one that a test makes or takes down at this moment
    return not Process(pid, start_ticks).is_running


@contextmanager
def _labs() -> Iterator[LabFactory]:
    with ExitStack() as stack:

        def up(wanted: Topology | str, *, agents: bool = True) -> Lab:
            found = topology.parse(f"name: test\n{wanted}", "topology") if isinstance(wanted, str) else wanted
            running = stack.enter_context(Lab.up(found.named(_lab_name()), agents=agents))
            us = Process.of(os.getpid())
            (running.directory / _MARK).write_text(json.dumps([us.pid, us.start_ticks]))
            return running

        yield up


@pytest.fixture
def lab() -> Iterator[LabFactory]:
    with _labs() as up:
        yield up


@pytest.fixture(scope="module")
def lasting_lab() -> Iterator[LabFactory]:
    """For labs that the tests of a module share, each leaving them as they were."""
    with _labs() as up:
        yield up


@pytest.fixture
def nb() -> Iterator[Northbound]:
    # Not pytest's own directory, whose names are too long for a Unix socket (107 bytes, unix(7)).
    directory = Path(tempfile.mkdtemp(prefix="tl-nb-"))
    journal = Journal(directory)
    server = Northbound(directory, journal)
    try:
        server.start()
        yield server
    finally:
        journal.undo()
        shutil.rmtree(directory)


def _lab_name() -> str:
    return f"t{os.getpid():06x}{next(_numbers) & 0xFFF:03x}"
