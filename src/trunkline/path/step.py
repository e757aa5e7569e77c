"""A step of a trace: a flow that the frame meets, in a sentence about that frame, with what was counted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trunkline.core.cookie import CookieParts, Subject, cookie_parts
from trunkline.core.pipeline import Band
from trunkline.insight.explanation import remedy
from trunkline.insight.meaning import BAND_BY_PLACE, MEANING
from trunkline.openflow.text import encoded_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trunkline.insight.connection import InstalledFlow
    from trunkline.insight.name import Names
    from trunkline.path.translation import Rule

SAYS: dict[Band, str] = {
    Band.SUBPORT: "by its tag it is {row}, of network {network}: tag off",
    Band.VIF: "it is {row}, of network {network}",
    Band.SLEEPING: "it is {row}, which migrates here and would wake",
    Band.UPLINK: "it is of network {row}",
    Band.UPLINK_TAGGED: "it is of network {row}, tag inside",
    Band.NOBODY: "from no known VIF, and of no network that has a port here: drop",
    Band.OPEN: "port security of {row} is off: pass",
    Band.SOURCE_MAC: "a MAC that {row} may use",
    Band.MAC_REFUSED: "a MAC that {row} may not use: drop",
    Band.TAGGED: "{row} sends a VLAN tag of its own: drop",
    Band.CONTROL_SENDER: "a control frame, and {row} may send them",
    Band.NOT_ND: "neither ARP, neighbour discovery nor DHCP",
    Band.NOT_DHCP: "UDP, and not to a DHCP client",
    Band.NEARLY_DHCP: "UDP, and not to a DHCP client",
    Band.ASKING: "ARP, or a question of neighbour discovery",
    Band.ND_TARGET: "an address that {row} may advertise",
    Band.INNER_MAC: "the MAC inside is that of {row}",
    Band.ADDRESS: "an address that {row} may use: pass",
    Band.ADDRESS_ANY: "any address will do: pass",
    Band.NOT_IP: "neither IP nor ARP: pass",
    Band.PROBE: "what a VM without an address may send: pass",
    Band.BUM: "to a group: each port of {row} here, and on",
    Band.LOCAL_MAC: "the MAC of {row}, which is here",
    Band.SHARED_MAC: "a MAC that several ports may own: each of them",
    Band.REMOTE_MAC: "the MAC of {row}, which is on another chassis",
    Band.UNKNOWN: "a MAC of no port: on, to the wire",
    Band.LOCAL: "to a port here",
    Band.TO_WIRE: "it leaves",
    Band.FROM_WIRE: "from the wire, and never back to it",
    Band.REMOTE: "out by the uplink, to {row}",
    Band.BUM_OUT: "out by the uplink",
    Band.DELIVER: "out to the VIF of {row}",
    Band.SERVER_REFUSED: "what only a DHCP server or router sends: {row} may not: drop",
    Band.NEIGHBOUR_REFUSED: "a MAC or address inside that is not of {row}: drop",
    Band.ADDRESS_REFUSED: "an address that {row} may not use, or that the switch cannot read: drop",
}
"""What a flow of a band means for the frame that meets it; if a band is not here, its purpose says it."""

MISSED = "no flow takes it: drop"
"""What is said of a bridge of others that has no flow for the frame."""


_NO_PORT = "Nonexistent output port"
"""What ovs-vswitchd notes then (`ofproto-dpif-xlate.c`)."""

_BY_NUMBER = re.compile(r"output:\d+")


@dataclass(frozen=True)
class Step:
    """A flow that the frame meets: *rule*, as ovs-vswitchd says it, and *flow*, as it was read, None if not.

    *band* and *parts* are None if the flow is not ours.
    """

    rule: Rule
    band: Band | None
    parts: CookieParts | None
    row: str | None
    text: str
    flow: InstalledFlow | None = None
    remedy: str | None = None

    @property
    def is_drop(self) -> bool:
        """Whether the frame ends here."""
        return self.rule.priority is None or self.rule.does in ((), ("drop",))

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        counters = None if self.flow is None else self.flow.counters
        return {
            "bridge": self.rule.bridge,
            "table": self.rule.table,
            "band": None if self.band is None else self.band.name,
            "row": self.row,
            "text": self.text,
            "rules": [] if self.band is None else list(MEANING[self.band].rules),
            "packets": None if counters is None else counters.packet_count,
            "age_s": None if counters is None else round(counters.duration_s, 3),
        }


def band_of(rule: Rule) -> Band | None:
    """Return the band of *rule*; None if it is not one of our flows."""
    if rule.priority is None or cookie_parts(rule.cookie) is None:
        return None
    return BAND_BY_PLACE.get((rule.table, rule.priority))


def step(rule: Rule, flows: Iterable[InstalledFlow], names: Names) -> Step:
    """Return the step that *rule* is; its flow is one of *flows*, those with its cookie."""
    band, parts = band_of(rule), cookie_parts(rule.cookie)
    if band is None or parts is None:
        return Step(rule, None, None, None, _foreign(rule))
    row = names.row(parts)
    network = names.network_of(parts.key) if parts.subject in (Subject.PORT, Subject.VIF) else row
    text = SAYS.get(band, band.purpose).format(row=row or "any port", network=network or "a network")
    text += _nowhere(rule)
    return Step(rule, band, parts, row, text, _flow(rule, flows), remedy(band, parts, names))


def _nowhere(rule: Rule) -> str:
    """Return what is to be added of a number that *rule* sends to, if no port has it.

    Ports that there are have names there (`ofproto/trace --names`).
    """
    number = next((each for each in rule.does if _BY_NUMBER.fullmatch(each)), None)
    if _NO_PORT not in rule.notes or number is None:
        return ""
    return f", but no port has the number of {number}: it goes nowhere"


def _foreign(rule: Rule) -> str:
    """Return what is said of a flow that another program made."""
    if rule.priority is None or (rule.match.startswith("reg0=") and not rule.priority):
        # What ovs-vswitchd itself holds ready for a miss shows as a match on a register.
        return MISSED
    does = ", ".join(rule.does) or "drop"
    notes = f" ({'; '.join(rule.notes)})" if rule.notes else ""
    return f"{rule.match or 'anything else'}: {does}{notes}"


def _flow(rule: Rule, flows: Iterable[InstalledFlow]) -> InstalledFlow | None:
    """Return the one of *flows* that *rule* is; None if that cannot be told."""
    found = [flow for flow in flows if (flow.table, flow.priority) == (rule.table, rule.priority)]
    found = [flow for flow in found if flow.cookie == rule.cookie]
    if len(found) > 1:
        wanted = _words(rule.match)
        found = [flow for flow in found if _words(_match(flow)) == wanted]
    return found[0] if len(found) == 1 else None


def _match(flow: InstalledFlow) -> str:
    head = encoded_text(flow.key, flow.body, with_cookie=False).partition("actions=")[0]
    return ",".join(head.strip(",").split(",")[2:])


def _words(match: str) -> frozenset[str]:
    """Return the words of *match*, without the interface: it has a name in one spelling only."""
    words = (word.strip() for word in match.split(","))
    return frozenset(word for word in words if word and not word.startswith("in_port="))
