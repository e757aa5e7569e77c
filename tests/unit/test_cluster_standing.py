"""What ovsdb-server says of a member's place in its cluster, read."""

from __future__ import annotations

from trunkline.server.cluster import Peer, standing

LEADER = """\
d4a4
Name: Trunkline_Northbound
Cluster ID: bf71 (bf71d81e-aff4-4ab7-bb6d-3e2a968c8e2e)
Server ID: d4a4 (d4a44d4f-20ad-4a7e-8a07-03d58f2b67ca)
Address: tcp:127.0.0.1:17743
Status: cluster member
Role: leader
Term: 2
Leader: self
Vote: self

Last Election started 5032 ms ago, reason: timeout
Last Election won: 5026 ms ago
Election timer: 1000
Log: [2, 285]
Entries not yet committed: 1
Entries not yet applied: 2
Connections: (->0000) ->aff2 <-aff2
Disconnections: 1
Servers:
    aff2 (aff2 at tcp:127.0.0.1:17742) next_index=285 match_index=280 last msg 66 ms ago
    d4a4 (d4a4 at tcp:127.0.0.1:17743) (self) next_index=89 match_index=284
    917c (917c at tcp:127.0.0.1:17741) next_index=285 match_index=0 last msg 6087 ms ago
"""

FOLLOWER = """\
aff2
Name: Trunkline_Northbound
Cluster ID: bf71 (bf71d81e-aff4-4ab7-bb6d-3e2a968c8e2e)
Server ID: aff2 (aff21a7d-8c68-44af-bd05-1a311a5947d1)
Address: tcp:127.0.0.1:17742
Status: cluster member
Role: follower
Term: 2
Leader: d4a4
Vote: d4a4

Election timer: 1000
Log: [2, 285]
Entries not yet committed: 0
Entries not yet applied: 0
Connections: (->0000) <-d4a4 ->d4a4
Disconnections: 1
Servers:
    aff2 (aff2 at tcp:127.0.0.1:17742) (self)
    d4a4 (d4a4 at tcp:127.0.0.1:17743) last msg 61 ms ago
    917c (917c at tcp:127.0.0.1:17741) last msg 6083 ms ago
"""


def test_the_leader_knows_who_is_behind_and_who_is_gone() -> None:
    seen = standing(LEADER)
    assert seen is not None
    assert (seen.role, seen.term, seen.leader) == ("leader", 2, "tcp:127.0.0.1:17743")
    assert (seen.index, seen.lag) == (284, 3)
    assert seen.cluster_id == "bf71d81e-aff4-4ab7-bb6d-3e2a968c8e2e"
    assert seen.peers == (
        Peer("tcp:127.0.0.1:17742", is_connected=True, lag=4, heard_ms=66),
        Peer("tcp:127.0.0.1:17741", is_connected=False, lag=284, heard_ms=6087),
    )


def test_a_follower_knows_the_leader_and_no_members_lag() -> None:
    seen = standing(FOLLOWER)
    assert seen is not None
    assert (seen.role, seen.leader) == ("follower", "tcp:127.0.0.1:17743")
    assert [(peer.is_connected, peer.lag) for peer in seen.peers] == [(True, None), (False, None)]


def test_a_member_without_a_leader_or_connections_has_none() -> None:
    alone = FOLLOWER.replace("Leader: d4a4", "Leader: unknown")
    alone = alone.replace("Connections: (->0000) <-d4a4 ->d4a4", "Connections:")
    seen = standing(alone)
    assert seen is not None
    assert seen.leader is None
    assert not any(peer.is_connected for peer in seen.peers)


def test_a_member_that_still_joins_has_no_standing() -> None:
    assert standing("aff2\nName: Trunkline_Northbound\nStatus: joining cluster\nRole: follower\n") is None
