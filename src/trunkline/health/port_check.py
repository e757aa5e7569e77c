"""What keeps ports from working, by the rows of the northbound alone."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from shlex import quote
from typing import TYPE_CHECKING, Any

from trunkline.health.chassis_check import key_findings
from trunkline.health.finding import Finding
from trunkline.health.fleet import requested
from trunkline.northbound import iface_id
from trunkline.northbound.duplicate import allows_duplicates
from trunkline.northbound.port_option import option_fault

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from trunkline.health.finding import Severity
    from trunkline.health.fleet import Fleet
    from trunkline.northbound.operation import Row


def port_findings(fleet: Fleet) -> Iterator[Finding]:
    """Yield what is wrong with each enabled port; `down_findings` are those that nothing explains."""
    yield from _duplicates(fleet)
    yield from _used_elsewhere(fleet)
    for row in fleet.ports:
        if row["enabled"] is not False:
            yield from _place_findings(fleet, row)
            yield from _trunk_findings(fleet, row)
        yield from _option_findings(row)
        yield from key_findings(f"port {row['name']}", row["chassis"], row)


def disabled_finding(port: Row) -> Finding:
    """Return the finding about a port that somebody has disabled; for anyone who asks about it."""
    return _finding(
        "T316", "error", port, "it is disabled", f"trunkline port set {_named(port)} `enabled=true`"
    )


def _named(port: Row) -> str:
    """Return the name of *port* as a shell takes it."""
    return quote(port["name"])


def _finding(code: str, severity: Severity, port: Row, text: str, remedy: str) -> Finding:
    return Finding(code, severity, f"port {port['name']}", port["chassis"], None, text, remedy)


def _place_findings(fleet: Fleet, port: Row) -> Iterator[Finding]:
    """Yield what is wrong with where the port is, and where it should be."""
    wanted, holder = requested(port), port["chassis"]
    if port["parent"] is None:
        if holder is None:
            where = f" on {wanted[0]}, where it is requested" if wanted else ""
            yield _finding(
                "T301",
                "error" if wanted else "warning",
                port,
                f"no chassis holds it: there is no VIF with {_iface_id_words(port)}{where}",
                "start its VM, or set external_ids:iface-id of the VM's interface to "
                + (quote(port["iface_id"]) if port["iface_id"] else "the port's name"),
            )
        elif wanted and holder not in wanted:
            yield _finding(
                "T313",
                "error",
                port,
                f"{holder} holds it, and it is requested on {' and '.join(wanted)}",
                f"move its VM, or: trunkline port set {_named(port)} `requested_chassis={quote(holder)}`",
            )
    for name in dict.fromkeys((holder, *wanted)):
        if name is None or name in fleet.chassis_by_name:
            continue
        how = "is held by" if name == holder else "is requested on"
        yield _finding(
            "T317",
            "error",
            port,
            f"it {how} {name}, and there is no such chassis",
            "start the agent of that chassis, or request the port on another one: "
            f"trunkline port set {_named(port)} `requested_chassis=CHASSIS`",
        )


def _iface_id_words(port: Row) -> str:
    return f"iface-id {port['iface_id']}" if port["iface_id"] else "its name as iface-id"


def _trunk_findings(fleet: Fleet, port: Row) -> Iterator[Finding]:
    """Yield what is wrong with a sub-port and its parent."""
    if port["parent"] is None:
        return
    parent = fleet.port_by_name.get(port["parent"])
    if parent is None:
        text = f"its parent {port['parent']} does not exist"
        yield _finding(
            "T320", "error", port, text, f"create it, or: trunkline port set {_named(port)} `parent=PORT`"
        )
        return
    own, theirs = (fleet.network_by_id.get(row["network"], {}) for row in (port, parent))
    mtu, most = own.get("mtu"), theirs.get("mtu")
    if most is not None and mtu is not None and mtu > most:
        yield _finding(
            "T323",
            "warning",
            port,
            f"the MTU of its network is {mtu}, and that of its parent's network {most}, which the VIF has",
            f"raise that of the parent's network: trunkline network set {quote(theirs['name'])} `mtu={mtu}`",
        )


def _option_findings(port: Row) -> Iterator[Finding]:
    fault = option_fault(port["options"]) if port["options"] else None
    if fault is not None:
        text, _, remedy = fault.partition("; ")
        yield _finding("T321", "warning", port, text, remedy)


def _duplicates(fleet: Fleet) -> Iterator[Finding]:
    """Yield the ports that have an IP address or a MAC of another port of their network, or its iface-id."""
    of_iface_id: dict[str, list[Row]] = defaultdict(list)
    for row in fleet.ports:
        if row["parent"] is None:
            of_iface_id[iface_id.of(row)].append(row)
    for id_, rows in of_iface_id.items():
        if len(rows) > 1:
            yield from _contested(id_, rows)
    for ports in fleet.ports_by_network.values():
        holders: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in ports:
            if row["enabled"] is not False:
                holders["T319", row["mac"].lower()].append(row)
                for address in [] if allows_duplicates(row) else row["addresses"]:
                    holders["T318", address.lower()].append(row)
        for (code, value), rows in holders.items():
            if len(rows) > 1:
                yield from _shared(code, value, rows)


def _used_elsewhere(fleet: Fleet) -> Iterator[Finding]:
    """Yield who used an address of a port when a probe last asked, if the port still has it, there."""
    for each in fleet.duplicates:
        port = fleet.port_by_name.get(each.port)
        if port is None or not each.is_of(port["chassis"], port["addresses"]):
            continue
        yield Finding(
            "T328",
            "error" if each.is_certain else "warning",
            f"port {each.port}",
            each.chassis,
            datetime.fromtimestamp(each.found_ms / 1000, UTC).isoformat(timespec="seconds"),
            f"a probe of addresses found: {each.text}: {each.mac}",
            each.what_to_do,
        )


def _contested(id_: str, rows: Collection[Row]) -> Iterator[Finding]:
    """Yield the ports with the iface-id *id_*, but for the one that has the VIF (`Inventory.port_of_vif`)."""
    first, *others = sorted(rows, key=lambda row: (row["name"] != id_, row["unique_key"]))
    for row in others:
        yield _finding(
            "T327",
            "error",
            row,
            f"iface-id {id_} belongs to port {first['name']}",
            f"trunkline port set {_named(row)} `iface_id=ID`, and give its VIF the same",
        )


def _shared(code: str, value: str, rows: Collection[Row]) -> Iterator[Finding]:
    what = "IP address" if code == "T318" else "MAC"
    names = sorted(row["name"] for row in rows)
    for row in rows:
        other = next(name for name in names if name != row["name"])
        command = f"trunkline port set {_named(row)}"
        remedy = f"give it another one: {command} `mac=MAC`"
        if code == "T318":
            remedy = f"change it, or, if both may have it: {command} `options:allow-duplicate-ip=true`"
        yield _finding(code, "error", row, f"port {other} also has its {what} {value}", remedy)


def down_findings(fleet: Fleet, found: Collection[Finding]) -> Iterator[Finding]:
    """Yield the ports that are held and down, without anything in *found* that explains it."""
    explained = {(each.subject, each.chassis) for each in found if each.severity == "error"}
    stopped = {each.chassis for each in found if each.severity == "error" and _is_of_chassis(each)}
    for row in fleet.ports:
        holder = row["chassis"]
        if row["enabled"] is False or holder is None or row["up"] or holder in stopped:
            continue
        if not explained.isdisjoint(_grounds(fleet, row, holder)):
            continue
        yield _finding(
            "T322",
            "error",
            row,
            f"{holder} holds it, and it is down",
            "run this again; if it stays: trunkline chassis show, and the log of that chassis' agent",
        )


def _grounds(fleet: Fleet, port: Row, holder: str) -> Iterator[tuple[str, str | None]]:
    """Yield the subjects of findings that explain why *port* is down, each with its chassis."""
    network: Mapping[str, Any] = fleet.network_by_id.get(port["network"], {})
    subjects = own_subjects(fleet, port)
    for chassis in (holder, None):
        for subject in subjects:
            yield subject, chassis
        yield f"network {network.get('name')}", chassis
        yield f"mapping {network.get('physical_network')}", chassis


def own_subjects(fleet: Fleet, port: Row) -> list[str]:
    """Return the subjects of findings about *port* and its VIF, and about its parent, which has its VIF."""
    parent = fleet.port_by_name.get(port["parent"] or "")
    return [
        subject
        for row in (port, parent)
        if row is not None
        for subject in (f"port {row['name']}", f"vif {iface_id.of(row)}")
    ]


def _is_of_chassis(finding: Finding) -> bool:
    """Return whether *finding* is about the chassis as a whole."""
    return finding.subject.partition(" ")[0] in ("chassis", "switch", "pipeline", "northbound", "system-id")
