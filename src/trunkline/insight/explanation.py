"""Why a flow is there: its band and rule, the row that it was made from, what it counted, what to do."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.amount import counted
from trunkline.core.cookie import CookieParts, Subject, cookie_parts
from trunkline.core.error import InvalidValueError
from trunkline.core.pipeline import Band, Owner
from trunkline.insight.flow import VERSION, Kind, in_order, kind, lines
from trunkline.insight.meaning import MEANING, rule_words

if TYPE_CHECKING:
    from trunkline.insight.connection import InstalledFlow
    from trunkline.insight.name import Names

_FLOWS_SHOWN = 5
_COOKIE = re.compile(r"(?:cookie=)?(?:(?P<hex>0x[0-9a-f]{1,16}|[0-9a-f]{16})|(?P<decimal>[0-9]{1,20}))", re.I)
"""16 digits are a cookie as Trunkline has it, copied without its 0x: as a decimal number it is nobody's."""

_FIELD = re.compile(r"(table|priority)=([0-9]{1,5})")


class Asked(NamedTuple):
    """Which flows are to be explained: those of *cookie*, in *table* and at *priority* if these are given."""

    cookie: int
    table: int | None = None
    priority: int | None = None

    def has(self, flow: InstalledFlow) -> bool:
        """Return whether *flow* is one of them."""
        return (
            flow.cookie == self.cookie
            and self.table in (None, flow.table)
            and self.priority in (None, flow.priority)
        )

    def __str__(self) -> str:
        place = [f"table={self.table}"] if self.table is not None else []
        place += [f"priority={self.priority}"] if self.priority is not None else []
        return ",".join([f"{self.cookie:#x}", *place])


def asked(text: str) -> Asked:
    """Return which flows *text* asks for, written as `ovs-ofctl` does: COOKIE[,table=T][,priority=P].

    Other words of a line that was copied from there are passed over.

    Raises:
        InvalidValueError: there is no cookie, or one of more than 64 bits.

    >>> asked("747202020000002a") == asked("0x747202020000002a")
    True
    >>> asked("cookie=0xbad, duration=3.1s, table=10, n_packets=0, priority=300,reg6=0x2a")
    Asked(cookie=2989, table=10, priority=300)
    """
    words = [word for word in re.split(r"[,\s]+", text) if word]
    found = _COOKIE.fullmatch(words[0]) if words else None
    cookie = None if found is None else int(found["hex"], 16) if found["hex"] else int(found["decimal"])
    if cookie is None or cookie >= 1 << 64:
        raise InvalidValueError(
            f"{text[:60]!r} does not begin with a cookie; write it as ovs-ofctl does, such as "
            "0x747202020000002a,table=10,priority=300"
        )
    place = {match[1]: int(match[2]) for match in map(_FIELD.fullmatch, words[1:]) if match}
    return Asked(cookie, place.get("table"), place.get("priority"))


class Explanation(NamedTuple):
    """Why the flows of one kind are there; *says* begins with what they are.

    *rules* are those of docs/frames.md. *remedy* is what to do about them; None if they drop nothing.
    """

    kind: Kind
    rules: tuple[int, ...]
    says: tuple[str, ...]
    remedy: str | None


def explanations(flows: Iterable[InstalledFlow], names: Names, bridge: str) -> Iterator[Explanation]:
    """Yield why *flows*, which have one cookie, are there: one explanation a kind, as a frame meets them."""
    by_kind: dict[Kind, list[InstalledFlow]] = defaultdict(list)
    for flow in in_order(flows):
        by_kind[kind(flow)].append(flow)
    for what, some in by_kind.items():
        yield _explanation(what, in_order(some, by_packets=True), names, bridge)


def data(explained: Iterable[Explanation], asked_for: Asked) -> dict[str, Any]:
    """Return *explained* as JSON."""
    return {
        "version": VERSION,
        "cookie": f"{asked_for.cookie:#x}",
        "explanations": [
            {
                "table": each.kind.table,
                "priority": each.kind.priority,
                "band": each.kind.name,
                "rules": list(each.rules),
                "says": list(each.says),
                "remedy": each.remedy,
            }
            for each in explained
        ],
    }


def _explanation(what: Kind, flows: list[InstalledFlow], names: Names, bridge: str) -> Explanation:
    shown = [
        f"{line.matches}: {line.does}   {_counted(line.flow)}" for line in lines(flows[:_FLOWS_SHOWN], names)
    ]
    if len(flows) > _FLOWS_SHOWN:
        shown.append(f"and {len(flows) - _FLOWS_SHOWN} more of this kind")
    if what.foreign is not None:
        head = f"table {what.table}, priority {what.priority}, {what.name}: another program made it"
        away = f"to remove it: ovs-ofctl -O OpenFlow14 del-flows {bridge} cookie={what.foreign:#x}/-1"
        return Explanation(what, (), (head, "Trunkline leaves it alone.", *shown), away)
    band = what.band
    if band is not None and band.owner is Owner.PROBE:
        why = "made by the agent for a probe (docs/probe.md); the switch takes it away by itself"
        return Explanation(what, (), (_head(band), why, *shown), None)
    parts = cookie_parts(flows[0].cookie)
    if band is None or parts is None:
        head = f"table {what.table}, {what.name}: with our cookie, and of no band that this program knows"
        return Explanation(what, (), (head, *shown), "have the agent and this program be of one version")
    rules = MEANING[band].rules
    made = f"made by app {band.owner.name.lower()} from {_row(parts, names)}"
    why = f"{rule_words(rules)} of docs/frames.md; {made}"
    act = remedy(band, parts, names) if any(flow.is_drop for flow in flows) else None
    passing = None if act is None else f"if these should pass: {act}"
    return Explanation(what, rules, (_head(band), why, *shown), passing)


def _head(band: Band) -> str:
    return f"table {band.table.value} {band.table.name}, band {band.name}: {band.purpose}"


def _row(parts: CookieParts, names: Names) -> str:
    match parts.subject:
        case Subject.CHASSIS:
            return "no row: it holds for the whole chassis"
        case Subject.PORT | Subject.VIF:
            known = names.port_by_key.get(parts.key)
            network = names.network_of(parts.key)
            inside = "" if network is None else f" of network {network}"
            return f"{_called('port', known and known.name, parts.key)}{inside}"
        case Subject.NETWORK:
            return _called("network", names.network_by_key.get(parts.key), parts.key)
        case Subject.MAC:
            network = _called("network", names.network_by_key.get(parts.key), parts.key)
            return f"the MACs that ports of {network} share"


def _called(kind: str, name: str | None, key: int) -> str:
    return f"the {kind} with key {key}" if name is None else f"{kind} {name} (key {key})"


def remedy(band: Band, parts: CookieParts, names: Names) -> str | None:
    """Return what to do if frames that flows of *band* drop should pass; None if there is nothing.

    PORT and NETWORK stand for names that are not known: a key is no argument.
    """
    template = MEANING[band].remedy
    if template is None:
        return None
    port, network = None, None
    if parts.subject in (Subject.PORT, Subject.VIF):
        port, network = names.port_by_key.get(parts.key), names.network_of(parts.key)
    elif parts.subject in (Subject.NETWORK, Subject.MAC):
        network = names.network_by_key.get(parts.key)
    return template.format(
        port="PORT" if port is None else shlex.quote(port.name),
        network="NETWORK" if network is None else shlex.quote(network),
    )


def _counted(flow: InstalledFlow) -> str:
    counters = flow.counters
    packets = counted(counters.packet_count, "packet")
    return f"({packets}, {counters.byte_count:,} bytes, in the {age(counters.duration_s)} that it is there)"


def age(seconds: float) -> str:
    """Return *seconds* as a person says it.

    >>> age(3.2), age(90), age(7200), age(200_000)
    ('3 s', '90 s', '120 min', '56 h')
    """
    if seconds < 180:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 10_800 else f"{seconds / 3600:.0f} h"
