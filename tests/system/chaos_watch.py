"""Traffic between all machines of a lab, and the watch that none of it is ever where it must not be."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from trunkline.lab import Lab
from trunkline.lab.interface import Capture

Wire = tuple[str, int | None]
"""A physnet and a VLAN id on it, None for untagged."""

ROUND_S = 0.1
_BROADCAST = b"\xff" * 6
_TYPE = b"\x88\xb5"  # IEEE 802 local experimental EtherType 1
_TPID = b"\x81\x00"


class Sight(NamedTuple):
    """A frame of ours: who sent it, to whom (None: to all), in which round, and the tag it was seen with."""

    sender: str
    to: str | None
    round_: int
    tag: int | None


@dataclass
class Model:
    """What should be: where each VM is, what each network's wire is, and which chassis are wired to it.

    The fields are what an operator said last; `reaches` is what must follow from them.
    """

    wire_by_network: dict[str, Wire]
    wire_by_host: dict[str, Wire]
    network_by_vm: dict[str, str]
    chassis_by_vm: dict[str, str]
    unplugged: set[str] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)
    unmapped: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def of(cls, lab: Lab) -> Model:
        """Return the model of *lab* as its topology has it."""
        return cls(
            {network.name: network.wire for network in lab.topology.networks},
            {host.name: host.wire for host in lab.topology.hosts},
            {vm.name: vm.network for vm in lab.topology.vms},
            {vm.name: vm.chassis for vm in lab.topology.vms},
        )

    @property
    def machines(self) -> list[str]:
        """The VMs and hosts."""
        return [*self.network_by_vm, *self.wire_by_host]

    def wire(self, machine: str) -> Wire:
        """Return the wire that *machine* is meant for."""
        return self.wire_by_host.get(machine) or self.wire_by_network[self.network_by_vm[machine]]

    def reaches(self, one: str, other: str) -> bool:
        """Whether frames pass between two machines, once everything is in place."""
        if {one, other} & (self.unplugged | self.disabled) or self.wire(one) != self.wire(other):
            return False
        here, there = self.chassis_by_vm.get(one), self.chassis_by_vm.get(other)
        physnet = self.wire(one)[0]
        cut = {(here, physnet), (there, physnet)} & self.unmapped
        return not cut or here == there


class Watch:
    """Sends from every machine to every other, and looks at every machine and every NIC of a chassis.

    `changing` says that the model changes: until `settled` what was allowed before is allowed as well, as
    databases, agents and switches follow in their own time. What is seen beyond that goes to *breaches*.
    """

    def __init__(self, lab: Lab, model: Model) -> None:
        self.lab, self.model = lab, model
        self.breaches: list[str] = []
        self.frames = 0
        self._token = os.urandom(8)
        self._names = model.machines
        self._round = 0
        self._copies: Counter[tuple[str, str, str | None, int]] = Counter()
        self._seen: set[tuple[str, str, bool]] = set()
        self._open: str | None = None
        self.excused = 0
        self._lock = threading.RLock()
        self._is_ending = threading.Event()
        self._stack = ExitStack()
        machine = lab.machine
        self._at_machine = {name: machine[name].capture() for name in self._names}
        self._at_nic = {
            (chassis.name, physnet): chassis.wire(physnet).capture()
            for chassis in lab.chassis.values()
            for physnet in chassis.bridge_by_physnet
        }
        self._allow()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_ending.set()
        self._thread.join()
        for capture in (*self._at_machine.values(), *self._at_nic.values()):
            capture.close()

    # -- what is allowed ---------------------------------------------------------------------------

    def _allow(self) -> None:
        """Allow what the model says, and nothing else."""
        self._wires = {name: {self.model.wire(name)} for name in self._names}
        self._places = {vm: {chassis} for vm, chassis in self.model.chassis_by_vm.items()}

    @contextmanager
    def changing(self) -> Iterator[Model]:
        """Let the block change the model; what it says then is allowed besides what was."""
        with self._lock:
            yield self.model
            for name in self._names:
                self._wires[name].add(self.model.wire(name))
            for vm, chassis in self.model.chassis_by_vm.items():
                self._places[vm].add(chassis)

    @contextmanager
    def moving(self, vm: str) -> Iterator[None]:
        """Hold the traffic while the block moves *vm*, with its NIC's far end, to another chassis."""
        with self._lock:
            self._drain()
            self._at_machine[vm].close()
            yield
            self._at_machine[vm] = self.lab.vm[vm].capture()

    @contextmanager
    def open(self, chassis: str) -> Iterator[None]:
        """Excuse *chassis* in the block: Open vSwitch itself makes it a plain switch there.

        Every frame that is sent in the block is taken in before it ends, and no other is excused. Such a
        frame may come out of that chassis with any tag, reach its VMs, and reach any other machine on a wire
        that is not its own, or twice, as the chassis joins all its wires. All else holds: what other chassis
        send, and that nobody else hears a tag or himself, and no VM elsewhere what is for another.
        """
        self._judge_from_now_on(chassis)
        try:
            yield
        finally:
            self._judge_from_now_on(None)

    def _judge_from_now_on(self, open_chassis: str | None) -> None:
        """Have every frame that was sent judged as before, and those to come with *open_chassis* excused."""
        with self._lock:
            self.lab.settle()
            self._drain()
            self._open = open_chassis

    # -- what is seen ------------------------------------------------------------------------------

    def settled(self) -> dict[tuple[str, str], tuple[bool, bool]]:
        """Forget what was allowed before; return who hears whom now, as (what is for it, what is for all)."""
        with self._lock:
            self.lab.settle()
            self._drain()
            self._allow()
            self._seen.clear()
            # What is for all comes first: the physical network learns from it where everybody is.
            for is_broadcast in (True, False):
                self._send(broadcasts=is_broadcast, unicasts=not is_broadcast)
                self.lab.settle()
                self._drain()
            return {
                (one, other): ((one, other, False) in self._seen, (one, other, True) in self._seen)
                for one in self._names
                for other in self._names
                if one != other
            }

    def _run(self) -> None:
        while not self._is_ending.wait(ROUND_S):
            with self._lock:
                self._send()
                self._drain()

    def _send(self, *, broadcasts: bool = True, unicasts: bool = True) -> None:
        self._round += 1
        self._copies.clear()
        machine = self.lab.machine
        for sender in self._names:
            others = [name for name in self._names if name != sender] if unicasts else []
            frames = [self._frame(sender, to) for to in [*([None] if broadcasts else []), *others]]
            machine[sender].send(*frames)
            self.frames += len(frames)

    def _frame(self, sender: str, to: str | None) -> bytes:
        machine = self.lab.machine
        source = bytes.fromhex(machine[sender].mac.replace(":", ""))
        target = bytes.fromhex(machine[to].mac.replace(":", "")) if to else _BROADCAST
        who = bytes([self._names.index(sender), self._names.index(to) if to else 0xFF])
        return target + source + _TYPE + (self._token + who + self._round.to_bytes(4)).ljust(46, b"\0")

    def _drain(self) -> None:
        for name, capture in self._at_machine.items():
            for sight in self._sights(capture):
                self._check_machine(name, sight)
        for (chassis, physnet), capture in self._at_nic.items():
            for sight in self._sights(capture):
                self._check_nic(chassis, physnet, sight)

    def _sights(self, capture: Capture) -> Iterator[Sight]:
        for frame in capture.frames(chatter=True):
            tag = None
            if frame[12:14] == _TPID:
                tag, frame = int.from_bytes(frame[14:16]) & 0xFFF, frame[:12] + frame[16:]
            if frame[14:22] != self._token:
                continue
            sender, to = frame[22], frame[23]
            yield Sight(
                self._names[sender],
                self._names[to] if to != 0xFF else None,
                int.from_bytes(frame[24:28]),
                tag,
            )

    def _check_machine(self, name: str, sight: Sight) -> None:
        is_vm = name in self.model.network_by_vm
        self._copies[name, sight.sender, sight.to, sight.round_] += 1
        if sight.to in (None, name):
            self._seen.add((sight.sender, name, sight.to is None))
        is_excused = self._open is not None
        if is_excused and self._open in self._places.get(name, ()):
            self.excused += 1
            return
        if not is_excused and not self._wires[name] & self._wires[sight.sender]:
            self._breach(f"{name} heard another network", sight)
        if not is_excused and self._copies[name, sight.sender, sight.to, sight.round_] > 1:
            self._breach(f"{name} heard it twice", sight)
        if sight.tag is not None:
            self._breach(f"{name} heard a tag", sight)
        if name == sight.sender:
            self._breach(f"{name} heard itself", sight)
        # The physical switch floods what it does not know to its hosts; a VM hears what is for it alone.
        if is_vm and sight.to not in (None, name):
            self._breach(f"{name} heard what was for another", sight)

    def _check_nic(self, chassis: str, physnet: str, sight: Sight) -> None:
        if chassis == self._open:
            self.excused += 1
            return
        if chassis not in self._places.get(sight.sender, ()):
            self._breach(f"{chassis} sent what it had not from a VM", sight)
        if (physnet, sight.tag) not in self._wires[sight.sender]:
            self._breach(f"{chassis} sent it on {physnet} with the tag {sight.tag}", sight)

    def _breach(self, what: str, sight: Sight) -> None:
        self.breaches.append(f"{what}: {sight}")
