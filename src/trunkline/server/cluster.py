"""A member's standing in its Raft cluster, by its server's answer to `cluster/status` (ovsdb-server(1))."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PEER = re.compile(
    r"^    (?P<id>\w+) \(\w+ at (?P<address>\S+)\)(?P<self> \(self\))?"
    r"(?: next_index=\d+ match_index=(?P<match>\d+))?(?: last msg (?P<heard>\d+) ms ago)?",
    re.MULTILINE,
)
_LOG = re.compile(r"\[\d+, (\d+)\]")


@dataclass(frozen=True, slots=True)
class Peer:
    """Another member, as this one sees it.

    *lag* is how many log entries it may not have yet, which only the leader counts; *heard_ms* is the age of
    its last message, in ms. Each is None if it is not known.
    """

    address: str
    is_connected: bool
    lag: int | None
    heard_ms: int | None

    def __str__(self) -> str:
        """Return the peer in words.

        >>> str(Peer("tcp:192.0.2.2:6644", True, 0, 15))
        'connected, 0 entries behind, heard 15 ms ago'
        """
        words = ["connected" if self.is_connected else "not connected"]
        words += [f"{self.lag} entries behind"] * (self.lag is not None)
        words += [f"heard {self.heard_ms} ms ago"] * (self.heard_ms is not None)
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Standing:
    """A member's place in its cluster: *role* is `leader`, `follower` or `candidate`.

    *leader* is the leader's address, None if there is none or it is not known. *index* is the index of the
    last log entry that this member has; *lag* is how many of its entries are not yet committed and applied.
    """

    cluster_id: str
    server_id: str
    address: str
    status: str
    role: str
    term: int
    leader: str | None
    index: int
    lag: int
    peers: tuple[Peer, ...]


def standing(text: str) -> Standing | None:
    """Return the standing that *text*, the answer to `cluster/status`, describes.

    None if the member has not joined its cluster yet.
    """
    values = dict(re.findall(r"^(\w[^:\n]*): (.*)$", text, re.MULTILINE))
    log = _LOG.fullmatch(values.get("Log", ""))
    if log is None:
        return None
    index = int(log[1]) - 1
    rows = list(_PEER.finditer(text))
    address_by_id = {row["id"]: row["address"] for row in rows}
    leader = values["Leader"]
    # "<-ab12 ->ab12 (->0000)": a connection from a member, one to it, and one that is not up.
    linked = set(re.findall(r"(?:^| )(?:<-|->)(\w+)", values.get("Connections", "")))
    return Standing(
        cluster_id=_last_word(values["Cluster ID"]),
        server_id=_last_word(values["Server ID"]),
        address=values["Address"],
        status=values["Status"],
        role=values["Role"],
        term=int(values["Term"]),
        leader=values["Address"] if leader == "self" else address_by_id.get(leader),
        index=index,
        lag=int(values["Entries not yet committed"]) + int(values["Entries not yet applied"]),
        peers=tuple(
            Peer(
                address=row["address"],
                is_connected=row["id"] in linked,
                lag=max(index - int(row["match"]), 0) if row["match"] else None,
                heard_ms=int(row["heard"]) if row["heard"] else None,
            )
            for row in rows
            if not row["self"]
        ),
    )


def _last_word(text: str) -> str:
    """Return the whole id of `ab12 (ab12….)`."""
    return text.rpartition("(")[2].rstrip(")")
