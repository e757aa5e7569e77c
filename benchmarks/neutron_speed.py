"""The Neutron driver, and Neutron's Open vSwitch agent in the same Neutron: `scripts/test-neutron --bench`.

Host c1 has the Open vSwitch agent, host c2 is a chassis. The time is from the moment that VIFs are plugged in
to that at which all of their ports are ACTIVE in Neutron's database. And what the driver takes at 10,000
ports.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "neutron"), str(ROOT / "tests")]

import psutil  # noqa: E402
import sqlalchemy  # noqa: E402
from mixed_site import Mixed, mixed_opened  # noqa: E402
from neutron_server import SHARED, until  # noqa: E402
from report import table  # noqa: E402
from series import Results  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

CASE = "neutron"
CONTENDERS = {"trunkline": "c2", "Open vSwitch agent": "c1"}
BRIDGE = "br-int"
NETWORKS = 100
PORTS = 10_000
MIB = 2**20
PORT_TABLES = ("ml2_port_bindings", "ml2_port_binding_levels", "ipallocations", "portsecuritybindings")

_began_s = time.monotonic()


def say(text: str) -> None:
    """Show progress."""
    print(f"{time.monotonic() - _began_s:7.1f} s  {text}", file=sys.stderr, flush=True)


class Database:
    """Neutron's database, asked in a millisecond."""

    def __init__(self, mixed: Mixed) -> None:
        url = f"mysql+pymysql://root@localhost/neutron?unix_socket={mixed.site.neutron.socket}"
        self._connection = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT").connect()

    def rows(self, text: str, *values: Any) -> list[dict[str, Any]]:
        """Return what *text* selects."""
        found = self._connection.exec_driver_sql(text, values)
        return [dict(row) for row in found.mappings()]

    def insert(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Insert *rows*, which all have the same columns, into the table *name*."""
        columns = list(rows[0])
        names, places = ", ".join(f"`{each}`" for each in columns), ", ".join(["%s"] * len(columns))
        self._connection.exec_driver_sql(
            f"insert into {name} ({names}) values ({places})",
            [tuple(row[column] for column in columns) for row in rows],
        )

    def active(self, network: Any) -> int:
        """Return how many ports of *network* are ACTIVE."""
        asked = "select count(*) as found from ports where network_id = %s and status = 'ACTIVE'"
        return int(self.rows(asked, network.id)[0]["found"])

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


# -- from plugged to ACTIVE ------------------------------------------------------------------------------


def plugged(mixed: Mixed, database: Database, host: str, count: int) -> float:
    """Return how long *count* ports on *host* took to be ACTIVE, whose VIFs were plugged in at once."""
    site = mixed.site
    network, _ = site.network()
    owner = {"network_id": network.id, "device_owner": "compute:nova", "binding:host_id": host}
    made = site.api.create_ports([{**owner, "device_id": str(uuid.uuid4())} for _ in range(count)])
    ports = list(made)
    switch = site.lab.chassis[host].switch
    words = list(
        itertools.chain.from_iterable(
            (
                *("--", "add-port", BRIDGE, f"vif{number}", "--", "set", "Interface", f"vif{number}"),
                *("type=internal", f"external_ids:iface-id={port.id}", "external_ids:iface-status=active"),
                f'external_ids:attached-mac="{port.mac_address}"',
            )
            for number, port in enumerate(ports)
        )
    )
    began_s = time.monotonic()
    switch.vsctl("--no-wait", *words)
    while database.active(network) < count:
        assert time.monotonic() - began_s < 300, f"{database.active(network)} of {count} on {host}"
        time.sleep(0.002)
    took_s = time.monotonic() - began_s
    switch.vsctl(*(word for number in range(count) for word in ("--", "del-port", BRIDGE, f"vif{number}")))
    until(lambda: not database.active(network), "the ports to be DOWN")
    for port in ports:
        site.api.delete_port(port)
    site.api.delete_network(network)
    return took_s


def compare_speed(mixed: Mixed, database: Database, results: Results, rounds: dict[int, int]) -> None:
    """Measure both in turns, with so many rounds by the number of ports at once."""
    for count, times in rounds.items():
        for number in range(times):
            for contender, host in CONTENDERS.items():
                took_s = plugged(mixed, database, host, count)
                say(f"{count} at once, {number + 1} of {times}: {contender} {took_s:.2f} s")
                results.record(CASE, f"{count} plugged → ACTIVE", contender, "s", took_s)


# -- at 10,000 ports -------------------------------------------------------------------------------------


def fill(mixed: Mixed, database: Database, networks: int, ports: int) -> None:
    """Have *ports* ports on the chassis, in *networks* networks: one each by the API, the others copied."""
    site = mixed.site
    templates = []
    for _ in range(networks):
        network, _ = site.network()
        templates.append(site.port(network, CONTENDERS["trunkline"]))
    (last,) = database.rows("select max(id) as id from standardattributes")
    (attributes,) = database.rows(
        "select * from standardattributes where id = (select standard_attr_id from ports where id = %s)",
        templates[0].id,
    )
    numbers = itertools.count(last["id"] + 1)
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("standardattributes", "ports", *PORT_TABLES)
    }
    for template in templates:
        (port,) = database.rows("select * from ports where id = %s", template.id)
        others = {
            name: database.rows(f"select * from {name} where port_id = %s", port["id"])
            for name in PORT_TABLES
        }
        for copy in range(1, ports // networks):
            number, port_id = next(numbers), str(uuid.uuid4())
            mac = f"fa:16:3e:{copy >> 8:02x}:{copy & 255:02x}:{random.randrange(256):02x}"
            rows["standardattributes"].append({**attributes, "id": number})
            rows["ports"].append(
                {
                    **port,
                    "id": port_id,
                    "mac_address": mac,
                    "standard_attr_id": number,
                    "device_id": str(uuid.uuid4()),
                }
            )
            for name, found in others.items():
                for each in found:
                    new = {**each, "port_id": port_id}
                    if "ip_address" in new:
                        new["ip_address"] = f"10.255.{copy >> 8}.{copy & 255}"
                    rows[name].append(new)
    for name, found in rows.items():
        database.insert(name, found)


def measure_driver(mixed: Mixed, database: Database, results: Results, ports: int) -> None:
    """Measure the comparison and a call's share by their CPU, and the memory of the worker."""
    # Here, so that a run of the other part needs no configuration of Neutron in this process.
    from trunkline.neutron import command
    from trunkline.neutron.present import Scope
    from trunkline.neutron.prompt import Prompt

    command.configure(
        [each for each in mixed.site.neutron.config_files() if each != "--config-file"],
    )
    for _ in range(6):
        took_s = _cpu_s(lambda: command.comparison(is_dry=True))
        results.record(CASE, f"{ports:,} ports compared, CPU", "trunkline", "s", took_s)
    asked = "select port_id, segment_id from ml2_port_binding_levels where driver = 'trunkline' limit 100"
    prompt = Prompt()
    for row in database.rows(asked):
        scope = Scope(port_ids=frozenset({row["port_id"]}), segment_ids=frozenset({row["segment_id"]}))
        took_s = _cpu_s(lambda scope=scope: prompt.bring(scope))  # type: ignore[misc]
        results.record(CASE, "the driver's share of a port's create, CPU", "trunkline", "s", took_s)


def _cpu_s(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def measure_worker(mixed: Mixed, results: Results, ports: int) -> None:
    """Measure the memory of the worker, and of a process of Neutron's own workers beside it."""
    periodic = mixed.site.neutron.controllers[0].periodic
    pid = int(re.findall(r" (\d+) INFO trunkline\.\S+ .*worker 0 works", periodic.log.read_text())[-1])
    assert periodic.process is not None
    family = psutil.Process(periodic.process.pid).children(recursive=True)
    others = [each for each in family if each.pid != pid and not each.children()]
    shown = {each.pid: each.memory_info().rss / MIB for each in family}
    say(f"RSS of the processes of neutron-periodic-workers: {shown}, the driver's is {pid}")
    results.record(CASE, f"RSS at {ports:,} ports", "trunkline", "MiB", shown[pid])
    results.record(
        CASE, f"RSS at {ports:,} ports", "another worker", "MiB", [shown[each.pid] for each in others]
    )


def main() -> None:
    """Run it, and report."""
    parser = argparse.ArgumentParser(prog="scripts/test-neutron --bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and ports")
    asked = parser.parse_args()
    results = Results()
    networks, ports = (10, 1_000) if asked.quick else (NETWORKS, PORTS)
    with tempfile.TemporaryDirectory() as shared, ExitStack() as stack:
        os.environ[SHARED] = shared
        mixed = stack.enter_context(mixed_opened())
        database = stack.enter_context(closing(Database(mixed)))
        say("Neutron and both agents are at work")
        compare_speed(mixed, database, results, {1: 1, 100: 1} if asked.quick else {1: 7, 100: 3})
        fill(mixed, database, networks, ports)
        until(lambda: len(mixed.site.nb.ports()) == ports, f"{ports} ports in the northbound")
        say(f"{ports} ports are in the northbound")
        measure_worker(mixed, results, ports)
        measure_driver(mixed, database, results, ports)
    print(table(results))


if __name__ == "__main__":
    main()
