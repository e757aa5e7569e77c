"""A hop of a trace: what one chassis would do with a frame, as its own switch says.

Nothing is sent, and nothing is changed. The switch is asked by the agent for somebody elsewhere, or by a
command on the chassis itself; nobody needs to wait in here (`trunkline.insight.waiting`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.address import mac_text
from trunkline.core.error import InvalidValueError
from trunkline.core.pipeline import Band
from trunkline.insight import vswitchd
from trunkline.insight.connection import SwitchError
from trunkline.insight.meaning import OTHER_MAPPINGS
from trunkline.ovsdb import nic, wiring
from trunkline.ovsdb.datum import one, pairs
from trunkline.ovsdb.interface import driver_fault, link_fault, ofport_of
from trunkline.ovsdb.switch_row import BridgeRow, InterfaceRow
from trunkline.path import fields, learnt, length
from trunkline.path.counter import SUBJECT_MASK, read, subject_of
from trunkline.path.sample import MOST_BYTES, source_words, tags
from trunkline.path.step import MISSED, Step, band_of, step
from trunkline.path.translation import Output, Translation, translation

if TYPE_CHECKING:
    from trunkline.insight.connection import InstalledFlow
    from trunkline.insight.name import Names
    from trunkline.insight.waiting import Work
    from trunkline.ovsdb.settings import Settings
    from trunkline.ovsdb.vswitch import SwitchReplica

_PART = 1000
"""How many hex digits of a frame one parameter of a question has; the column takes 1024."""

_MOST_WAYS = 8
"""By how many ways into a provider bridge it is tried to let a frame arrive."""

_MOST_OUT = 300
"""How many VIFs that a frame reaches are named; of the others there is the number."""

_MOST_RAW = 20_000
"""How much of what ovs-vswitchd says is passed on word by word."""

_WHOLE = 0xFFFF_FFFF_FFFF_FFFF


class Entry(NamedTuple):
    """How a frame comes to a chassis: from the VIF with *iface_id*, or from *physnet* with its tag there.

    With *is_counted*, the counters show all that was sent before.
    """

    frame: bytes
    iface_id: str | None = None
    physnet: str | None = None
    is_raw: bool = False
    is_counted: bool = False

    def parameters(self) -> dict[str, str]:
        """Return it as the parameters of a question."""
        head = self.frame.rstrip(b"\0").hex()
        parts = {f"frame{at // _PART}": head[at : at + _PART] for at in range(0, len(head), _PART)}
        named = {"iface_id": self.iface_id, "physnet": self.physnet}
        return {
            **parts,
            "bytes": str(len(self.frame)),
            **({"raw": "true"} if self.is_raw else {}),
            **({"counted": "true"} if self.is_counted else {}),
            **{key: value for key, value in named.items() if value is not None},
        }

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Entry:
        """Return the entry that *parameters* are.

        Raises:
            InvalidValueError: they are none.
        """
        parts = sorted(
            (key for key in parameters if key.startswith("frame")), key=lambda key: (len(key), key)
        )
        try:
            head, length = bytes.fromhex("".join(parameters[key] for key in parts)), int(parameters["bytes"])
        except (ValueError, KeyError):
            raise InvalidValueError("there is no frame in the question; give it in hex digits") from None
        if not 14 <= max(length, len(head)) <= MOST_BYTES + 64:
            raise InvalidValueError(f"a frame has 14 to {MOST_BYTES} bytes, not {length}")
        entry = cls(
            head.ljust(length, b"\0"),
            parameters.get("iface_id"),
            parameters.get("physnet"),
            parameters.get("raw") == "true",
            parameters.get("counted") == "true",
        )
        if (entry.iface_id is None) == (entry.physnet is None):
            raise InvalidValueError("a frame comes from a VIF or from a physical network; name one of them")
        return entry


@dataclass(frozen=True)
class Place:
    """A chassis as a frame meets it: its database, its settings, and where its sockets are.

    *names* returns the names of the rows that flows speak of.
    """

    switch: SwitchReplica
    settings: Settings
    rundir: str
    names: Callable[[Collection[InstalledFlow]], Names]

    @property
    def bridge(self) -> str:
        """The integration bridge."""
        return self.settings.wiring.bridge


class Way(NamedTuple):
    """A port of a bridge by which the frame can come."""

    bridge: str
    interface: InterfaceRow

    @property
    def name(self) -> str:
        """The name of its interface."""
        return one(self.interface, InterfaceRow.name)


def hop(place: Place, entry: Entry) -> Work[dict[str, Any]]:
    """Return, as JSON, what the chassis *place* does with the frame of *entry*.

    Raises:
        SwitchError: the switch cannot be asked.
        TranslationError: its answer cannot be read.
    """
    found: dict[str, Any] = {
        "chassis": place.settings.chassis,
        "in": None,
        "mtu": None,
        "fault": None,
        "steps": [],
        "out": [],
        "more": 0,
        "drop": None,
        "dropped": [],
        "counters": {},
        "heard_s": None,
    }
    ways, found["fault"] = _from_vif(place, entry) if entry.iface_id is not None else _from_wire(place, entry)
    if not ways:
        return found
    said, text, limit = Translation(), "", _Limit("", None)
    for way in ways[:_MOST_WAYS]:
        limit = _limit(place, way, entry)
        found["in"], found["mtu"] = way.name, limit.mtu
        words = fields.words(way.bridge, ofport_of(way.interface), entry.frame)
        text = yield from vswitchd.answer(place.rundir, "ofproto/trace", "--names", *words)
        said = translation(text, entry.frame)
        if any(rule.bridge == place.bridge for rule in said.rules):
            break
    found["fault"] = found["fault"] or length.fault(*limit, entry.frame, tags(entry.frame))
    if entry.is_counted:
        begins_s = time.monotonic()
        # If ovs-vswitchd has two datapaths, it does not say.
        with suppress(SwitchError):
            yield from vswitchd.revalidation(place.rundir)
        found["waited_s"] = round(time.monotonic() - begins_s, 3)
    counters = yield from read(Path(place.rundir) / f"{place.bridge}.mgmt", _cookies(said))
    names = place.names(counters.flows)
    steps = [step(rule, counters.flows, names) for rule in said.rules]
    found["steps"] = [each.data() for each in steps]
    found["out"], found["more"] = _out(place, said, entry)
    found["drop"] = None if found["out"] else _drop(place, steps, said, entry)
    found["dropped"] = list(counters.refused(names)) if entry.iface_id is not None else []
    found["counters"] = counters.wires(steps)
    if entry.physnet is not None:
        found["heard_s"] = yield from _heard(place, ways[0].bridge, entry)
    if entry.is_raw:
        found["raw"] = text[:_MOST_RAW]
    return found


def _from_vif(place: Place, entry: Entry) -> tuple[list[Way], str | None]:
    """Return the VIF that the frame comes from, and why no frame comes from it, if so."""
    assert entry.iface_id is not None
    rows = place.switch.vif_rows(entry.iface_id)
    plugged = [row for row in rows if ofport_of(row) is not None]
    if not plugged:
        reasons = [f"{one(row, InterfaceRow.name)}: {one(row, InterfaceRow.error)}" for row in rows]
        why = f": {', '.join(reasons)}" if reasons else ""
        text = f"no interface of {place.bridge} that works has the iface-id {entry.iface_id}{why}"
        return [], f"{text}; see: ovs-vsctl list interface"
    best = min(plugged, key=lambda row: (link_fault(row) is not None, ofport_of(row)))
    fault = link_fault(best) or driver_fault(best)
    return [Way(place.bridge, best)], None if fault is None else f"{one(best, InterfaceRow.name)} {fault}"


def _from_wire(place: Place, entry: Entry) -> tuple[list[Way], str | None]:
    """Return the ways into the provider bridge, and why no frame comes in, if so."""
    physnet = entry.physnet
    assert physnet is not None
    bridge = place.settings.bridge_by_physnet.get(physnet)
    if bridge is None:
        return [], (
            f"{place.settings.chassis} does not map {physnet}; map it there: ovs-vsctl set Open_vSwitch . "
            f"external_ids:trunkline-bridge-mappings=PHYSNET:BRIDGE{_mapped(place)}"
        )
    _, faults = wiring.uplinks(place.switch, place.settings.wiring)
    vlan_id = next(iter(tags(entry.frame)), None)
    ways = nic.nics(place.switch, bridge)
    fault = faults.get(physnet) or nic.vlan_fault(bridge, ways, vlan_id)
    rows = (place.switch.row("Interface", way.name) for way in ways if way.fault is None)
    return [Way(bridge, row) for row in rows if row is not None and ofport_of(row) is not None], fault


def _heard(place: Place, bridge: str, entry: Entry) -> Work[float | None]:
    """Return how long ago a frame of the sender came to *bridge* in that VLAN; None if that is not known."""
    rows = (place.switch.row("Interface", way.name) for way in nic.nics(place.switch, bridge))
    ofports = {ofport for row in rows if row is not None and (ofport := ofport_of(row)) is not None}
    vlan_id = next(iter(tags(entry.frame)), nic.UNTAGGED)
    mac = int.from_bytes(entry.frame[6:12])
    return (yield from learnt.age_s(place.rundir, bridge, ofports, vlan_id, mac))


class _Limit(NamedTuple):
    """The interface whose *mtu* a frame has to fit in to come by a way; None if that is not known."""

    interface: str
    mtu: int | None


def _limit(place: Place, way: Way, entry: Entry) -> _Limit:
    """Return what limits the length of frames that come by *way*.

    What a VM sends through a tap is limited by nothing outside of the VM. Of a frame that comes by a bond
    nobody knows the member, and one that comes by a patch port has come by a NIC of the bridge behind it.
    """
    if entry.iface_id is not None:
        is_limited = nic.receives_no_more_than_mtu(way.interface)
        return _Limit(way.name, one(way.interface, InterfaceRow.mtu) if is_limited else None)
    least = nic.narrowest(
        nic.entrances(place.switch, way.bridge, way.interface), next(iter(tags(entry.frame)), None)
    )
    return _Limit(way.name, None) if least is None else _Limit(least.name, least.mtu)


def _mapped(place: Place) -> str:
    """Return what is mapped now, as it goes on in a setting: a command that left it out would cut it off."""
    return "".join(f",{physnet}:{bridge}" for physnet, bridge in place.settings.bridge_by_physnet.items())


def _cookies(said: Translation) -> set[tuple[int, int]]:
    """Return the cookies, with masks, of the flows that the frame met, and of its sender and network."""
    cookies = {(rule.cookie, _WHOLE) for rule in said.rules if band_of(rule) is not None}
    for rule in said.rules:
        if band_of(rule) in (Band.VIF, Band.SUBPORT, Band.TO_WIRE, Band.UPLINK):
            cookies.add((subject_of(rule.cookie), SUBJECT_MASK))
    return cookies


def _out(place: Place, said: Translation, entry: Entry) -> tuple[list[dict[str, Any]], int]:
    """Return by what the frame leaves, and by how many VIFs more."""
    found = [each for output in said.outputs if (each := _leaves(place, output, said)) is not None]
    vifs = [each for each in found if each["kind"] == "vif" and each["fault"] is None]
    rest = [each for each in found if each["kind"] != "vif" or each["fault"] is not None]
    return [*vifs[:_MOST_OUT], *rest], len(vifs[_MOST_OUT:])


def _leaves(place: Place, output: Output, said: Translation) -> dict[str, Any] | None:
    """Return where the frame leaves by *output*: to a VIF, or to a physical network; None if to neither."""
    row = place.switch.row("Interface", output.device)
    port_id = None if row is None else place.switch.port_id_of(row.uuid)
    bridge = None if port_id is None else place.switch.bridge_of(port_id)
    vlans = list(output.vlan_ids)
    found: dict[str, Any] = {
        "kind": "other",
        "interface": output.device,
        "vlans": vlans,
        "mtu": None,
        "port": None,
    }
    found |= {"physnet": None, "fault": None}
    if row is None or bridge is None:
        return found
    name = one(bridge, BridgeRow.name)
    found["mtu"] = one(row, InterfaceRow.mtu)
    fault = link_fault(row) or driver_fault(row)
    if name == place.bridge:
        iface_id = pairs(row, InterfaceRow.external_ids).get("iface-id")
        return {**found, "kind": "vif", "port": iface_id, "fault": fault and f"{output.device} {fault}"}
    ways = {way.name: way for way in nic.nics(place.switch, name)}
    if output.device not in ways:
        # The host itself, behind the provider bridge.
        return None
    fault = ways[output.device].fault
    physnet = _physnet(place, name, said)
    return {**found, "kind": "wire", "physnet": physnet, "fault": fault and f"{output.device} {fault}"}


def _physnet(place: Place, bridge: str, said: Translation) -> str | None:
    """Return the physical network that is reached by *bridge*, or by a bridge on the way to it."""
    physnets = place.settings.wiring.physnet_by_bridge
    passed = [rule.bridge for rule in said.rules if rule.bridge in physnets]
    return physnets.get(bridge) or (physnets[passed[-1]] if passed else None)


def _drop(place: Place, steps: list[Step], said: Translation, entry: Entry) -> dict[str, Any]:
    """Return where and why the frame ends."""
    last = next((each for each in reversed(steps) if each.is_drop), steps[-1] if steps else None)
    if last is None or said.failure is not None:
        text = said.failure or "the switch says nothing about it"
        return {"table": None, "band": None, "rules": [], "text": text, "remedy": None, "bridge": None}
    found = {key: last.data()[key] for key in ("table", "band", "rules", "text", "bridge")}
    act = last.remedy and last.remedy.replace("MAC,IP", source_words(entry.frame))
    act = act and act.replace(OTHER_MAPPINGS, _mapped(place))
    if act and last.band is Band.MAC_REFUSED:
        act = act.replace("=MAC`", f"={mac_text(int.from_bytes(entry.frame[6:12]))}`")
    if last.rule.bridge == place.bridge:
        return {**found, "remedy": act}
    physnet = place.settings.wiring.physnet_by_bridge.get(last.rule.bridge)
    empty = {last.rule.bridge} if last.text == MISSED else ()
    fault = wiring.uplinks(place.switch, place.settings.wiring, empty)[1].get(physnet or "")
    if fault is not None:
        text, _, act = fault.rpartition("; ")
        return {**found, "text": text, "remedy": act.removeprefix("run: ")}
    return {
        **found,
        "text": f"the bridge {last.rule.bridge} drops it: {last.text}",
        "remedy": f"see its flows: ovs-ofctl dump-flows {last.rule.bridge}",
    }
