"""`trunkline probe --addresses`: whether somebody else uses an address of a port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.output import Sheet, print_data, printable
from trunkline.core.amount import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.northbound.client import Northbound
    from trunkline.probe.addresses import Asked

_COLUMNS = ("use", "network", "physnet", "vlan", "port", "chassis", "address", "mac", "owner")

FLOODED = "too many replies came, so it did not hear all; ask for fewer ports, and find who sends them"


def probe_addresses(
    nb: Northbound,
    networks: tuple[str, ...],
    ports: tuple[str, ...],
    chassis: tuple[str, ...],
    timeout_s: float,
    output: str,
) -> int:
    """Ask who uses the addresses of ports, print what was said, and return the exit code."""
    from trunkline.cli.main import EXIT_NO, EXIT_TIMED_OUT
    from trunkline.cli.progress import Progress
    from trunkline.probe.addresses import Wanted, asked
    from trunkline.probe.duplicate import keep

    wanted = Wanted(networks, ports, chassis, timeout_s)
    progress = Progress()
    with progress.phase("probing"):
        found = asked(nb, wanted, progress.say)
        is_kept = keep(nb, found, wanted)
    if output == "table":
        click.echo("\n".join(lines(found)))
        if not is_kept:
            click.echo("this connection may not write what was found: `check` will not know it", err=True)
    else:
        data = _data(found)
        names = dict.fromkeys(each.port for each in found.duplicates)
        sheet = Sheet(data["duplicates"], _COLUMNS)
        if output == "name":
            sheet = Sheet([{"port": name} for name in names], ("port",))
        print_data(data, output, sheet)
    if found.duplicates:
        return EXIT_NO
    return 0 if found.is_whole else EXIT_TIMED_OUT


def _data(found: Asked) -> dict[str, Any]:
    from trunkline.cli.column import in_options

    return {
        "version": 1,
        "session": found.session,
        "took_s": round(found.took_s, 3),
        "frames": found.frames,
        "complete": found.is_whole,
        "networks": [network.name for network in found.networks],
        "addresses": found.asked,
        "unasked": found.unasked,
        "duplicates": [each.data() | {"remedy": in_options(each.remedy)} for each in found.duplicates],
        "silent": dict(found.silent),
        "off": dict(found.off),
        "flooded": sorted(found.flooded),
    }


def lines(found: Asked) -> Iterator[str]:
    """Yield the lines that show *found* to a person."""
    from trunkline.cli.column import in_options
    from trunkline.core.address import mac_text

    what = counted(found.asked, "address", "addresses")
    where = counted(len(found.networks), "network")
    if not found.asked:
        yield f"no port of {where} has an address that could be asked for"
    elif not found.duplicates:
        yield f"{what} in {where}: nobody else uses one"
    else:
        yield f"{what} in {where}; used twice:"
    for each in found.duplicates:
        yield printable(f"  ✗ {each.text}: {mac_text(each.mac)}, heard by {each.chassis}")
    yield f"{counted(found.frames, 'frame')} in {found.took_s:.1f} s"
    if found.unasked:
        yield f"  ? there was no time for {found.unasked:,} of them; give it more (--timeout)"
    for name, reason in sorted(found.silent.items()):
        yield printable(f"  ? {name}: {reason}")
    for name in sorted(found.flooded):
        yield printable(f"  ? {name}: {FLOODED}")
    for name, reason in sorted(found.off.items()):
        yield printable(f"  {name}: {reason}")
    for remedy in dict.fromkeys(each.remedy for each in found.duplicates):
        yield f"  → {printable(in_options(remedy))}"
