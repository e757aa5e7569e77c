"""What is wrong with chassis, and with the mappings of networks, by the rows of the northbound alone."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from difflib import SequenceMatcher
from shlex import quote
from typing import TYPE_CHECKING

from trunkline.core.name import natural
from trunkline.core.spelling import meant
from trunkline.health import cause
from trunkline.health.finding import Finding
from trunkline.health.group import some
from trunkline.northbound.liveness import Asked, Unasked
from trunkline.northbound.schema import SET
from trunkline.path.probed import ago
from trunkline.probe.record import LASTS_S

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from trunkline.health.fleet import Fleet
    from trunkline.northbound.operation import Row
    from trunkline.probe.record import Record, Wrong

CLOCK_SLACK_MS = 3000
"""How far the clock of a chassis may be from that of this machine: the log lines of two can be compared."""

PROBED = "T216"
"""The code of what a probe found."""

SIMILAR = 0.8
"""How similar two names are that are probably meant to be the same (`difflib`)."""


def chassis_findings(fleet: Fleet) -> Iterator[Finding]:
    """Yield what each chassis reports as a fault, and what is wrong with the chassis themselves."""
    for row in fleet.chassis:
        for subject, reason in row["faults"].items():
            yield cause.finding(row["name"], subject, reason)
        yield from _state_findings(fleet, row)
        yield from key_findings(f"chassis {row['name']}", row["name"], row)
    yield from _version_findings(fleet)
    yield from _clock_findings(fleet)


def _unheard(asked: Asked | Unasked | None) -> tuple[str, str]:
    """Return why it is not known whether a chassis lives, and what to do."""
    if isinstance(asked, Unasked):
        return f"it was not asked whether it lives, as {asked.reason}", asked.remedy
    return (
        "it has not answered in time, and the northbound was still busy with the answers of others",
        "run this again, or: trunkline sync",
    )


def _state_findings(fleet: Fleet, row: Row) -> Iterator[Finding]:
    """Yield why a chassis has not applied what is committed; a fault that says so is enough."""
    name = row["name"]
    match fleet.state_by_chassis[name]:
        case "silent":
            yield Finding(
                "T501",
                "error",
                f"chassis {name}",
                name,
                _moment(row["nb_cfg_timestamp"]),
                "it does not answer: its agent is dead, stopped or cut off, and it applies no change",
                "there, see why: trunkline check `is_local`; if its agent does not run, start it: "
                "systemctl restart trunkline-agent; if the host is gone for good: "
                f"trunkline chassis delete {quote(name)}",
            )
        case "behind":
            yield Finding(
                "T502",
                "warning",
                f"chassis {name}",
                name,
                None,
                "it answers, and has not applied all that is committed yet",
                "run this again; if it stays, see the log of its agent",
            )
        case "unknown":
            yield Finding(
                "T503",
                "warning",
                f"chassis {name}",
                name,
                None,
                *_unheard(fleet.asked),
            )


def _moment(at_ms: int) -> str | None:
    """Return the time *at_ms* as ISO 8601, None if it is 0."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds") if at_ms else None


def _version_findings(fleet: Fleet) -> Iterator[Finding]:
    """Yield the chassis that do not run the version that most of them run.

    One that has told none has not run yet.
    """
    counts = Counter(row["version"] for row in fleet.chassis if row["version"])
    if len(counts) < 2:
        return
    usual = max(counts, key=lambda version: (counts[version], natural(version)))
    for row in fleet.chassis:
        version = row["version"] or usual
        if version != usual:
            yield Finding(
                "T504",
                "warning",
                f"chassis {row['name']}",
                row["name"],
                None,
                f"it runs Trunkline {version}, and most chassis run {usual}",
                f"upgrade the older ones, {min(version, usual, key=natural)}, soon",
            )


def _clock_findings(fleet: Fleet) -> Iterator[Finding]:
    """Yield the chassis whose clock differs from the one here: those that have just applied the request.

    If there was none, and they have answered a question instead, they have not said what time it is there.

    The time that they wrote must lie between the request and the reading of their answers.
    """
    if not isinstance(fleet.asked, Asked) or fleet.asked.heard is not None or fleet.times is None:
        return
    for row in fleet.chassis:
        if not fleet.asked.nb_cfg <= row["nb_cfg"] <= fleet.latest:
            continue
        wrote_ms = row["nb_cfg_timestamp"]
        off_ms = max(fleet.times.asked_ms - wrote_ms, wrote_ms - fleet.times.read_ms)
        if off_ms > CLOCK_SLACK_MS:
            side = "behind" if wrote_ms < fleet.times.asked_ms else "ahead of"
            yield Finding(
                "T107",
                "warning",
                f"chassis {row['name']}",
                row["name"],
                None,
                f"its clock is {off_ms / 1000:.0f} s {side} the clock of this machine",
                "set the clocks right, by NTP: log lines of several machines cannot be compared otherwise",
            )


def network_findings(fleet: Fleet) -> Iterator[Finding]:
    """Yield the networks that do not reach their physical network on a chassis that needs it."""
    yield from _probe_findings(fleet)
    mapped = {physnet for row in fleet.chassis for physnet in row["bridge_mappings"]}
    for row in fleet.networks:
        yield from key_findings(f"network {row['name']}", None, row)
        physnet = row["physical_network"]
        if not fleet.chassis:
            continue
        if physnet not in mapped:
            yield _mapped_nowhere(fleet, row, mapped)
            continue
        for name in sorted(fleet.chassis_by_network.get(row["_uuid"], ())):
            chassis = fleet.chassis_by_name.get(name)
            if chassis is not None and physnet not in chassis["bridge_mappings"]:
                yield Finding(
                    "T202",
                    "error",
                    f"network {row['name']}",
                    name,
                    None,
                    f"physical network {physnet} is not mapped to a bridge here",
                    f"there, add {physnet}:BRIDGE to trunkline-bridge-mappings"
                    + _hint(physnet, chassis["bridge_mappings"]),
                )
    yield from _idle_mappings(fleet)


def is_certain(wrong: Wrong, probe: Record) -> bool:
    """Return whether frames are still lost, as far as is known, if *probe* found that they are."""
    return wrong.is_cut and wrong.passed_s is None and probe.age_s() < LASTS_S


def _probe_findings(fleet: Fleet) -> Iterator[Finding]:
    """Yield what probes of networks found; what mixes up several networks, once."""
    found: dict[tuple[object, ...], list[tuple[str, Wrong, Record]]] = {}
    for row in sorted(fleet.networks, key=lambda row: natural(row["name"])):
        for probe in fleet.probes.get(row["_uuid"], ()):
            for wrong in probe.wrong:
                networks = wrong.networks or (row["name"],)
                place = (row["name"], wrong, probe)
                found.setdefault((networks, wrong.chassis, wrong.text), []).append(place)
    for places in found.values():
        yield _probe_finding(places)


def _probe_finding(places: list[tuple[str, Wrong, Record]]) -> Finding:
    """Return what is wrong with these networks, by their records; it may have been mended since."""
    names = [f"network {name}" for name, _, _ in places]
    _, wrong, probe = next((each for each in places if is_certain(*each[1:])), places[0])
    text, remedy = (
        f"a probe, {ago(probe.age_s())}, found: {wrong.text}",
        f"{wrong.remedy}; then probe again: {wrong.again}",
    )
    if wrong.passed_s is not None:
        text, remedy = (
            f"{text}; what was lost has come since, {ago(wrong.passed_s)}",
            f"probe again: {wrong.again}",
        )
    return Finding(
        PROBED,
        "error" if is_certain(wrong, probe) else "warning",
        names[0],
        wrong.chassis[0] if len(wrong.chassis) == 1 else None,
        _moment(probe.probed_ms),
        text,
        remedy,
        tuple(names[1:]),
    )


def _mapped_nowhere(fleet: Fleet, network: Row, mapped: Collection[str]) -> Finding:
    physnet = network["physical_network"]
    has_ports = bool(fleet.chassis_by_network.get(network["_uuid"]))
    return Finding(
        "T204",
        "error" if has_ports else "warning",
        f"network {network['name']}",
        None,
        None,
        f"no chassis maps its physical network {physnet}",
        f"add {physnet}:BRIDGE to trunkline-bridge-mappings of each chassis that needs it, or "
        + _renamed(network, mapped),
    )


def _renamed(network: Row, mapped: Collection[str]) -> str:
    """Return how *network* gets a physical network that is *mapped*."""
    close = _similar(network["physical_network"], mapped)
    known = f" (mapped: {some(mapped)})" if mapped and close is None else ""
    meant = "correct that of the network" if close is None else f"if {close} was meant"
    command = f"trunkline network set {quote(network['name'])} `physical_network={quote(close or 'PHYSNET')}`"
    return f"{meant}{known}: {command}"


def _similar(physnet: str, mapped: Collection[str]) -> str | None:
    """Return which of the names that are *mapped* is similar to *physnet*, if one is."""
    return next((name for name in sorted(mapped) if _is_similar(name, physnet)), None)


def _hint(physnet: str, mapped: Collection[str]) -> str:
    """Return which of the names that are *mapped* is probably a misspelt *physnet*, or what they are.

    >>> _hint("physnet1", ["physnet2", "phsynet1"]), _hint("physnet1", ["physnet2"]), _hint("physnet1", [])
    (' (is phsynet1, which is mapped, misspelt?)', ' (mapped: physnet2)', '')
    """
    close = _similar(physnet, mapped)
    if close is not None:
        return f" (is {close}, which is mapped, misspelt?)"
    return f" (mapped: {some(mapped)})" if mapped else ""


def _idle_mappings(fleet: Fleet) -> Iterator[Finding]:
    """Yield mappings that are probably misspelt, on chassis where no port needs them yet.

    No network uses their name, which is similar to one that networks use and other chassis map.
    """
    used = {row["physical_network"] for row in fleet.networks}
    somewhere = {physnet for row in fleet.chassis for physnet in row["bridge_mappings"]}
    for row in fleet.chassis:
        mapped = row["bridge_mappings"]
        for physnet in sorted(mapped.keys() - used):
            missing = used & somewhere - mapped.keys()
            wanted = sorted(name for name in missing if _is_similar(physnet, name))
            if wanted and not any(_needs(fleet, row["name"], name) for name in wanted):
                yield Finding(
                    "T210",
                    "warning",
                    f"mapping {physnet}",
                    row["name"],
                    None,
                    f"no network uses {physnet}, and {wanted[0]}, which networks use, is not mapped here",
                    "is it misspelt? There, correct trunkline-bridge-mappings: "
                    f"{wanted[0]}:{mapped[physnet] or 'BRIDGE'}",
                )


def _needs(fleet: Fleet, chassis: str, physnet: str) -> bool:
    """Return whether the chassis has ports in networks on *physnet*: then that it is not mapped is found."""
    return any(
        network["physical_network"] == physnet
        and chassis in fleet.chassis_by_network.get(network["_uuid"], ())
        for network in fleet.networks
    )


def _is_similar(one: str, other: str) -> bool:
    """Return whether the names are similar, and differ in more than numbers.

    >>> _is_similar("phsynet1", "physnet1"), _is_similar("physnet1", "physnet2")
    (True, False)
    """
    bare = ["".join(char for char in name.lower() if not char.isdigit()) for name in (one, other)]
    is_close = SequenceMatcher(None, one.lower()[:80], other.lower()[:80]).ratio() >= SIMILAR
    return is_close and (bare[0] != bare[1] or one.lower() == other.lower())


def key_findings(subject: str, chassis: str | None, row: Row) -> Iterator[Finding]:
    """Yield the keys of `external_ids` that look like one of Trunkline's and are not."""
    for key in row["external_ids"]:
        if key.startswith("trunkline-") and key != SET:
            yield Finding(
                "T321",
                "warning",
                subject,
                chassis,
                None,
                f"its external_ids has the key {key[:80]}, which means nothing",
                f"remove it; {meant(key, [SET])}",
            )
