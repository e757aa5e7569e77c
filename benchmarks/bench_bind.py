"""How long from `ovs-vsctl add-port` to `Port.up`, with 10 and with 1,000 ports in the network.

Real ovsdb-server, ovs-vswitchd (dummy devices) and agent, all on this machine. Run as root:
`PYTHONPATH=src:tests/system python benchmarks/bench_bind.py [--times 50]`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from typing import NamedTuple

from dummy_chassis import DummyChassis, Site, opened

from trunkline.ovsdb.northbound import PortSpec
from trunkline.ovsdb.rpc import Rpc
from trunkline.ovsdb.schema import DATABASE


class Size(NamedTuple):
    """A network of *ports* ports, of which *local* are plugged in here."""

    ports: int
    local: int


SIZES = (Size(10, 5), Size(1000, 200))


class Bound(NamedTuple):
    """Milliseconds until `Port.up`, from the start of ovs-vsctl and its return; what it took itself."""

    from_start: float
    from_return: float
    ovs_vsctl_itself: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    options = parser.parse_args()
    measured = {size: measure(size, options.times) for size in SIZES}
    print("\nms from `ovs-vsctl add-port` to Port.up    median     p90")
    for size, times in measured.items():
        for name, values in zip(Bound._fields, zip(*times, strict=True), strict=True):
            p90 = statistics.quantiles(values, n=10)[-1]
            what = f"{size.ports} ports, {size.local} here, {name.replace('_', ' ')}"
            print(f"{what:42}{statistics.median(values):7.1f} {p90:7.1f}")
    for at, name in enumerate(Bound._fields):
        small, large = (statistics.median(times[at] for times in measured[size]) for size in SIZES)
        print(f"ratio of the medians, {name.replace('_', ' '):20}{large / small:7.2f}")


def measure(size: Size, times: int) -> list[Bound]:
    """Return the time of each of *times* plugs into a network of that size."""
    with opened() as site:
        chassis = site.chassis(is_running=False)
        names = populate(site, chassis, size)
        chassis.start_agent()
        site.sync(60)
        found = []
        for _ in range(times):
            chassis.unplug(names[0])
            site.await_up(names[0], is_up=False)
            site.sync()
            found.append(bind(site, chassis, names[0]))
    return found


def populate(site: Site, chassis: DummyChassis, size: Size) -> list[str]:
    """Create the network and its ports, plug the local ones in, and return the ports' names."""
    site.network()
    names = [f"p{number}" for number in range(size.ports)]
    macs = (f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(size.ports))
    site.nb.create(
        ports=[
            PortSpec(name=name, network="net1", mac=mac, port_security=False)
            for name, mac in zip(names, macs, strict=True)
        ]
    )
    for name in names[: size.local]:
        chassis.plug(name)
    return names


def bind(site: Site, chassis: DummyChassis, name: str) -> Bound:
    """Plug a VIF in and wait until the database itself says that the port is up."""
    rpc = Rpc.connect(site.served.remote, 5)
    interface = ["type=dummy", f"external_ids:iface-id={name}"]
    command = ["ovs-vsctl", "add-port", "br-int", name, "--", "set", "Interface", name, *interface]
    row = {"up": True}
    where = [["name", "==", name]]
    wait = {"op": "wait", "table": "Port", "where": where, "columns": ["up"], "until": "==", "rows": [row]}
    started = time.perf_counter()
    plugging = subprocess.Popen(command, env=chassis.switch.env)
    plugging.wait()
    returned = time.perf_counter()
    rpc.request("transact", [DATABASE, wait | {"timeout": 20_000}], 20)
    up = time.perf_counter()
    rpc.close()
    return Bound((up - started) * 1000, (up - returned) * 1000, (returned - started) * 1000)


if __name__ == "__main__":
    main()
