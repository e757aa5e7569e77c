"""The prober: this chassis' part in a session that finds out what the physical networks carry.

It sends what it is told to, answers what others send, and remembers what came. Whoever asked for the session
judges that (`trunkline.probe`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple
from uuid import UUID

from trunkline.bridge.address_search import AddressSearch, Sought
from trunkline.bridge.pace import Pace
from trunkline.bridge.size_search import Peer, SizeSearch
from trunkline.bridge.speaker import Speakers
from trunkline.core import address_probe
from trunkline.core.cookie import COOKIE_PROBE
from trunkline.core.flow import Action, Controller, Field, Flow, Output, PushVlan, Resubmit
from trunkline.core.inventory import Inventory
from trunkline.core.pipeline import RETURNED, Band, Table
from trunkline.core.probe import (
    FRAMES,
    GROUP,
    Arrival,
    Kind,
    Probe,
    Secret,
    arrival,
    frame,
    member_id,
)
from trunkline.openflow import timed
from trunkline.openflow.event import PacketIn
from trunkline.openflow.session import Session
from trunkline.runtime.log import Log

log = Log("prober")

FRAMES_PER_S, BURST = 50, 10
"""How many frames this chassis sends, whatever it is asked: far below where storm control begins."""

BEACONS = 3
"""How often a beacon is sent in a network: a frame may be lost for no reason that matters."""

RETURNED_PER_S = 200
"""How many frames of others that are caught, too, go on their way, while there is a session."""

MOST_CAUGHT_PER_S = 2000
"""If more frames are caught than that, they are no longer: a flood must not keep the agent busy."""

MOST_QUEUED = 20_000
MOST_STRAYS = 500

DEFAULT_MTU = 1500


class Stray(NamedTuple):
    """A frame that came where it was not sent, or back to its sender: what it says, and where it arrived."""

    network_key: int
    sender: int
    physnet: str
    vlan_id: int | None


class _Letter(NamedTuple):
    """A frame to send: in which network, to which MAC, and what it says besides who sends it."""

    network_id: UUID
    destination: int
    kind: Kind
    round: int
    size: int = 0


class Probing:
    """One session, as far as it concerns this chassis, called *me* in its frames."""

    def __init__(self, secret: Secret, chassis: str, end_s: float, *, is_for_addresses: bool = False) -> None:
        self.secret = secret
        self.is_for_addresses = is_for_addresses
        self.addresses = AddressSearch()
        self.me = member_id(secret, chassis)
        self.end_s = end_s
        self.sent = 0
        self.is_flooded = False
        self.heard: dict[int, set[int]] = {}
        self.strays: set[Stray] = set()
        self.sizes = SizeSearch()
        self.replies: deque[_Letter] = deque()
        self.answers: deque[_Letter] = deque()
        self.letters: deque[_Letter] = deque()
        self.mac_by_peer: dict[Peer, int] = {}
        self.answered: set[tuple[int, Peer]] = set()
        self.speakers = Speakers()
        self.round = 0
        self.network_id_by_key: dict[int, UUID] = {}

    @property
    def unsent(self) -> int:
        """How many frames wait to be sent, how many sizes to be found, and how many addresses for replies."""
        letters = len(self.replies) + len(self.answers) + len(self.letters)
        return letters + self.sizes.unsent + self.addresses.unsent


class Prober:
    """Takes part in one session at a time; the clock is the caller's, in seconds that only grow.

    *widen* has the uplinks let all VLANs through (True), or those that they should (False).

    During a session, a flow for each uplink gives the agent the frames of probes, or two the replies of those
    who are asked for addresses. The switch takes them away by itself when the session's time is over. What is
    no reply goes on its way. No VM gets a frame of a probe at any time: the band UNCAUGHT drops what these
    flows leave.
    """

    def __init__(self, widen: Callable[[bool], None] = lambda _: None) -> None:
        self.probing: Probing | None = None
        self._widen = widen
        self._pace = Pace(rate=FRAMES_PER_S, burst=BURST)
        self._return_pace = Pace(rate=RETURNED_PER_S, burst=RETURNED_PER_S // 4)
        self._catch_pace = Pace(rate=MOST_CAUGHT_PER_S, burst=MOST_CAUGHT_PER_S)
        self._address_pace = self._share_pace = self._pace
        self._is_over = False

    # -- what it is told ---------------------------------------------------------------------------

    def open(
        self,
        secret: Secret,
        chassis: str,
        now_s: float,
        *,
        is_wide: bool = False,
        is_for_addresses: bool = False,
        rate: int = FRAMES_PER_S,
    ) -> None:
        """Begin a session, in the place of one that is over; `extend` gives it time.

        No more than *rate* frames a second are sent of those that all members send to few of them.
        """
        self.probing = Probing(secret, chassis, now_s, is_for_addresses=is_for_addresses)
        self._share_pace = Pace(rate=min(rate, FRAMES_PER_S), burst=max(1, min(rate // 5, BURST)))
        self._widen(is_wide)

    def extend(self, now_s: float, seconds: int, inventory: Inventory, session: Session) -> None:
        """Have the session, and its flows at the uplinks, end *seconds* after *now_s*."""
        probing = self.probing
        if probing is None or probing.is_flooded:
            return
        probing.end_s = now_s + seconds
        local = (inventory.networks[id_] for id_ in inventory.local_networks())
        probing.network_id_by_key = {network.key: network.id for network in local}
        for uplink in inventory.uplinks.values():
            for flow in catches(uplink.ofport, is_for_addresses=probing.is_for_addresses):
                session.order(partial(timed.add, flow=flow, hard_timeout_s=seconds))

    def close(self, session: Session | None) -> None:
        """End the session; its flows go now, or by themselves if the switch is away."""
        self.probing = None
        self._widen(False)
        if session is not None and session.is_ready:
            session.order(partial(timed.delete, cookie=COOKIE_PROBE))

    def beacon(self, number: int, network_ids: Iterable[UUID]) -> None:
        """Send the beacons of round *number* in these networks; repeated, it does nothing."""
        probing = self.probing
        if probing is None or number == probing.round:
            return
        probing.round = number
        for _ in range(BEACONS):
            for network_id in network_ids:
                _queue(probing.letters, _Letter(network_id, GROUP, Kind.BEACON, number))

    def measure(self, network_ids: Iterable[UUID], inventory: Inventory) -> None:
        """Find the largest size that reaches each peer that was heard in these networks."""
        probing = self.probing
        if probing is None:
            return
        found = {id_: inventory.networks.get(id_) for id_ in network_ids}
        most = {id_: each.mtu or DEFAULT_MTU for id_, each in found.items() if each is not None}
        probing.sizes.begin(
            (peer, most[peer.network_id]) for peer in probing.mac_by_peer if peer.network_id in most
        )

    def look_for(self, sought: Iterable[Sought], rate: int) -> None:
        """Look for others who use these addresses, with *rate* frames a second; repeated, it does nothing."""
        if self.probing is not None and not self.probing.addresses.asked:
            self._address_pace = Pace(rate=min(rate, FRAMES_PER_S), burst=min(rate, BURST))
            self.probing.addresses.begin(sought)

    # -- the loop ----------------------------------------------------------------------------------

    def run(self, now_s: float, inventory: Inventory, session: Session) -> None:
        """Send what is due at *now_s*, and end a session whose time is over."""
        probing = self.probing
        if probing is None or not session.is_ready:
            return
        if now_s >= probing.end_s:
            log.info("the session of a probe was not closed by whoever asked for it")
            self.close(session)
            return
        if probing.is_flooded and not self._is_over:
            log.warning("too many frames look like those of a probe")
            session.order(partial(timed.delete, cookie=COOKIE_PROBE))
        self._is_over = probing.is_flooded
        while (queue := probing.replies or probing.letters) and self._pace.take(now_s):
            self._send(probing, queue.popleft(), inventory, session)
        while probing.answers and self._has_taken_share(now_s):
            self._send(probing, probing.answers.popleft(), inventory, session)
        while (sized := probing.sizes.due(now_s)) is not None and self._has_taken_share(now_s):
            probing.sizes.sent(now_s)
            mac = probing.mac_by_peer[sized.peer]
            letter = _Letter(sized.peer.network_id, mac, Kind.SIZED, sized.number, sized.size)
            self._send(probing, letter, inventory, session)
        while (sought := probing.addresses.due(now_s)) is not None and self._address_pace.take(now_s):
            probing.addresses.sent(now_s)
            self._ask_for(probing, sought, inventory, session)

    def _has_taken_share(self, now_s: float) -> bool:
        """Take one of the frames that all members send to few of them, if there may be one at *now_s*."""
        is_free = self._share_pace.next_s(1) <= now_s and self._pace.take(now_s)
        return is_free and (self._share_pace is self._pace or self._share_pace.take(now_s))

    @property
    def next_s(self) -> float | None:
        """When `run` has something to do next, by the caller's clock; None if nothing is under way."""
        probing = self.probing
        if probing is None:
            return None
        due_s = [probing.end_s]
        if probing.replies or probing.letters:
            due_s.append(self._pace.next_s(1))
        share_s = max(self._share_pace.next_s(1), self._pace.next_s(1))
        if probing.answers:
            due_s.append(share_s)
        if (next_s := probing.sizes.next_s) is not None:
            due_s.append(max(next_s, share_s))
        if (next_s := probing.addresses.next_s) is not None:
            due_s.append(max(next_s, self._address_pace.next_s(1)))
        return min(due_s)

    def on_packet_in(self, event: PacketIn, now_s: float, inventory: Inventory, session: Session) -> bool:
        """Take note of the frame of *event*; return whether it was caught for a probe."""
        if event.cookie != COOKIE_PROBE:
            return False
        probing = self.probing
        if probing is not None and not self._catch_pace.take(now_s):
            probing.is_flooded = True
        physnet = next((n for n, each in inventory.uplinks.items() if each.ofport == event.in_port), None)
        if probing is None or physnet is None:
            self._give_back(event, now_s, session)
        elif probing.is_for_addresses:
            if not self._has_noted_reply(probing, event.frame, physnet, inventory):
                self._give_back(event, now_s, session)
        elif (found := arrival(probing.secret, event.frame)) is not None:
            self._note(probing, found, physnet, inventory)
        return True

    def _has_noted_reply(self, probing: Probing, data: bytes, physnet: str, inventory: Inventory) -> bool:
        """Take note of the frame *data*; return False if it is no reply to what was asked here."""
        found = address_probe.reply(data)
        networks = map(inventory.networks.get, probing.network_id_by_key.values())
        return found is not None and any(
            probing.addresses.note(each.id, found)
            for each in networks
            if each is not None and (each.physnet, each.vlan_id) == (physnet, found.vlan_id)
        )

    def _give_back(self, event: PacketIn, now_s: float, session: Session) -> None:
        """Have a frame of somebody else go on as if nothing had caught it."""
        if event.in_port is not None and session.is_ready and self._return_pace.take(now_s):
            session.packet_out(event.frame, (RETURNED.set(1), Resubmit(Table.CLASSIFY)), event.in_port)

    # -- what came ---------------------------------------------------------------------------------

    def _note(self, probing: Probing, found: Arrival, physnet: str, inventory: Inventory) -> None:
        said = found.probe
        network_id = probing.network_id_by_key.get(said.network_key)
        network = None if network_id is None else inventory.networks.get(network_id)
        is_home = network is not None and (network.physnet, network.vlan_id) == (physnet, found.vlan_id)
        if network is None or not is_home or said.sender == probing.me:
            if len(probing.strays) < MOST_STRAYS:
                probing.strays.add(Stray(said.network_key, said.sender, physnet, found.vlan_id))
            return
        peer = Peer(network.id, said.sender)
        probing.heard.setdefault(said.network_key, set()).add(said.sender)
        probing.mac_by_peer[peer] = found.source
        if said.kind is Kind.BEACON and (said.round, peer) not in probing.answered:
            probing.answered.add((said.round, peer))
            _queue(probing.answers, _Letter(network.id, found.source, Kind.ANSWER, said.round))
        elif said.kind is Kind.SIZED:
            letter = _Letter(network.id, found.source, Kind.SIZE_HEARD, said.round, said.size)
            _queue(probing.replies, letter)
        elif said.kind is Kind.SIZE_HEARD:
            probing.sizes.note(peer, said.size, said.round)

    # -- what goes ---------------------------------------------------------------------------------

    def _send(self, probing: Probing, letter: _Letter, inventory: Inventory, session: Session) -> None:
        """Send *letter* by the wire that its network has now, if it still has one."""
        if not _is_here(letter.network_id, inventory):
            return
        key = inventory.networks[letter.network_id].key
        said = Probe(letter.kind, letter.round, letter.size, probing.me, key)
        source = probing.speakers.mac(letter.network_id, inventory)
        data = frame(probing.secret, said, source, letter.destination)
        _put_on_wire(data, letter.network_id, inventory, session)
        probing.sent += 1

    def _ask_for(self, probing: Probing, sought: Sought, inventory: Inventory, session: Session) -> None:
        """Ask in its network who uses the address that is *sought*."""
        if _is_here(sought.network_id, inventory):
            source = probing.speakers.mac(sought.network_id, inventory, sought.port_id)
            _put_on_wire(address_probe.frame(source, sought.address), sought.network_id, inventory, session)
            probing.sent += 1


def _queue(letters: deque[_Letter], letter: _Letter) -> None:
    if len(letters) < MOST_QUEUED:
        letters.append(letter)


def _is_here(network_id: UUID, inventory: Inventory) -> bool:
    """Return whether the network has local ports, and a wire."""
    network = inventory.networks.get(network_id)
    return (
        network is not None
        and network.physnet in inventory.uplinks
        and network.id in inventory.seats.locals_by_network
    )


def _put_on_wire(data: bytes, network_id: UUID, inventory: Inventory, session: Session) -> None:
    """Send the untagged frame *data* by the wire that the network has now, which must be here."""
    network = inventory.networks[network_id]
    tag: tuple[Action, ...] = () if network.vlan_id is None else (PushVlan(network.vlan_id),)
    session.packet_out(data, (*tag, Output(inventory.uplinks[network.physnet].ofport)))


def catches(ofport: int, *, is_for_addresses: bool) -> Iterator[Flow]:
    """Yield the flows that give the agent what arrives at that uplink: frames of probes, or replies."""
    for terms in address_probe.REPLIES if is_for_addresses else (FRAMES,):
        # Frames that the agent has sent back are not caught again.
        yield Flow(Band.CATCH, (Field.IN_PORT(ofport), *terms, RETURNED(0)), (Controller(),), COOKIE_PROBE)
