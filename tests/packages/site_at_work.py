"""A machine as a chassis: its Open vSwitch, both services as their units start them, and two VMs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from unit import Unit

if TYPE_CHECKING:
    from machine import Machine

# With the group and the mode that the drop-ins of trunkline-agent give Open vSwitch.
_SWITCH = """
umask 0007
rm -f /etc/openvswitch/conf.db
ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
setpriv --regid trunkline --keep-groups ovsdb-server --detach --pidfile --log-file -vconsole:off \
    --remote=punix:/run/openvswitch/db.sock
ovs-vsctl --no-wait init
setpriv --regid trunkline --keep-groups ovs-vswitchd --detach --pidfile --log-file -vconsole:off
ovs-vsctl set Open_vSwitch . external_ids:system-id=c1 external_ids:trunkline-nb=unix:/run/trunkline/nb.sock
ovs-vsctl set Open_vSwitch . external_ids:trunkline-bridge-mappings=physnet1:br-ex
ovs-vsctl set Open_vSwitch . external_ids:trunkline-datapath-type=netdev
ovs-vsctl add-br br-ex -- set bridge br-ex datapath_type=netdev
ovs-vsctl add-port br-ex router tag=101 -- set interface router type=internal
ip addr add 198.51.100.1/24 dev router
ip link set router up
"""

_CHASSIS = "timeout 60 sh -c 'until [ \"$(trunkline chassis list -o name)\" = c1 ]; do sleep 0.1; done'"

_NETWORK = "trunkline network create blue --type vlan --physical-network physnet1 --segment 101"

_VM = """
trunkline port create {name} --network blue --mac {mac} --ip {address}
ip netns add {name}
ip link add {name} type veth peer name eth0 address {mac} netns {name}
ip link set {name} up
ip -n {name} link set eth0 up
ip -n {name} addr add {address}/24 dev eth0
ovs-vsctl add-port br-int {name} -- set interface {name} external_ids:iface-id={name}
"""

_VMS = (("vm1", "02:00:00:00:00:01", "198.51.100.11"), ("vm2", "02:00:00:00:00:02", "198.51.100.12"))


class Site(NamedTuple):
    """The machine and its two services."""

    machine: Machine
    agent: Unit
    nb: Unit

    @classmethod
    def start(cls, machine: Machine) -> Self:
        """Start everything, and return when frames can pass."""
        agent = Unit(machine, "trunkline-agent", "/run/trunkline-agent/agent.pid")
        nb = Unit(machine, "trunkline-nb", "/var/lib/trunkline/nb.pid")
        machine.do(_SWITCH)
        nb.start()
        agent.start()
        machine.do(_CHASSIS)
        machine.do(_NETWORK)
        for name, mac, address in _VMS:
            machine.do(_VM.format(name=name, mac=mac, address=address))
        machine.do("trunkline sync --wait\ntrunkline status --check")
        return cls(machine, agent, nb)
