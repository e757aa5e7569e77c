"""The cause of a fault: which code the fault of a chassis has, and what to do about it.

An agent reports a fault as text (`Chassis:faults`, subject to reason). `CAUSES` has the shape of each text
that an agent can report; a test compares it with the modules that make these texts. A text of another version
may have none of these shapes: it is a fault all the same, `UNKNOWN`.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from trunkline.health.finding import Finding
from trunkline.northbound.access import VIEWER_ROLE
from trunkline.path.silence import SWITCH_REMEDY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.health.finding import Severity

UNKNOWN = "T599"
"""The code of a fault whose text has no known shape."""

MOST_CHARACTERS = 2000
"""How much of a reason is read: a chassis in wrong hands may write any text."""

WARNINGS = frozenset({"T206", "T208", "T303", "T306", "T321", "T325", "T408", "T409", "T416"})
"""The codes of faults that need not keep a frame from passing."""


_BY_ROLE = re.compile(r'RBAC rules for client "([^"]*)" role "([^"]*)"')
"""How ovsdb-server says that it refused a write by a role."""


class Cause(NamedTuple):
    """The faults with a reason of one shape, of subjects whose first word is *noun*.

    `{}` in *shape* stands for any text, and the bar for the place where the remedy begins. *remedy* replaces
    the one of the shape; `{subject}` in it is the name of what the fault is about, `{chassis}` who has it.
    """

    code: str
    noun: str
    shape: str
    remedy: str = ""


_SEE_LOG = "see the log of the agent on that chassis"

_ANOTHER_PARENT = "trunkline port set {subject} `parent=PORT`"
_ANOTHER_TAG = "trunkline port set {subject} `parent_vlan=TAG`"
_ANOTHER_NETWORK = "trunkline port set {subject} `network=NETWORK`"

CAUSES = (
    # -- the northbound
    Cause("T101", "northbound", "it is {}, and this chassis obeys {}; keeping what was read before|. {}"),
    Cause("T102", "northbound", "{}; keeping what was read before|. {}"),
    Cause("T103", "report", "the northbound refuses what this chassis reports: {}", "correct what it names"),
    Cause("T104", "northbound", "not connected: {}|; start the northbound, or correct trunkline-nb"),
    Cause("T104", "northbound", "host {} of trunkline-nb is not found: {}|; {}"),
    Cause("T505", "system-id", "host {} has it too; {}|. {}"),
    Cause("T505", "system-id", "host {} has it too and {}|. {}"),
    # -- mappings and provider bridges
    Cause(
        "T201",
        "mapping",
        "it is not of the form PHYSNET:BRIDGE|; correct it",
        "correct trunkline-bridge-mappings",
    ),
    Cause("T201", "mapping", "{} is already mapped to {}|; remove one"),
    Cause("T201", "mapping", "{} already carries another physical network|; remove one"),
    Cause("T201", "mapping", "{} is the integration bridge|; map {} to another bridge"),
    Cause(
        "T209",
        "mapping",
        "bridge {0} does not exist|; create it, or correct trunkline-bridge-mappings",
        "run: ovs-vsctl add-br {0}, or correct trunkline-bridge-mappings",
    ),
    Cause("T209", "mapping", "{} exists and is not the patch port from {} to {}|; rename it"),
    Cause("T209", "mapping", "{} is in datapath {} and {} in {}, and no patch port reaches from one {}|; {}"),
    Cause("T209", "mapping", "{} has no OpenFlow port|; see the log of ovs-vswitchd"),
    Cause("T203", "mapping", "nothing gets out of {}: it has no NIC|; run: {}"),
    Cause("T203", "mapping", "nothing gets out of {}: {} is set down, or gone|; {}"),
    Cause("T203", "mapping", "nothing gets out of {}: {} has no link|; {}"),
    Cause("T203", "mapping", "nothing gets out of {}: {} has no LACP partner|; {}"),
    Cause(
        "T203",
        "mapping",
        "nothing gets out of {}: {1} cannot be used: {}",
        "bring the NIC back; see: ovs-vsctl list interface {1}",
    ),
    Cause("T203", "mapping", "nothing gets out of {0}: {}", "see: ovs-vsctl list-ports {0}"),
    Cause("T208", "nic", "bond {} of {} works without it: {}|; {}"),
    Cause("T208", "nic", "bond {} of {} works without it: {}", "see: ovs-vsctl list interface {subject}"),
    Cause("T205", "mapping", "{} is secure and has no flows, so it drops every frame|; {}"),
    Cause("T205", "mapping", "{} has no flows, so it drops every frame|; {}"),
    Cause("T209", "mapping", "{0}: {}", "see: ovs-vsctl list interface {0}"),
    # -- networks
    Cause("T202", "network", "physical network {} is not mapped to a bridge here|; {}"),
    Cause(
        "T211",
        "network",
        "physical network {} cannot be mapped on any chassis: {}|; set another {}",
        "trunkline network set {subject} `physical_network=PHYSNET`",
    ),
    Cause("T207", "network", "no {} gets out of {}: {}|; see tag, trunks and vlan_mode of its Port"),
    Cause(
        "T206",
        "network",
        "{} needs an uplink with an MTU of {1}, and {0} has {}|; {}",
        "ip link set {0} mtu {1}, or lower it: trunkline network set {subject} `mtu=MTU`",
    ),
    Cause(
        "T212",
        "network",
        "it carries its VMs' tags, and {0} also has VLAN networks, {}|; use {}",
        "move it to another physical network than {0}, or: "
        "trunkline network set {subject} `vlan_transparent=false`",
    ),
    Cause(
        "T213",
        "network",
        "it learns its remote ports, {}, but it drops unknown unicast|; change {}",
        "trunkline network set {subject} `unknown_unicast=forward`, or: "
        "trunkline network set {subject} `remote_ports=explicit`",
    ),
    Cause("T315", "network", "its type is {}|; set it to vlan or flat"),
    Cause("T315", "network", "it is of type vlan and has no segmentation_id|; set one of 1-4094"),
    Cause("T315", "network", "it is flat and has segmentation_id {}|; {}"),
    Cause("T315", "network", "its {} is {}|; set one of 1-{}"),
    Cause("T411", "network", "the switch refused a flow of it: {}", _SEE_LOG),
    Cause("T411", "network", "a value does not fit its field: {}|; {}", _SEE_LOG),
    # -- ports
    Cause(
        "T313",
        "port",
        "its VIF is here, but it is requested on {}",
        "unplug this VIF, or, if it belongs here: trunkline port set {subject} `requested_chassis={chassis}`",
    ),
    Cause(
        "T313",
        "port",
        "its VIF is here, but chassis {} holds it|; {}",
        "unplug one of the two, or, if it belongs here: "
        "trunkline port set {subject} `requested_chassis={chassis}`",
    ),
    Cause(
        "T318",
        "port",
        "another port of its network also has its address {}|; {}",
        "change it, or, if both may have it: trunkline port set {subject} `options:allow-duplicate-ip=true`",
    ),
    Cause("T320", "port", "its parent {} is itself a sub-port|; {}", _ANOTHER_PARENT),
    Cause("T320", "port", "it is its own parent|; {}", _ANOTHER_PARENT),
    Cause("T320", "port", "it has parent {} but no `parent_vlan`|; set one", _ANOTHER_TAG),
    Cause("T320", "port", "its parent {} is in the same network|; {}", _ANOTHER_NETWORK),
    Cause(
        "T320",
        "port",
        "the network of its parent {} carries its VMs' tags|; {}",
        f"have it carry none: trunkline network set NETWORK `vlan_transparent=false`, or: {_ANOTHER_PARENT}",
    ),
    Cause("T320", "port", "tag {} of {} belongs to port {}|; {}", _ANOTHER_TAG),
    Cause("T320", "port", "port {} of the same parent is in the same network|; {}", _ANOTHER_NETWORK),
    Cause(
        "T327",
        "port",
        "iface-id {} belongs to port {}|; {}",
        "trunkline port set {subject} `iface_id=ID`, and give its VIF the same",
    ),
    Cause("T321", "port", "there is no option {}|; {}"),
    Cause("T321", "port", "option {} is {}|; use {}"),
    Cause(
        "T324",
        "port",
        "the northbound lets this chassis hold only ports {}|; set {}",
        "trunkline port set {subject} `requested_chassis={chassis}`",
    ),
    Cause(
        "T325",
        "port",
        "{} needs port security off|; set {}",
        "trunkline port set {subject} `port_security=false`",
    ),
    Cause("T315", "port", "{} is not a MAC address|; {}"),
    Cause("T315", "port", "{}, which no port can have|; {}"),
    Cause("T315", "port", "{} is not an IP address|; {}"),
    Cause("T315", "port", "{} is not an IP address or prefix|; {}"),
    Cause("T315", "port", "{} has a zone|; {}"),
    Cause("T315", "port", "{} has bits set beyond its length|; {}"),
    Cause(
        "T315",
        "port",
        "its MAC is written {}|; write it as {0}, or set {}",
        "trunkline port set {subject} `mac={0}`",
    ),
    Cause("T315", "port", "its {} is {}|; set one of 1-{}"),
    Cause("T315", "port", "it has {} {}|; a port may have {}"),
    # -- VIFs
    Cause("T302", "vif", "no port has iface-id {}|; create it, or correct iface-id of {}"),
    Cause(
        "T320",
        "vif",
        "{} is a sub-port of {} and uses its VIF|; correct iface-id of {0}, or clear {}",
        "correct iface-id of {0}, or: trunkline port set {subject} `parent=''`",
    ),
    Cause("T304", "vif", "{} is set down, or gone|; {}"),
    Cause("T304", "vif", "{} has no link|; check its other end"),
    Cause(
        "T303",
        "vif",
        "{} also has this iface-id; {} is in use|; unplug the one that is not the VM's, such as: {}",
    ),
    Cause("T314", "vif", "{} is on the provider bridge {}, past all flows|; {}"),
    Cause(
        "T306",
        "vif",
        "{} is attached to a VM with MAC {}, and its port has {}|; {}",
        "give the VM the MAC of its port, or: trunkline port set {subject} `mac=MAC`",
    ),
    Cause("T305", "vif", "{0}: {}", "see: ovs-vsctl list interface {0}"),
    # -- the switch
    Cause(
        "T401",
        "switch",
        "no OpenFlow connection to {}: {}|; is ovs-vswitchd running, and does its log say more?",
        SWITCH_REMEDY,
    ),
    Cause("T401", "switch", "{} has not acknowledged its flows|; see the agent's log"),
    Cause("T402", "switch", "ovs-vswitchd was restarted, and forwards only {} until {}|; {}"),
    Cause("T402", "switch", "ovs-vswitchd forwards nothing while {} is set|; {}"),
    Cause("T412", "switch", "ovs-vswitchd could not create {} with datapath_type {}|; its log says why; {}"),
    Cause("T403", "vlan-limit", "{}, and with anything but {} a VM can reach other VLANs|; {}"),
    Cause("T409", "wiring", "another program changes the integration bridge or the patch ports {}|; {}"),
    Cause("T409", "flows", "another program changes our flows in table {} again and again, {}|; {}"),
    Cause("T413", "wiring", "the switch's database refused a write: {}", "correct what it names"),
    Cause("T411", "switch changes", "the switch refuses changes of flows, {}|. See the log of ovs-vswitchd"),
    Cause("T415", "switch connection", "each connection to {} ends soon after it is made {}|; {}"),
    Cause("T415", "switch messages", "the switch sends invalid messages {}|; {}"),
    Cause("T416", "open-vswitch", "Open vSwitch {} is not supported: {}|; {}"),
    Cause("T416", "open-vswitch", "Open vSwitch {} may keep to cached flows that are wrong {}|; {}"),
    Cause("T411", "pipeline", "{}", _SEE_LOG),
    # -- settings
    Cause("T408", "setting", "{}|; {}"),
    Cause("T408", "settings", "{}|; {}"),
    Cause("T408", "settings", "{}", "correct it"),
    # -- any row
    Cause("T414", "", "{} already has a flow with the same match|; change one of them"),
)
"""The first one that fits is the cause."""


def finding(chassis: str, subject: str, reason: str) -> Finding:
    """Return the finding of the fault that *chassis* reports of *subject* with *reason*.

    >>> finding("c1", "mapping physnet1", "nothing gets out of br-ex: eth1 has no link; check its other end")
    ... # doctest: +NORMALIZE_WHITESPACE
    Finding(code='T203', severity='error', subject='mapping physnet1', chassis='c1', since=None,
            text='nothing gets out of br-ex: eth1 has no link', remedy='check its other end', also=(),
            wait_s=None)
    """
    for cause in _causes_of(subject):
        found = pattern(cause.shape).fullmatch(reason[:MOST_CHARACTERS])
        if found is not None:
            return _finding(cause, chassis, subject, found)
    text, _, remedy = reason.partition("; ")
    text, subject = text or "it is reported without a reason", subject or "fault"
    return Finding(UNKNOWN, "error", subject, chassis, None, text, remedy or "see `trunkline chassis show`")


def _finding(cause: Cause, chassis: str, subject: str, found: re.Match[str]) -> Finding:
    groups = found.groupdict()
    text, own_remedy = groups.pop("text"), groups.pop("rest") or ""
    named = {key.removeprefix("g"): value for key, value in groups.items()}
    remedy = own_remedy.lstrip(";. ")
    if cause.remedy:
        remedy = _filled(cause.remedy, named | {"subject": subject.partition(" ")[2], "chassis": chassis})
    if cause.noun == "report":
        remedy = _role_remedy(chassis, text) or remedy
    severity: Severity = "warning" if cause.code in WARNINGS else "error"
    return Finding(cause.code, severity, subject, chassis, None, text, remedy.removeprefix("run: "))


def _role_remedy(chassis: str, text: str) -> str | None:
    """Return what to do if *text* says that the database refused *chassis* by a role; None if not.

    >>> _role_remedy("c1", 'permission error: RBAC rules for client "c2" role "trunkline-chassis"')
    'give the chassis a certificate whose CN is its system-id, c1, and not c2'
    """
    found = _BY_ROLE.search(text)
    if found is None:
        return None
    client, role = found.groups()
    if client != chassis:
        return f"give the chassis a certificate whose CN is its system-id, {chassis}, and not {client}"
    if role == VIEWER_ROLE:
        return f"correct trunkline-nb: it names a listener with the role {role}, which is not for chassis"
    return None


def _filled(remedy: str, named: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda hole: shlex.quote(named[hole[1]]), remedy)


def _causes_of(subject: str) -> list[Cause]:
    """Return the causes of faults of *subject*: its noun is the whole of it, or its first word."""
    by_noun = _causes_by_noun()
    noun = subject if subject in by_noun else subject.partition(" ")[0]
    return [*by_noun.get(noun, ()), *by_noun[""]]


@cache
def _causes_by_noun() -> dict[str, list[Cause]]:
    found: dict[str, list[Cause]] = defaultdict(list)
    for cause in CAUSES:
        found[cause.noun].append(cause)
    return dict(found)


@cache
def pattern(shape: str) -> re.Pattern[str]:
    """Return what matches a reason of *shape*: the groups `text` and `rest`, and `g0` for a hole `{0}`."""

    def part(text: str) -> str:
        pieces = re.split(r"\{(\w*)\}", text)
        return "".join(
            re.escape(piece) if not at % 2 else f"(?P<g{piece}>.+?)" if piece else ".+?"
            for at, piece in enumerate(pieces)
        )

    text, _, rest = shape.partition("|")
    return re.compile(f"(?P<text>{part(text)})(?P<rest>{part(rest)})", re.DOTALL)
