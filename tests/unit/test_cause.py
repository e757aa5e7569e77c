"""Every fault that an agent can report has a code, a text and a remedy."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from trunkline.cli.column import in_options
from trunkline.health.cause import CAUSES, UNKNOWN, Cause, finding, pattern
from trunkline.health.finding import CODES
from trunkline.ovsdb import nic

SOURCE = Path(__file__).parents[2] / "src" / "trunkline"

WRITERS = (
    *("core/address.py", "core/outcome.py", "core/seat.py", "northbound/port_option.py"),
    *("ovsdb/integration_bridge.py", "ovsdb/nic.py", "ovsdb/patch_pair.py", "ovsdb/settings.py"),
    *(
        "ovsdb/value.py",
        "ovsdb/interface.py",
        "ovsdb/way_out.py",
        "ovsdb/wiring.py",
        "ovsdb/release.py",
        "ovsdb/active_settings.py",
    ),
    *("agent/allegiance.py", "agent/northbound_feed.py", "agent/passage.py", "agent/plumbing.py"),
    *("agent/reporter.py", "agent/standing.py", "agent/tenure.py", "agent/wiring_contest.py"),
    *("bridge/drift.py", "bridge/forwarding.py", "bridge/quarantine.py"),
    *("openflow/attempts.py", "openflow/session.py"),
)
"""The modules that make the texts of faults."""

PARTS = frozenset(
    {
        *('an address of "this host"', "an IPv4 address written as IPv6", "MAC X of network X"),
        *("allow X on X", "turn off X of X", "set X of X", "frame of VLAN X", "obey the northbound X"),
        *("a mapping to a bridge that is not there is a fault, and has no ends", "cannot be used: X"),
        *(
            "trunkline agent: bridge and patch ports",
            "trunkline agent: clean up",
            "set vlan-limit to X, from X",
        ),
        *("have the switch act upon a database that was replaced", "flows are no longer contested"),
        *("has no LACP partner; check the switch port at its other end", "has no link; check its other end"),
        "is set down, or gone; run: ip link set X up",
        *(
            "see status and options of: ovs-vsctl list interface X",
            "has no link, as no driver in the VM uses it; start the VM; if it runs, X",
        ),
        *(
            "the switch's database is not read yet",
            "an uplink does not let through yet the VLANs that flows need",
        ),
        "the northbound is not read yet; the switch keeps the flows that it has",
        "the switch is not connected, or its flows are not read yet",
        "Give each host a name of its own: ovs-vsctl set Open_vSwitch . external_ids:system-id=NAME, on",
        *("it has not answered yet", "each connection ends soon after it is made"),
        *("no answer to an echo request", "connecting took too long", "X is not connected; wait for it"),
        *("error message is cut short; connect again", "the switch refused the handshake: X"),
        "the switch refused to list its flows: X",
    }
)
"""What these modules say besides: parts of such a text, and what is for the log or for a caller."""

SETTINGS = ("ovsdb/settings.py", "ovsdb/integration_bridge.py", "ovsdb/active_settings.py")
"""The modules whose texts are faults of the subject `setting`, unless they have a shape of their own."""

FEW_WORDS = 4
"""A text of fewer words is a name, or joins others."""


ENCODING = next(cause for cause in CAUSES if cause.shape.startswith("a value does not fit"))
"""The text of an error of the codec, which the agent passes on."""


def rendered(node: ast.AST) -> str:
    """Return the text of an expression, with an X for each part that is not known here."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(rendered, parts))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return rendered(left) + rendered(right)
    return "X"


def texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts below *node* that are not documentation, and do not go to the log."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr() | ast.BinOp(op=ast.Add()):
            yield rendered(node)
            return
        case ast.Expr(value=ast.Constant()):
            return
        case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
            return
    for child in ast.iter_child_nodes(node):
        yield from texts(child)


def written() -> list[tuple[str, str]]:
    """Return the texts that may be faults, each with its module."""
    return [
        (name, text)
        for name in WRITERS
        for text in texts(ast.parse((SOURCE / name).read_text()))
        if len(text.split()) >= FEW_WORDS and text not in PARTS
    ]


def letters(cause: Cause) -> int:
    return sum(map(str.isalpha, re.sub(r"{.*?}", "", cause.shape)))


def causes_of(name: str, text: str) -> list[Cause]:
    """Return the causes of *text*: those that say something of their own, or else those of a setting."""
    fitting = [cause for cause in CAUSES if pattern(cause.shape).fullmatch(text)]
    own = [cause for cause in fitting if letters(cause)]
    return own or [cause for cause in fitting if name in SETTINGS and cause.code == "T408"]


@pytest.mark.parametrize(("name", "text"), written())
def test_each_text_of_a_fault_has_a_code(name: str, text: str) -> None:
    assert causes_of(name, text), "give it a cause, or name it among the parts"


def test_a_part_is_written_somewhere() -> None:
    all_texts = {text for name in WRITERS for text in texts(ast.parse((SOURCE / name).read_text()))}
    assert set() == PARTS - all_texts


def test_a_module_that_makes_faults_is_among_those_that_are_read() -> None:
    """The agent collects those of others, and one of a TLS file is part of one of the connection."""
    makers = {
        str(path.relative_to(SOURCE))
        for folder in ("core", "ovsdb", "agent", "bridge", "openflow")
        for path in (SOURCE / folder).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and re.search("(?<!de)fault", node.name)
    }
    assert makers - set(WRITERS) == {"ovsdb/tls.py"}


def test_each_cause_fits_what_some_module_writes() -> None:
    nics = [
        nic.fault("X", [nic.Nic("X", None, fault=part)])
        for part in PARTS
        if part.startswith(("is set down", "has no", "cannot"))
    ]
    bond = [nic.Nic("X", None, bond="X"), nic.Nic("Y", None, fault="has no link; check it", bond="X")]
    nics += nic.bond_faults("X", bond).values()
    used = {cause for name, text in written() for cause in causes_of(name, text)}
    used |= {cause for text in nics for cause in causes_of("ovsdb/nic.py", str(text))}
    used |= {cause for cause in CAUSES if not letters(cause)}
    assert [cause for cause in CAUSES if cause not in used] == [ENCODING]


def test_a_fault_has_a_text_and_a_remedy() -> None:
    for cause in CAUSES:
        reason = re.sub(r"{.*?}", "X", cause.shape.replace("|", ""))
        found = finding("c1", f"{cause.noun or 'port'} vm1", reason)
        assert found.code in CODES
        assert found.text
        assert found.remedy
        assert "{" not in found.remedy


@pytest.mark.parametrize(("name", "text"), written())
def test_a_remedy_with_an_option_is_a_command_that_has_it(name: str, text: str) -> None:
    for cause in causes_of(name, text):
        remedy = in_options(finding("c1", f"{cause.noun or 'port'} vm1", text).remedy)
        for clause in re.split(r"; |: |, or ", remedy):
            assert clause.startswith("trunkline ") or not re.search(r"(?<!\S)--[a-z]", clause), remedy


@pytest.mark.parametrize(
    ("subject", "reason", "code", "text", "remedy"),
    [
        (
            "mapping physnet1",
            "bridge br-ex does not exist; create it, or correct trunkline-bridge-mappings",
            "T209",
            "bridge br-ex does not exist",
            "ovs-vsctl add-br br-ex, or correct trunkline-bridge-mappings",
        ),
        (
            "mapping physnet1",
            "nothing gets out of br-ex: eth1 cannot be used: no network device eth1 (No such device)",
            "T203",
            "nothing gets out of br-ex: eth1 cannot be used: no network device eth1 (No such device)",
            "bring the NIC back; see: ovs-vsctl list interface eth1",
        ),
        (
            "port vm1",
            "its VIF is here, but it is requested on c2",
            "T313",
            "its VIF is here, but it is requested on c2",
            "unplug this VIF, or, if it belongs here: trunkline port set vm1 `requested_chassis=c1`",
        ),
        (
            "port vm 1",
            "its VIF is here, but chassis c2 holds it; set `requested_chassis` to x",
            "T313",
            "its VIF is here, but chassis c2 holds it",
            "unplug one of the two, or, if it belongs here: trunkline port set 'vm 1' `requested_chassis=c1`",
        ),
        (
            "setting trunkline-nb",
            "'nonsense' is not a remote; write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT",
            "T408",
            "'nonsense' is not a remote",
            "write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT",
        ),
        (
            "port vm1",
            "`unknown_macs` needs port security off; set `port_security=false`",
            "T325",
            "`unknown_macs` needs port security off",
            "trunkline port set vm1 `port_security=false`",
        ),
        (
            "port vm1",
            "the northbound lets this chassis hold only ports requested on it; set `requested_chassis=c1`",
            "T324",
            "the northbound lets this chassis hold only ports requested on it",
            "trunkline port set vm1 `requested_chassis=c1`",
        ),
        (
            "network blue",
            "its MTU 1500 needs an uplink with an MTU of 1504, and eth1 has 1400; run: ip link set x",
            "T206",
            "its MTU 1500 needs an uplink with an MTU of 1504, and eth1 has 1400",
            "ip link set eth1 mtu 1504, or lower it: trunkline network set blue `mtu=MTU`",
        ),
        (
            "vif vm2",
            "vm2 is a sub-port of vm1 and uses its VIF; correct iface-id of tap2, or clear `parent`",
            "T320",
            "vm2 is a sub-port of vm1 and uses its VIF",
            "correct iface-id of tap2, or: trunkline port set vm2 `parent=''`",
        ),
        ("switch changes", "the switch refuses changes of flows, and x. See the log", UNKNOWN, "", ""),
        ("a thing", "of a later version; update", UNKNOWN, "of a later version", "update"),
    ],
)
def test_a_fault_is_told_as_what_is_wrong_and_what_to_do(
    subject: str, reason: str, code: str, text: str, remedy: str
) -> None:
    found = finding("c1", subject, reason)
    assert (found.code, found.subject, found.chassis) == (code, subject, "c1")
    if text:
        assert (found.text, found.remedy) == (text, remedy)


def test_a_text_of_any_length_is_read_at_once() -> None:
    """A chassis in wrong hands may report any text, and a shape with several holes could take long."""
    found = finding("c1", "mapping p", "nothing gets out of x: " * 10_000)
    assert found.code == "T203"


def test_names_in_a_remedy_are_words_of_a_shell() -> None:
    reason = "tap1 is attached to a VM with MAC 02:00:00:00:00:01, and its port has 02:00:00:00:00:02; see it"
    assert finding("c1", "vif vm1", reason).remedy.endswith("trunkline port set vm1 `mac=MAC`")
    assert finding("c1", "vif x; reboot", reason).remedy.endswith("trunkline port set 'x; reboot' `mac=MAC`")
