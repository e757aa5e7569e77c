"""`trunkline port`: the ports of the northbound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.change import creation, deletions, with_if_exists, with_may_exist, with_write
from trunkline.cli.listing import with_raw_listing
from trunkline.cli.name import CHASSIS, NETWORKS, PORTS
from trunkline.cli.option import (
    NOT_EMPTY,
    changes,
    created,
    items,
    merged,
    refuse_empty,
    require_changes,
    with_connection,
    with_external_ids,
    with_northbound,
    with_output,
    with_raw,
)
from trunkline.cli.output import print_each

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trunkline.cli.change import Write
    from trunkline.cli.listing import Listing
    from trunkline.northbound.client import Northbound

_LISTED = {
    "name": "NAME",
    "network": "NETWORK",
    "mac": "MAC",
    "chassis": "CHASSIS",
    "up": "UP",
    "enabled": "ENABLED",
    "port_security": "SECURITY",
    # Last, as no address is cut: if a line is too long, all else stays in its column.
    "addresses": "ADDRESSES",
}


@click.group()
def port() -> None:
    """The ports: each is an interface of a VM. Its VIF has the port's name as external_ids:iface-id, or what
    --iface-id says.
    """


def _with_options(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return *wanted* with the settings that belong to a port's `options` moved there."""
    from trunkline.northbound.schema import ALLOW_DUPLICATE_IP

    allows = wanted.pop("allow_duplicate_ip", None)
    if allows is None:
        return wanted
    return wanted | {"options": wanted.get("options", {}) | {ALLOW_DUPLICATE_IP: "true" if allows else ""}}


def _settings(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        [
            click.option(
                "--iface-id",
                metavar="ID",
                help="The iface-id of its VIF, such as the UUID that libvirt gives it. Default: its name.",
            ),
            click.option(
                "--ip", "addresses", multiple=True, metavar="IP", help="An address; may be repeated."
            ),
            click.option(
                "--allow-duplicate-ip/--no-allow-duplicate-ip",
                default=None,
                help="Whether it may have an address that another port of its network has. Default: no.",
            ),
            click.option(
                "--enable/--disable",
                "enabled",
                default=None,
                help="Whether it sends and receives frames. Default: enabled.",
            ),
            click.option(
                "--port-security/--no-port-security",
                default=None,
                help="Whether it may only send from its own addresses. Default: yes.",
            ),
            click.option(
                "--allowed-address",
                "allowed_address_pairs",
                multiple=True,
                metavar="MAC[,IP]",
                help="Another MAC, with an IP address or prefix if given, that it may use; may be repeated.",
            ),
            click.option(
                "--unknown-macs/--no-unknown-macs",
                default=None,
                help="Whether it also receives unknown unicast; needs --no-port-security. Default: no.",
            ),
            click.option(
                "--requested-chassis",
                metavar="CHASSIS[,CHASSIS]",
                shell_complete=CHASSIS,
                help="The chassis that is to hold it, and during a migration the next one.",
            ),
            click.option(
                "--parent",
                metavar="PORT",
                shell_complete=PORTS,
                help="For a sub-port of a trunk: the port whose VIF it shares.",
            ),
            click.option(
                "--parent-vlan",
                metavar="1-4094",
                type=click.IntRange(1, 4094),
                help="For a sub-port: its tag on that VIF.",
            ),
            click.option(
                "--option",
                "options",
                multiple=True,
                metavar="KEY=VALUE",
                callback=items,
                help="announce=false: do not announce it; control-frames=true: let spanning tree, LLDP and "
                "such pass; an empty VALUE removes KEY; may be repeated.",
            ),
            with_external_ids,
        ]
    ):
        function = option(function)
    return function


@port.command()
@click.argument("name", type=NOT_EMPTY)
@click.option(
    "--network", required=True, metavar="NETWORK", shell_complete=NETWORKS, help="The network that it is in."
)
@click.option("--mac", required=True, metavar="MAC", help="Its MAC address.")
@_settings
@with_may_exist
@with_write
def create(write: Write, may_exist: bool, **options: Any) -> int:
    """Create the port NAME.

    The interface with external_ids:iface-id=NAME, or =ID if --iface-id is given, is its VIF, on any chassis.

    \b
    Examples:
      trunkline port create vm3 --network blue --mac 02:00:00:00:00:03 --ip 192.0.2.13
      trunkline port create vm4 --network blue --mac 02:00:00:00:00:04 --may-exist
    """
    from trunkline.northbound.client import PortSpec

    refuse_empty(options)
    wanted = created(_with_options(changes(**options)))
    return write([creation(PortSpec(**wanted), wanted, may_exist=may_exist)])


@port.command("list")
@click.option(
    "--network",
    type=NOT_EMPTY,
    metavar="NETWORK",
    shell_complete=NETWORKS,
    help="Only the ports of this network.",
)
@click.option(
    "--chassis", type=NOT_EMPTY, metavar="CHASSIS", shell_complete=CHASSIS, help="Only those that it holds."
)
@click.option("--mac", type=NOT_EMPTY, metavar="MAC", help="Only those with this MAC address.")
@click.option("--ip", type=NOT_EMPTY, metavar="IP", help="Only those with this address.")
@click.option(
    "--up/--down",
    "is_up",
    default=None,
    help="Only those that are up; or those that are enabled and not up, as `trunkline status` counts them.",
)
@with_raw_listing("Port", _LISTED)
@with_connection
def list_(
    connect: Callable[[], Northbound],
    listing: Listing,
    network: str | None,
    chassis: str | None,
    mac: str | None,
    ip: str | None,
    is_up: bool | None,
) -> None:
    """List the ports, by name.

    \b
    Examples:
      trunkline port list
      trunkline port list --network blue --down   enabled ports that do not work
      trunkline port list --chassis c1 -o name    for a script: their names
      trunkline port list --columns name,mac,addresses -o csv
      trunkline port list --filter external_ids:owner=ops --sort -unique_key
    """
    from trunkline.northbound.filter import Filter
    from trunkline.northbound.listing import named

    listing = listing.where(network=network, chassis=chassis, mac=mac, addresses=ip)
    if is_up is not None:
        state = (
            [Filter("up", "=", True)] if is_up else [Filter("up", "!=", True), Filter("enabled", "!=", False)]
        )
        listing = listing._replace(filters=(*listing.filters, *state))
    with connect() as nb:
        rows = listing.rows(nb)
        if chassis is not None and not rows:
            named(nb, "Chassis", [chassis])
    listing.print(rows)


@port.command()
@click.argument("names", type=NOT_EMPTY, nargs=-1, required=True, metavar="NAME...", shell_complete=PORTS)
@with_raw
@with_output
@with_northbound
def show(nb: Northbound, names: tuple[str, ...], output: str, is_raw: bool) -> None:
    """Show the ports called NAME, and the sub-ports of a trunk.

    JSON and YAML have an object for one name, and an array for several.

    \b
    Examples:
      trunkline port show vm1
      trunkline port show vm1 -o json
    """
    from trunkline.northbound.default import effective
    from trunkline.northbound.listing import named

    rows = named(nb, "Port", names)
    if is_raw:
        rows = [{column: value for column, value in row.items() if column != "sub_ports"} for row in rows]
    else:
        rows = [effective("Port", row) for row in rows]
    print_each(
        [_in_words(row) for row in rows] if output == "table" else rows, output, is_one=len(names) == 1
    )


def _in_words(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return *row*, a port, for a person: its sub-ports, if they are there, are words."""
    words = {
        each["name"]: f"VLAN {each['parent_vlan']}, network {each['network']}"
        for each in row.get("sub_ports", ())
    }
    return {column: words if column == "sub_ports" else value for column, value in row.items()}


@port.command("set")
@click.argument("names", type=NOT_EMPTY, nargs=-1, required=True, metavar="NAME...", shell_complete=PORTS)
@click.option("--network", metavar="NETWORK", shell_complete=NETWORKS, help="Move it to this network.")
@click.option("--mac", metavar="MAC", help="Its MAC address.")
@_settings
@with_write
def set_(write: Write, names: tuple[str, ...], **options: Any) -> int:
    """Change the ports called NAME; what is not given stays as it is. If one is refused, none is changed.

    --ip and --allowed-address replace all present ones. '' clears a setting: --ip '', --allowed-address '',
    --requested-chassis '', --iface-id '', and --parent '', which clears the tag too.

    \b
    Examples:
      trunkline port set vm1 --ip 192.0.2.11 --ip 2001:db8::11  these, in place of the present ones
      trunkline port set vm1 --ip ''                            none
      trunkline port set vm1 --disable --wait                   return when no frame passes any longer
      trunkline port set vm1 --enable --option announce=false
      trunkline port set vm1 --iface-id 09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f  the interfaceid of libvirt
    """
    from trunkline.northbound.client import Change

    wanted = merged(_with_options(require_changes(changes(**options))))
    return write([Change("Port", name, wanted) for name in names])


@port.command()
@click.argument("names", type=NOT_EMPTY, nargs=-1, required=True, metavar="NAME...", shell_complete=PORTS)
@with_if_exists
@with_write
def delete(write: Write, names: tuple[str, ...], if_exists: bool) -> int:
    """Delete ports; if one is refused, none is deleted.

    The sub-ports of a trunk have to be deleted with it, or before it.

    \b
    Examples:
      trunkline port delete vm3
      trunkline port delete vm3 vm4 --if-exists --wait  a script may run it twice
    """
    return write(deletions("Port", names, if_exists=if_exists))
