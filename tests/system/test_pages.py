"""Every command of every page works as the page shows it, typed in the order of the page.

Each page has a story: it sets up what the page takes for granted, and types the page's commands. All that a
page shows is typed. So a new command needs nothing here, unless it needs something first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from page_host import Host, connect
from page_reader import Reader

from model import page

pytestmark = pytest.mark.system

NB = "trunkline nb start --detach --remote punix:/run/trunkline/nb.sock --remote ptcp:6641:192.0.2.1"
AGENT = (
    "trunkline agent --detach --pidfile /run/openvswitch/trunkline-agent.pid "
    "--log-file /var/log/openvswitch/trunkline-agent.log"
)
BRIDGE = "ovs-vsctl add-br br-ex -- add-port br-ex eth1"
SETTINGS = (
    "ovs-vsctl set Open_vSwitch . external_ids:system-id=c1 external_ids:trunkline-nb=tcp:192.0.2.1:6641 "
    "external_ids:trunkline-bridge-mappings=physnet1:br-ex"
)
BLUE = """
trunkline network create blue --type vlan --physical-network physnet1 --segment 101
trunkline port create vm1 --network blue --mac 02:00:00:00:00:01 --ip 192.0.2.11
trunkline port create vm2 --network blue --mac 02:00:00:00:00:02 --ip 192.0.2.12
"""
VIFS = """
ovs-vsctl add-port br-int tap1 -- set interface tap1 external_ids:iface-id=vm1
ovs-vsctl add-port br-int tap2 -- set interface tap2 external_ids:iface-id=vm2
trunkline sync --wait
"""
CHASSIS = f"{NB}\n{BRIDGE}\n{SETTINGS}\n{AGENT}\n{BLUE}\ntrunkline sync --wait\n{VIFS}"
"""A chassis with the VIFs of vm1 and vm2, in blue."""
_KEYS = '{"op":"mutate","table":"NB_Global","where":[],"mutations":[["next_port_key","+=",41]]}'
_TRANSACT = f"ovsdb-client transact tcp:192.0.2.1:6641 '[\"Trunkline_Northbound\",{_KEYS}]'"
WITH_KEY_42 = CHASSIS.replace(BLUE, f"{_TRANSACT}\n{BLUE}")
"""The same, and the port of vm1 has the key 42, as in the cookie of the flow that pages explain."""


def arrival(interface: str, source: str, to: str, vlan_id: int | None = None) -> str:
    """Return what lets an IPv4 frame arrive at the switch, from the VM or the wire behind *interface*."""
    tag = "" if vlan_id is None else f"8100{vlan_id:04x}"
    packet = "4500001c000000004011 0000 c000020b c000020c 00010002 0008 0000".replace(" ", "")
    frame = f"{to}{source}{tag}0800{packet}".replace(":", "")
    return f"ovs-appctl netdev-dummy/receive {interface} {frame.ljust(128, '0')}"


def readme(reader: Reader) -> None:
    host = reader.host()
    host.start_switch()
    host.do(BRIDGE)
    (*_, status) = reader.type(host)
    assert "1 port (1 up, 0 down, 0 disabled), 0 faults" in status


def access(reader: Reader) -> None:
    host = reader.host()
    host.start_switch()
    host.do(BRIDGE)
    host.do(SETTINGS)
    reader.type(host, until="for name")
    loop = next(each.text for each in page.commands(reader.text) if each.text.startswith("for name"))
    host.do(loop.replace("nb operator c1 c2", "eve"))
    host.do("mkdir /etc/trunkline\ncp c1.key c1.pem ca.pem /etc/trunkline/")
    reader.type(host, until="trunkline nb listen pssl:6642")
    host.do(AGENT)
    host.do(BLUE)
    host.do("trunkline sync --wait")
    (*_, state) = reader.type(host)
    assert "c1" in state
    # The last commands were typed by somebody who may only look.
    code, said = host.run("trunkline network delete blue")
    assert (code, said.count("\n")) == (1, 1)
    assert "trunkline-viewer" in said


def apply(reader: Reader) -> None:
    host = reader.host()
    host.do(NB)
    files = re.findall(r"`([\w.]+)`[^`\n]*:\n\n```yaml\n(.*?)```", reader.text, re.DOTALL)
    assert len(files) == reader.text.count("```yaml")
    for name, text in files:
        host.write(name, text)
    refused = {"trunkline apply -f bad.yaml": 2, "trunkline apply -f hers.yaml --set hers --yes": 1}
    reader.type(host, codes={"trunkline apply -f later.yaml": 4, **refused})


def cluster(reader: Reader) -> None:
    first, second, third = members = [reader.named(f"192.0.2.{number}") for number in (1, 2, 3)]
    relay = reader.host("h4", "192.0.2.4")
    connect(first, second, third, relay)
    first.start_switch()
    reader.type(first, until="ovs-vsctl set Open_vSwitch . external_ids:trunkline-nb")
    first.do("trunkline network create blue --type vlan --physical-network physnet1 --segment 101")
    status = reader.type_from_text(third, "trunkline nb status --db")
    lost = re.findall(r"^server_id +(\w+)", status, re.MULTILINE)[0]
    third.do("kill -9 $(cat /var/lib/trunkline/nb.pid)\nrm /var/lib/trunkline/nb.db")
    reader.type(first, until="ovs-appctl", replace={"SERVER_ID": lost})
    joining = next(each.text for each in page.commands(reader.text) if each.host == third.address)
    third.do(joining)
    reader.type(relay, until="trunkline nb start --detach --relay")
    status = "trunkline nb status --db /var/lib/trunkline/nb.db -o json"
    (leader,) = [each for each in members if json.loads(each.do(status))["cluster"]["role"] == "leader"]
    for upkeep in ("cluster/change-election-timer", "ovsdb-server/compact"):
        reader.type_from_text(leader, f"ovs-appctl -t /var/lib/trunkline/nb.ctl {upkeep}", {" MS": " 1500"})
    reader.type_from_text(first, "trunkline nb backup", {"FILE": "copy.db"})
    reader.type_from_text(first, "ovsdb-client restore", {"FILE": "copy.db", "REMOTE": "tcp:127.0.0.1:6641"})
    for address in (third.address, relay.address):
        assert json.loads(second.do(f"trunkline --nb tcp:{address}:6641 network list -o json"))
    alone = reader.host()
    alone.do(NB)
    alone.do("trunkline network create red --type flat --physical-network physnet1")
    reader.type(alone)
    assert json.loads(alone.do("trunkline --nb tcp:127.0.0.1:6641 nb status -o json"))["model"] == "clustered"


def lab(reader: Reader) -> None:
    host = reader.host()
    reader.type(host, until="trunkline lab down --name mylab")
    (topology,) = re.findall(r"```yaml\n(.*?)```", reader.text, re.DOTALL)
    host.write("tiny.yaml", topology)
    reader.type_from_text(host, "trunkline lab up -f", {"tiny.yaml": "tiny.yaml --name mylab"})
    for variable in ("TRUNKLINE_NB", "OVS_RUNDIR"):
        reader.type_from_text(host, f"export {variable}")
    reader.type_from_text(host, "ip netns exec tl-mylab-vm1", {"COMMAND": "ping -c 1 10.0.0.12"})
    reader.type_from_text(host, "kill -STOP")
    code, said = host.run("trunkline status --check")
    assert (code, "silent" in said) == (4, True), said
    host.do("kill -CONT $(cat /run/trunkline-lab/mylab/c1/trunkline-agent.pid)")
    reader.type_from_text(host, "ovs-appctl -t trunkline-agent exit")
    reader.type(host)
    host.do("until trunkline sync --wait; do [ $? = 4 ] || exit 1; done")
    host.do("trunkline status --check\ntrunkline lab down --name mylab")


def operations(reader: Reader) -> None:
    host = reader.host()
    host.start_switch()
    host.do(BRIDGE)
    reader.type(host, until="echo 'NB_OPTIONS")
    host.do(". /etc/default/trunkline-nb\ntrunkline nb start --detach $NB_OPTIONS")
    reader.type(host, until="ovs-vsctl set Open_vSwitch . external_ids:trunkline-bridge-mappings")
    host.do("ovs-vsctl set Open_vSwitch . external_ids:system-id=$(cat /etc/openvswitch/system-id.conf)")
    host.do(AGENT)
    reader.type(host, until="ovs-vsctl remove Open_vSwitch . external_ids trunkline-bridge-mappings")
    host.do(SETTINGS)
    host.do(BLUE)
    host.do("trunkline export >blue.yaml\ntrunkline apply -f blue.yaml --adopt --yes\ntrunkline sync --wait")
    host.do(VIFS)
    reader.type(host, until="trunkline chassis show c1")
    plans(reader, host)
    host.do(f"trunkline nb stop\nmv /var/lib/trunkline/nb.db old.db\n{NB}")
    reader.type(host, until="trunkline chassis accept-nb")
    host.do("trunkline sync --wait")
    host.do(BLUE)
    host.do("trunkline port create fw1 --network blue --mac 02:00:00:00:00:0f")
    for asked in ("status", "flows", "flows installed", "plan", "recompute", "vlog/list"):
        assert f"`{asked}`" in reader.text
        reader.type_from_text(host, "ovs-appctl -t trunkline-agent COMMAND", {"COMMAND": asked})
    reader.type(host, until="trunkline agent --cleanup")
    today = {"nb-2026-11-26.db": "nb-$(date +%F).db"}
    reader.type(host, until="trunkline nb start", replace=today)
    leave_as_neutron_does(host)
    reader.type(host, codes={"trunkline agent --take-over --dry-run": 4})
    host.do("trunkline status --check")
    ports = json.loads(host.do("trunkline port list -o json"))
    assert {port["name"] for port in ports if port["up"]} == {"vm1", "vm2"}


def plans(reader: Reader, host: Host) -> None:
    """Type the commands about plans, each after what the page says that happened before."""
    reader.type(host, until="trunkline plan", numbers=["124"])
    host.do("ovs-appctl -t trunkline-agent exit")
    (vif,) = flows(host, "table=0,in_port=tap1")
    (deliver,) = [flow for flow in flows(host, "table=80") if "tap2" in flow]
    host.do(f"ovs-ofctl -O OpenFlow14 --strict del-flows br-int '{body(vif)}'")
    host.do(f"ovs-ofctl -O OpenFlow14 add-flow br-int 'cookie=0xbad,{body(deliver)},actions=drop'")
    reader.type(host, until="trunkline plan", numbers=["124"])
    host.do(f"{AGENT}\ntrunkline sync --wait")
    host.do("sed -i 's/segmentation_id: 101/segmentation_id: 121/' blue.yaml")
    for router in ("02:00:00:00:99:01", "02:00:00:00:99:02"):
        host.do(arrival("eth1", router, "02:00:00:00:00:01", vlan_id=101))
    reader.type(host, until="trunkline plan --with", numbers=["124", "18,204"])
    reader.type(host, until="trunkline plan --chassis")


def flows(host: Host, match: str) -> list[str]:
    found = host.do(f"ovs-ofctl -O OpenFlow14 --no-stats --names dump-flows br-int {match}")
    return [line.strip() for line in found.splitlines() if "actions=" in line]


def body(flow: str) -> str:
    """Return the table, priority and match of a flow as ovs-ofctl shows it."""
    return re.sub(r"^cookie=\w+, ", "", flow).partition(" actions=")[0].replace(", ", ",")


def leave_as_neutron_does(host: Host) -> None:
    """Lay out the bridges as Neutron's agent leaves them, with the VIFs of vm1 and vm2."""
    for bridge in ("br-int", "br-ex"):
        host.do(f"ovs-vsctl --may-exist add-br {bridge}")
        host.do(f"ovs-vsctl set-fail-mode {bridge} secure -- set-controller {bridge} tcp:127.0.0.1:6633")
        host.do(f"ovs-ofctl add-flow {bridge} cookie=0x1234,table=60,actions=drop")
    for bridge, near, far in (("br-int", "int-br-ex", "phy-br-ex"), ("br-ex", "phy-br-ex", "int-br-ex")):
        peer = f"set interface {near} type=patch options:peer={far}"
        host.do(f"ovs-vsctl --may-exist add-port {bridge} {near} -- {peer}")
    host.do("ovs-vsctl set port tap1 tag=1 -- set port tap2 tag=1")


def troubleshooting(reader: Reader) -> None:
    host = reader.host()
    host.start_switch()
    host.do(WITH_KEY_42)
    tagged = arrival("tap1", "02:00:00:00:00:01", "02:00:00:00:00:02", vlan_id=7)
    (*_, explained) = reader.type(host, until="trunkline explain", before={"trunkline flows --drops": tagged})
    assert "vm1" in explained
    reader.type(host)


def checks(reader: Reader) -> None:
    host = reader.host()
    host.start_switch()
    host.do(CHASSIS)
    numbers = ["57", "55"]
    reader.type(host, until="trunkline check", numbers=numbers)
    reader.type(host, codes={"trunkline check --port": 4}, numbers=numbers)


def probe(reader: Reader) -> None:
    """The lab that comes without a topology, and in it c1."""
    host = reader.host()
    host.do("trunkline lab up --name mylab")
    place = "/run/trunkline-lab/mylab"
    host.do(f"export TRUNKLINE_NB=unix:{place}/nb.sock OVS_RUNDIR={place}/c1")
    reader.type(host, codes={"trunkline probe --addresses --chassis c1": 4})
    host.do("trunkline lab down --name mylab")


def prove(reader: Reader) -> None:
    host = reader.host()
    host.start_switch()
    host.do(CHASSIS)
    reader.type(host, until="trunkline prove --network")
    key = json.loads(host.do("trunkline network show blue -o json"))["unique_key"]
    leak = f"push_vlan:0x8100,set_field:{0x1000 + 102}->vlan_vid,output:int-br-ex"
    match = f"cookie=5,table=50,priority=900,metadata={key}"
    host.do(f"ovs-ofctl -O OpenFlow14 add-flow br-int '{match},actions={leak}'")
    code, said = host.run("trunkline prove")
    shown = ("VIOLATED: frames from vm1 (tap1), of blue, leave by int-br-ex to physnet1", "trace agrees")
    assert (code, *(line in said for line in shown)) == (4, True, True), said
    reader.type(host, codes={"trunkline prove": 4})


CLI = "docs/cli.md"
"""Its commands are the examples of the help texts."""


def part(command: str) -> str:
    """Return the part of the commands of CLI that *command* belongs to. Each part is a test of its own.

    Labs take long, so each command about them is a part.
    """
    noun = command.split()[1]
    if noun == "lab":
        return " ".join(command.split()[1:3])
    return noun if noun in EXAMPLES else OTHERS


def nb_examples(reader: Reader) -> None:
    host = reader.host()
    host.do(NB)
    reader.type(host, before={"trunkline nb start": "trunkline nb stop", "trunkline nb unlisten": NB})


def agent_examples(reader: Reader) -> None:
    host = reader.host()
    host.start_switch()
    host.do(CHASSIS)
    host.do("ovs-appctl -t trunkline-agent exit")
    reader.type(host, before={"trunkline agent --cleanup": "ovs-appctl -t trunkline-agent exit"})


def row_examples(reader: Reader) -> None:
    """Networks and ports: vm1 and vm2 in blue, on c1."""
    host = reader.host()
    host.start_switch()
    host.do(CHASSIS)
    reader.type(host)


def lab_examples(reader: Reader) -> None:
    host = reader.host()
    reader.type(
        host,
        before={
            "trunkline lab down": "trunkline lab up",
            **dict.fromkeys(
                ("trunkline lab restart", "trunkline lab impair", "trunkline lab join", "trunkline lab mend"),
                "trunkline lab list | grep -q mylab || trunkline lab up --name mylab",
            ),
        },
    )


def other_examples(reader: Reader) -> None:
    """Vm1 and vm2 in blue, on c1; another chassis, c2; the file blue.yaml."""
    host = reader.host()
    host.start_switch()
    host.do(WITH_KEY_42)
    host.do("trunkline export >blue.yaml\ntrunkline apply -f blue.yaml --adopt --yes")
    host.do("trunkline port set vm1 --ip 192.0.2.21")
    other = reader.host("c2", "192.0.2.2")
    connect(host, other)
    other.start_switch()
    other.do(f"{BRIDGE}\n{SETTINGS.replace('system-id=c1', 'system-id=c2')}\n{AGENT}")
    host.do("trunkline sync --wait")
    host.do("mkdir -p /etc/bash_completion.d /usr/local/share/zsh/site-functions /etc/fish/completions")
    # Of blue, only c1 has ports; who else uses their addresses can be asked all the same.
    codes = {"trunkline probe --addresses": 0, "trunkline probe": 1}
    reader.type(host, codes=codes | {"trunkline apply -f blue.yaml --dry-run": 4})


OTHERS = "others"
EXAMPLES = {
    "nb": nb_examples,
    "agent": agent_examples,
    "network": row_examples,
    "port": row_examples,
    OTHERS: other_examples,
}


def parts() -> list[str]:
    return sorted({part(each.text) for each in page.commands((page.ROOT / CLI).read_text())})


STORIES: dict[str, Callable[[Reader], None]] = {
    "README.md": readme,
    "docs/access.md": access,
    "docs/apply.md": apply,
    "docs/checks.md": checks,
    "docs/cluster.md": cluster,
    "docs/lab.md": lab,
    "docs/operations.md": operations,
    "docs/probe.md": probe,
    "docs/prove.md": prove,
    "docs/troubleshooting.md": troubleshooting,
}
HOSTS = {"docs/cluster.md": ("192.0.2.1", "192.0.2.2", "192.0.2.3")}


def test_every_page_with_commands_is_followed() -> None:
    with_commands = [
        page.name(path)
        for path in page.PAGES
        if any(page.is_for_tests(page.name(path), each) for each in page.commands(path.read_text()))
    ]
    assert with_commands == sorted([*STORIES, CLI])


@pytest.mark.parametrize("name", STORIES)
def test_every_command_of_a_page_works_as_it_is_shown(name: str) -> None:
    with Reader(name, HOSTS.get(name, ())) as reader:
        STORIES[name](reader)


@pytest.mark.parametrize("name", parts())
def test_the_examples_of_the_help_texts_work(name: str) -> None:
    with Reader(CLI, chosen=lambda command: part(command) == name) as reader:
        EXAMPLES.get(name, lab_examples)(reader)
