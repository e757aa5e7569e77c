"""The bottlenecks that a probe of sizes finds: chassis, or what is between them, that lose large packets.

What passes between two chassis is bounded by the narrower of both. So a chassis passes what it does with the
peer with which it does best, and a pair of which less passes has a narrow place between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from trunkline.probe.matrix import Matrix, ProbedNetwork
from trunkline.probe.verdict import Advice, Fault, Verdict, ports_of, some


class _Caps(NamedTuple):
    """The largest packets that chassis were seen to send, and to receive."""

    sent: dict[str, int]
    received: dict[str, int]

    def of(self, chassis: str) -> list[int]:
        return [caps[chassis] for caps in self if chassis in caps]

    def way(self, chassis: str, top: int) -> str:
        """Return in which direction *chassis* passes less than *top*, in words."""
        sends, receives = (caps.get(chassis, top) < top for caps in self)
        return "in both directions" if sends and receives else "that it sends" if sends else "sent to it"


def bottlenecks(matrix: Matrix, network: ProbedNetwork) -> Iterator[Verdict]:
    """Yield who loses packets that *network* may have, by the largest that passed in *matrix*."""
    size_by_pair = {
        (cell.sender, cell.receiver): cell.mtu for cell in matrix.cells(network) if cell.mtu is not None
    }
    if not size_by_pair or min(size_by_pair.values()) >= network.mtu:
        return
    caps = _Caps({}, {})
    for (sender, receiver), size in size_by_pair.items():
        caps.sent[sender] = max(size, caps.sent.get(sender, 0))
        caps.received[receiver] = max(size, caps.received.get(receiver, 0))
    names = sorted(caps.sent.keys() | caps.received.keys())
    top = min(max(size_by_pair.values()), network.mtu)
    widest = [name for name in names if top < network.mtu and max(caps.of(name)) >= top]
    if widest:
        # Which of them it is cannot be told: none passes more with any other.
        inside = [size for pair, size in size_by_pair.items() if set(pair) <= set(widest)]
        yield _between(matrix, network, widest, min(inside))
    for name in names:
        least = min(caps.of(name))
        if least < top and name not in widest:
            way = caps.way(name, top)
            yield _verdict(
                matrix, network, (name,), least, f"{name}: packets over {least} bytes are lost {way}"
            )
    for (sender, receiver), size in size_by_pair.items():
        if size < min(caps.sent[sender], caps.received[receiver], top):
            text = f"packets over {size} bytes that {sender} sends to {receiver} are lost"
            yield _verdict(matrix, network, (sender, receiver), size, text)


def _between(matrix: Matrix, network: ProbedNetwork, names: list[str], size: int) -> Verdict:
    who = " and ".join(names) if len(names) == 2 else some(names)
    return _verdict(matrix, network, tuple(names), size, f"between {who}: packets over {size} bytes are lost")


def _verdict(
    matrix: Matrix, network: ProbedNetwork, chassis: tuple[str, ...], size: int, text: str
) -> Verdict:
    nics = "its NIC" if len(chassis) == 1 else "their NICs, and between them,"
    at = f"{ports_of(matrix, network, chassis)} and {nics}"
    return Verdict(
        Fault.SIZE,
        (network,),
        chassis,
        f"{text}; the network has {network.mtu}",
        Advice(f"set the MTU of {at} to {network.mtu} or more, or lower that of the networks (`mtu={size}`)"),
        size,
    )
