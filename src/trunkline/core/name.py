"""Names of networks, ports and physical networks: their order, and which can be typed and mapped."""

from __future__ import annotations

import re

from trunkline.core.error import InvalidValueError

LONGEST = 255
_NUMBER = re.compile(r"(\d+)")


def check_name(kind: str, name: str) -> None:
    """Raise InvalidValueError if *name* cannot name a new *kind*, such as a network.

    >>> check_name("port", "web1 ")
    Traceback (most recent call last):
    trunkline.core.error.InvalidValueError: 'web1 ' cannot name a port; remove the blanks at its ends
    """
    if not name.strip():
        raise InvalidValueError(f"a {kind} needs a name that is not empty")
    if len(name) > LONGEST:
        raise InvalidValueError(f"{name[:20]!r}… cannot name a {kind}; use {LONGEST} characters at most")
    if not name.isprintable():
        raise InvalidValueError(f"{name!r} cannot name a {kind}; use printable characters only")
    if name != name.strip():
        raise InvalidValueError(f"{name!r} cannot name a {kind}; remove the blanks at its ends")
    if "," in name:
        raise InvalidValueError(f"{name!r} cannot name a {kind}; leave out the comma, which separates names")


def check_physnet(name: str) -> None:
    """Raise InvalidValueError if *name* cannot name a physical network."""
    check_name("physical network", name)
    if not is_mappable(name):
        raise InvalidValueError(
            f"{name!r} cannot name a physical network; leave out the colon, which ends it in a bridge mapping"
        )


def is_mappable(physnet: str) -> bool:
    """Return whether an entry `physnet:bridge` of a comma-separated list can name *physnet*.

    >>> is_mappable("physnet 1"), is_mappable("a:b"), is_mappable("a,b"), is_mappable("a ")
    (True, False, False, False)
    """
    return bool(physnet) and not set(",:") & set(physnet) and physnet == physnet.strip()


def natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts names as people do: by the numbers in them.

    >>> sorted(["vm10", "vm02", "vm2", "vm1", "vm"], key=natural)
    ['vm', 'vm1', 'vm02', 'vm2', 'vm10']
    """
    parts = _NUMBER.split(name)
    parts[1::2] = [number.lstrip("0") for number in parts[1::2]]
    # A longer number is a larger one. Names that differ in zeros only still have an order.
    return [(len(part) if n % 2 else 0, part) for n, part in enumerate(parts)], name
