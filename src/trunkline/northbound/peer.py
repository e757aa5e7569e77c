"""A peer: whose database a client asks for, as its errors speak of it."""

from __future__ import annotations

from typing import NamedTuple


class Peer(NamedTuple):
    """Whose database is asked for; *remedy* is what to do if nobody listens where it should be.

    *tls* is what to do if the server there speaks TLS; `{}` in it stands for the remote with TLS.
    """

    remedy: str
    tls: str

    def speaks_tls(self, remote: str) -> str:
        """Return what is wrong if *remote*, `tcp:HOST:PORT`, speaks TLS.

        >>> NORTHBOUND.speaks_tls("tcp:192.0.2.1:6641")
        'the server there speaks TLS; use `remotes=ssl:192.0.2.1:6641`, with a certificate'
        """
        place = f"ssl:{remote.partition(':')[2]}"
        return f"the server there speaks TLS; {self.tls.format(place)}"


NORTHBOUND = Peer(
    "is the northbound running (`trunkline nb start`), or is it elsewhere (`remotes`)?",
    "use `remotes={}`, with a certificate",
)
SWITCH = Peer(
    "start Open vSwitch there, or say where its database is (`ovs_remote`)",
    "the switch's database is asked without: use its socket (`ovs_remote`)",
)
