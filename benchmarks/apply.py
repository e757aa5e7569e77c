"""The case `apply`: what `trunkline apply` of many ports takes, against what the database alone takes.

"database alone": the same transaction, ready to be sent, on a connection that is open, until the answer is
here. "trunkline": the whole program `trunkline apply --yes`, from its start to its end, files and all. They
take turns, each with an empty northbound of its own. Two parts of the program that no code of ours can make
faster are measured as well: "events of PyYAML" are those of the file, and nothing is done with them; "start"
is the program with a file of one network, on a northbound that is not there.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import yaml
from load import Load, address, mac, network_name, port_name, vlan_id
from process import BenchError, do, now_s
from series import Results

from trunkline.lab.journal import Journal
from trunkline.lab.northbound import Northbound as Served
from trunkline.manifest import wanted
from trunkline.manifest.difference import difference
from trunkline.manifest.present import present
from trunkline.northbound.client import Northbound
from trunkline.northbound.draft import Draft
from trunkline.northbound.schema import DATABASE

SIZES = (Load(0, 1_000, 20), Load(0, 10_000, 20), Load(0, 100_000, 20))
_CHUNK = 1 << 20


def apply(results: Results, say: Callable[[str], None], load: Load, rounds: int) -> None:
    """Apply *load* to an empty northbound, *rounds* times, and then once more, with nothing to do."""
    work = f"{load.ports:,} ports in {load.networks} networks"
    with tempfile.TemporaryDirectory(prefix="tl-apply-") as folder:
        file = Path(folder) / "all.yaml"
        file.write_text(_documents(load))
        for _ in range(rounds):
            with _served() as served:
                alone_s, alone_cpu_s = _alone(served, file)
            with _served() as served:
                took_s, cpu_s, server_s = _program(served, "apply", "-f", str(file), "--yes")
                again_s, again_cpu_s, _ = _program(served, "apply", "-f", str(file), "--yes")
            for case, contender, value in (
                ("apply", "database alone", alone_s),
                ("apply", "trunkline", took_s),
                ("apply: CPU", "database alone", alone_cpu_s),
                ("apply: CPU", "trunkline", cpu_s + server_s),
                ("apply: CPU", "trunkline's own part", cpu_s),
                ("apply: CPU", "events of PyYAML", _events_s(file)),
                ("apply: CPU", "start", _start_s(Path(folder))),
                ("apply again, nothing to do", "trunkline", again_s),
                ("apply again, nothing to do: CPU", "trunkline's own part", again_cpu_s),
            ):
                results.record(case, work, contender, "s", value)
            results.record("apply: ratio to the database alone", work, "trunkline", "", took_s / alone_s)
            ratio = (cpu_s + server_s) / alone_cpu_s
            results.record("apply: CPU, ratio to the database alone", work, "trunkline", "", ratio)
            say(f"apply {work}: {took_s:.2f} s, the database alone {alone_s:.2f} s")


def _documents(load: Load) -> str:
    networks = (
        f"kind: Network\nname: {network_name(number)}\nnetwork_type: vlan\nphysical_network: physnet1\n"
        f"segmentation_id: {vlan_id(number)}\n"
        for number in range(load.networks)
    )
    ports = (
        f"kind: Port\nname: {port_name(number)}\nnetwork: {network_name(load.network_of(number))}\n"
        f"mac: {mac(number)}\naddresses: [{address(number)}]\n"
        for number in range(load.ports)
    )
    return "---\n".join((*networks, *ports))


@contextmanager
def _served() -> Iterator[Served]:
    """Serve an empty northbound for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="tl-apply-") as folder:
        journal = Journal(Path(folder))
        served = Served(Path(folder), journal)
        try:
            served.start()
            yield served
        finally:
            journal.undo()


def _cpu_s(served: Served) -> float:
    assert served.pid is not None
    times = psutil.Process(served.pid).cpu_times()
    return float(times.user + times.system)


def _alone(served: Served, file: Path) -> tuple[float, float]:
    """Return the seconds, in all and of CPU, that the database takes for what *file* makes."""
    manifest = wanted.read([str(file)])
    with Northbound.connect(served.remote) as nb:
        draft = Draft(difference(manifest.rows, present(nb, manifest.rows), "default").steps)
        parts = draft.parts(nb.read)
    operations = [part if isinstance(part, dict) else part.operation for part in parts]
    request = json.dumps({"method": "transact", "params": [DATABASE, *operations], "id": 1}).encode()
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(served.remote.removeprefix("unix:"))
        before_s, started_s = _cpu_s(served), now_s()
        stream.sendall(request)
        answer = bytearray()
        while not answer.endswith(b"}"):
            answer += stream.recv(_CHUNK)
        took_s = now_s() - started_s
    result = json.loads(answer)
    if result["error"] or any("error" in (each or {}) for each in result["result"]):
        raise BenchError(f"the database refused: {answer[-500:].decode()}")
    return took_s, _cpu_s(served) - before_s


def _events_s(file: Path) -> float:
    """Return the seconds of CPU that PyYAML takes for the events of *file*."""
    started_s = time.process_time()
    for _ in yaml.parse(file.read_text(), yaml.CSafeLoader):
        pass
    return time.process_time() - started_s


def _start_s(folder: Path) -> float:
    """Return the seconds of CPU that the program takes until it finds no northbound."""
    one = folder / "one.yaml"
    one.write_text(_documents(Load(0, 0, 1)))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    argv = ["--nb", f"unix:{folder}/none", "apply", "-f", str(one), "--yes"]
    subprocess.run([sys.executable, "-m", "trunkline", *argv], capture_output=True, check=False)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def _program(served: Served, *arguments: str) -> tuple[float, float, float]:
    """Return the seconds that the program takes, those of CPU, and those of CPU of the server."""
    server_s, used = _cpu_s(served), resource.getrusage(resource.RUSAGE_CHILDREN)
    started_s = now_s()
    do([sys.executable, "-m", "trunkline", "--nb", served.remote, *arguments], os.environ)
    took_s, now = now_s() - started_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    own_s = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return took_s, own_s, _cpu_s(served) - server_s
