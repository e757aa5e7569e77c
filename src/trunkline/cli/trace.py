"""`trunkline trace`: where a frame goes, through every chassis that it comes to, and how it ends."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.column import all_in_options
from trunkline.cli.name import PORTS
from trunkline.cli.option import NOT_EMPTY, with_data_output, with_northbound
from trunkline.cli.output import print_data, printable
from trunkline.cli.place import with_chassis
from trunkline.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trunkline.insight.chassis import Chassis
    from trunkline.northbound.client import Northbound
    from trunkline.path.hop import Entry
    from trunkline.path.outcome import Silence
    from trunkline.path.trace import Ask, Trace

ANSWER_S = 10.0
"""How long the chassis are waited for."""

_MOST_HOPS = 4
"""Up to so many chassis are shown step by step; of more, those that do not deliver."""

_MOST_PORTS = 20
"""So many ports that a frame does not reach are named."""


@click.command()
@click.option(
    "--from",
    "from_",
    required=True,
    type=NOT_EMPTY,
    metavar="PORT|PHYSNET",
    shell_complete=PORTS,
    help="Who sends it.",
)
@click.option(
    "--vlan",
    "vlan_id",
    type=click.IntRange(0, 4095),
    metavar="N",
    help="With PHYSNET: its tag there, else it is untagged. With PORT: a tag that the VM itself puts on.",
)
@click.option(
    "--to",
    "to",
    type=NOT_EMPTY,
    metavar="PORT|MAC|IP",
    shell_complete=PORTS,
    help="Whom it is for; may be a group, or broadcast.",
)
@click.option("--arp", "kind", flag_value="ARP", help="ARP, or neighbour discovery for IPv6.")
@click.option("--icmp", "kind", flag_value="ICMP", help="A ping.  [default, between addresses]")
@click.option("--tcp", "tcp_port", type=click.IntRange(1, 65535), metavar="N", help="TCP to port N.")
@click.option("--udp", "udp_port", type=click.IntRange(1, 65535), metavar="N", help="UDP to port N.")
@click.option("--dhcp", "kind", flag_value="DHCP", help="A DHCP discovery, to everybody.")
@click.option("--frame", "hex_", type=NOT_EMPTY, metavar="HEX", help="This very frame, in hex digits.")
@click.option(
    "--size", type=click.IntRange(1, 9728), metavar="N", help="Its packet has N bytes, as an MTU counts them."
)
@click.option("--both", is_flag=True, help="Also the way of the answer.")
@click.option("--raw", is_flag=True, help="Also what each ovs-vswitchd says, word by word.")
@with_chassis
@with_data_output
@with_northbound
def trace(
    nb: Northbound,
    from_: str,
    vlan_id: int | None,
    to: str | None,
    kind: str | None,
    tcp_port: int | None,
    udp_port: int | None,
    hex_: str | None,
    size: int | None,
    both: bool,
    raw: bool,
    ovs_remote: str | None,
    output: str,
) -> int:
    """Show where a frame goes, through every chassis that it comes to, and why it is lost.

    Nothing is sent. Each chassis is asked what its switch would do with the frame: the sender's, then those
    of the receivers, as the frame arrives there from the wire. Of the physical network in between only the
    counters of flows are known: if frames were sent just now that these do not show yet at the receiver, the
    command waits some 3 s for them. If it runs on one of these chassis, it asks that one's switch itself, so
    the agent there may be down.

    Exit codes: 0 delivered; 1 could not, such as a port that has no VIF; 3 a chassis has not answered, it is
    too early to tell, or a probe has found that the physical network joins the two networks; 4 not delivered,
    with the reason and what to do, also if what the VM itself has sent last is dropped.

    \b
    Examples:
      trunkline trace --from vm1 --to vm2
      trunkline trace --from vm1 --to 192.0.2.12 --tcp 80 --both
      trunkline trace --from vm1 --to ff:ff:ff:ff:ff:ff
      trunkline trace --from physnet1 --vlan 101 --to vm2
    """
    from trunkline.health.own_frames import with_own_frames
    from trunkline.path.asking import Wanted, traced
    from trunkline.path.trace import settled

    ports = [each for each in (tcp_port, udp_port) if each is not None]
    if len(ports) + (kind is not None) + (hex_ is not None) > 1:
        raise click.UsageError("give one of --arp, --icmp, --tcp, --udp, --dhcp and --frame")
    if to is None and kind != "DHCP" and hex_ is None:
        raise click.UsageError("say whom the frame is for, by --to")
    if hex_ is not None and both:
        raise click.UsageError("nobody knows the answer to a frame in hex digits; leave out --both")
    if hex_ is not None and (size is not None or vlan_id is not None):
        raise click.UsageError("a frame in hex digits is as it is; leave out --size and --vlan")
    chosen = "TCP" if tcp_port is not None else "UDP" if udp_port is not None else kind
    wanted = Wanted(from_, to, chosen, ports[0] if ports else 0, vlan_id, size, hex_, raw)
    ask = asker(nb, ovs_remote, is_counted=True)
    ways = settled(traced(nb, wanted, ask, both=both), ask, _wait)
    if hex_ is None:
        ways = [with_own_frames(nb, way) for way in ways]
    there, *back = ways
    if output != "table":
        data = there.data()
        print_data(all_in_options(data | {"back": back[0].data()} if back else data), output)
    else:
        for way in (there, *back):
            for line in lines(way):
                click.echo(line)
    return _code([there.verdict, *(way.verdict for way in back)])


def _wait(wait_s: float) -> None:
    """Wait until counters show what was sent just now."""
    with Progress().phase("frames were sent just now; waiting until counters show whether they have come"):
        time.sleep(wait_s)


def _code(verdicts: Sequence[str]) -> int:
    """Return the exit code of the ways that end with *verdicts*: of the worst one."""
    from trunkline.cli.main import EXIT_NO, EXIT_TIMED_OUT
    from trunkline.path.outcome import DELIVERED, INCOMPLETE

    wrong = [each for each in verdicts if each != DELIVERED]
    return 0 if not wrong else EXIT_TIMED_OUT if set(wrong) == {INCOMPLETE} else EXIT_NO


def asker(
    nb: Northbound, ovs_remote: str | None, patience_s: float = ANSWER_S, *, is_counted: bool = False
) -> Ask:
    """Return what asks chassis: the one of this machine directly, all others by the northbound.

    These have *patience_s* to answer. With *is_counted*, the sender's counters show all that it has sent,
    which takes a second.
    """
    from trunkline.insight import chassis
    from trunkline.insight.connection import SwitchError

    here: Chassis | None = None
    try:
        here = chassis.read(ovs_remote)
    except SwitchError:
        # No Open vSwitch is here, or not for this user: whoever is asked, is asked by the northbound.
        if ovs_remote is not None:
            raise

    def ask(names: Sequence[str], entry: Entry) -> Mapping[str, dict[str, Any] | Silence]:
        found: dict[str, dict[str, Any] | Silence] = {}
        entry = entry._replace(is_counted=is_counted and entry.iface_id is not None)
        if here is not None and here.name is not None and here.name in names:
            from trunkline.path.local import local_hop

            # If its switch is not open to this user, its agent may still answer.
            with suppress(SwitchError):
                found[here.name] = local_hop(here, nb, entry)
        others = [name for name in names if name not in found]
        return found | (_asked(nb, others, entry, patience_s) if others else {})

    return ask


def _asked(
    nb: Northbound, names: Sequence[str], entry: Entry, patience_s: float
) -> dict[str, dict[str, Any] | Silence]:
    """Return what the chassis called *names* answer within *patience_s*."""
    from trunkline.northbound import question
    from trunkline.northbound.operation import select
    from trunkline.path.hop_form import parts, problem
    from trunkline.path.outcome import Silence
    from trunkline.path.silence import remedy

    (rows,) = nb.read(select("Chassis", only=("name",)))
    known = {row["name"] for row in rows}
    there = [name for name in names if name in known]
    progress = Progress()
    with progress.phase(f"asking {len(there):,} chassis about the frame"):
        report = progress.counting("chassis have answered about the frame")
        answers = question.ask(nb, "trace", there, entry.parameters(), timeout_s=patience_s, report=report)
    found: dict[str, dict[str, Any] | Silence] = {}
    for name in names:
        answer = answers.by_chassis.get(name)
        if name not in known:
            found[name] = Silence(f"{name} is no chassis of the northbound")
        elif answer is None:
            found[name] = Silence(f"{name} has not answered for {patience_s:g} s")
        elif answer.state != question.DONE:
            found[name] = Silence(f"{name} cannot say: {answer.reason}", remedy(answer))
        elif (wrong := problem(answer.body, name)) is not None:
            found[name] = Silence(
                f"the answer of {name} cannot be read ({wrong}); is its agent of this version?"
            )
        else:
            found[name] = parts(answer.body)
    return found


def lines(way: Trace) -> Iterator[str]:
    """Yield the lines that show *way* to a person."""
    from trunkline.cli.column import in_options

    said = printable(way.title)
    for number, hop in enumerate(_shown(way)):
        if hop.get("wire"):
            yield f"──  {printable(hop['wire'])}"
        begins = printable(f"from {hop['enters']}") if number else said
        yield f"{printable(hop['chassis'])}  {begins}"
        yield from _steps(hop)
    yield f"{way.verdict} {printable(way.text)}"
    wrong = [each for each in way.outcomes if not each.is_delivered]
    if wrong and way.text != wrong[0].text:
        for each in wrong[:_MOST_PORTS]:
            yield f"    {printable(each.port)}: {printable(each.text)}"
        if wrong[_MOST_PORTS:]:
            yield f"    and {len(wrong) - _MOST_PORTS:,} more ports"
    for remedy in dict.fromkeys(each.remedy for each in wrong if each.remedy):
        yield f"    → {printable(in_options(remedy))}"
    for text, act in way.notes:
        yield f"    {printable(text)}"
        if act is not None:
            yield f"    → {printable(in_options(act))}"


def _shown(way: Trace) -> list[dict[str, Any]]:
    """Return the hops that are shown step by step."""
    if len(way.hops) <= _MOST_HOPS:
        return way.hops
    bad = {each.chassis for each in way.outcomes if not each.is_delivered}
    return [way.hops[0], *[hop for hop in way.hops[1:] if hop["chassis"] in bad][:_MOST_HOPS]]


def _steps(hop: Mapping[str, Any]) -> Iterator[str]:
    for step in hop["steps"]:
        place = (
            f"{step['table']:>3}"
            if step["band"] is not None
            else f"{printable(step['bridge'])} {step['table']}"
        )
        seen = "" if step["packets"] is None else f"seen {step['packets']:,}"
        yield f"    {place}  {printable(step['text']):60}  {seen}".rstrip()
    for text in str(hop.get("raw", "")).splitlines():
        yield f"    | {printable(text)}".rstrip()
