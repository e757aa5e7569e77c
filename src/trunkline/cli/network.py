"""`trunkline network`: the networks of the northbound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.change import creation, deletions, with_if_exists, with_may_exist, with_write
from trunkline.cli.listing import with_raw_listing
from trunkline.cli.name import NETWORKS, PHYSNETS
from trunkline.cli.option import (
    NOT_EMPTY,
    Clearable,
    changes,
    created,
    merged,
    require_changes,
    with_external_ids,
    with_northbound,
    with_output,
    with_raw,
)
from trunkline.cli.output import print_each

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline.cli.change import Write
    from trunkline.cli.listing import Listing
    from trunkline.northbound.client import Northbound

_LISTED = {
    "name": "NAME",
    "network_type": "TYPE",
    "physical_network": "PHYSICAL NETWORK",
    "segmentation_id": "SEGMENT",
    "mtu": "MTU",
    "unknown_unicast": "UNKNOWN UNICAST",
    "remote_ports": "REMOTE PORTS",
    "vlan_transparent": "TRANSPARENT",
}


@click.group()
def network() -> None:
    """The networks: each is a VLAN of a physical network, or its untagged (flat) network."""


def _settings(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        [
            click.option(
                "--segment",
                "segmentation_id",
                metavar="1-4094",
                type=click.IntRange(1, 4094),
                help="The VLAN id.",
            ),
            click.option(
                "--mtu",
                type=Clearable(click.IntRange(68, 65535)),
                metavar="68-65535",
                help="The MTU; default: not managed.",
            ),
            click.option(
                "--unknown-unicast",
                type=Clearable(click.Choice(["forward", "drop"])),
                metavar="[forward|drop]",
                help="A VM's frame to an unknown MAC goes to the wire, or is dropped. Default: forward.",
            ),
            click.option(
                "--remote-ports",
                type=Clearable(click.Choice(["explicit", "learned"])),
                metavar="[explicit|learned]",
                help="Ports on other chassis have flows of their own, or are learned. Default: explicit.",
            ),
            click.option(
                "--vlan-transparent/--no-vlan-transparent",
                default=None,
                help="Whether VMs may send VLAN tags inside the network. Default: no. The NICs need an MTU 4 "
                "bytes larger than what VMs use on their VLAN interfaces; --mtu has that checked.",
            ),
            with_external_ids,
        ]
    ):
        function = option(function)
    return function


@network.command()
@click.argument("name", type=NOT_EMPTY)
@click.option(
    "--type",
    "network_type",
    type=click.Choice(["vlan", "flat"]),
    required=True,
    help="Tagged on the wire, or untagged.",
)
@click.option(
    "--physical-network",
    required=True,
    metavar="PHYSNET",
    shell_complete=PHYSNETS,
    help="The physical network that carries it.",
)
@_settings
@with_may_exist
@with_write
def create(write: Write, may_exist: bool, **options: Any) -> int:
    """Create the network NAME.

    A vlan network needs --segment; a flat one has none. A physical network has one flat network at most.

    \b
    Examples:
      trunkline network create red --type vlan --physical-network physnet1 --segment 102
      trunkline network create plain --type flat --physical-network physnet1 --may-exist --wait
    """
    from trunkline.northbound.client import NetworkSpec

    wanted = created(changes(**options))
    return write([creation(NetworkSpec(**wanted), wanted, may_exist=may_exist)])


@network.command("list")
@with_raw_listing("Network", _LISTED)
@with_northbound
def list_(nb: Northbound, listing: Listing) -> None:
    """List the networks, by name.

    \b
    Examples:
      trunkline network list
      trunkline network list --filter physical_network=physnet1 --sort segmentation_id
      trunkline network list -o json
    """
    listing.print(listing.rows(nb))


@network.command()
@click.argument("names", type=NOT_EMPTY, nargs=-1, required=True, metavar="NAME...", shell_complete=NETWORKS)
@with_raw
@with_output
@with_northbound
def show(nb: Northbound, names: tuple[str, ...], output: str, is_raw: bool) -> None:
    """Show the networks called NAME.

    JSON and YAML have an object for one name, and an array for several.

    \b
    Examples:
      trunkline network show blue
      trunkline network show blue -o yaml
    """
    from trunkline.northbound.default import effective
    from trunkline.northbound.listing import named

    rows = named(nb, "Network", names)
    rows = rows if is_raw else [effective("Network", row) for row in rows]
    print_each(rows, output, is_one=len(names) == 1)


@network.command("set")
@click.argument("names", type=NOT_EMPTY, nargs=-1, required=True, metavar="NAME...", shell_complete=NETWORKS)
@click.option("--type", "network_type", type=click.Choice(["vlan", "flat"]), help="flat clears the VLAN id.")
@click.option(
    "--physical-network",
    metavar="PHYSNET",
    shell_complete=PHYSNETS,
    help="The physical network that carries it.",
)
@_settings
@with_write
def set_(write: Write, names: tuple[str, ...], **options: Any) -> int:
    """Change the networks called NAME; what is not given stays as it is. If one is refused, none is changed.

    '' clears a setting: with --mtu '' the MTU is no longer managed, and --unknown-unicast '' and
    --remote-ports '' return to the default. --type vlan needs --segment. The change takes effect while VMs
    run; each frame leaves with the old VLAN id or the new one.

    \b
    Examples:
      trunkline network set blue --mtu 1400 --wait  return when the chassis have applied it
      trunkline network set blue --mtu ''           the MTU is no longer managed
      trunkline network set blue --external-id owner=ops
    """
    from trunkline.northbound.client import Change

    wanted = merged(require_changes(changes(**options)))
    return write([Change("Network", name, wanted) for name in names])


@network.command()
@click.argument("names", type=NOT_EMPTY, nargs=-1, required=True, metavar="NAME...", shell_complete=NETWORKS)
@with_if_exists
@with_write
def delete(write: Write, names: tuple[str, ...], if_exists: bool) -> int:
    """Delete networks that have no ports; if one is refused, none is deleted.

    \b
    Examples:
      trunkline network delete red
      trunkline network delete red plain --if-exists  a script may run it twice
    """
    return write(deletions("Network", names, if_exists=if_exists))
