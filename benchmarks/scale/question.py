"""What the processes of a fleet are asked, and told to do."""

from __future__ import annotations

from dataclasses import dataclass

from scale.fleet import Counts, Worker


@dataclass(frozen=True)
class Make:
    """Make a session with *remotes* for each chassis: its name, and the names of its ports."""

    remotes: str
    ports_by_chassis: dict[str, tuple[str, ...]]

    def answer(self, worker: Worker) -> bool:
        """Return True: the sessions are made, and none has connected."""
        for name, port_names in self.ports_by_chassis.items():
            worker.add(self.remotes, name, port_names)
        return True


@dataclass(frozen=True)
class Connect:
    """Connect all sessions that were made."""

    def answer(self, worker: Worker) -> bool:
        """Return True: they connect in the next turn."""
        for index in range(len(worker.chassis)):
            worker.touch(index)
        return True


@dataclass(frozen=True)
class Plug:
    """Plug further VIFs in: the names of their ports, by chassis."""

    ports_by_chassis: dict[str, tuple[str, ...]]

    def answer(self, worker: Worker) -> bool:
        """Return True: the VIFs are plugged in."""
        for index, chassis in enumerate(worker.chassis):
            port_names = self.ports_by_chassis.get(chassis.nb.chassis)
            if port_names:
                chassis.plug(port_names)
                worker.touch(index)
        return True


@dataclass(frozen=True)
class Lose:
    """Count the sessions as settled only once they have been lost and are settled again."""

    def answer(self, worker: Worker) -> bool:
        """Return True: from now on it counts."""
        for chassis in worker.chassis:
            chassis.expect_loss()
        worker.unsettled = set(range(len(worker.chassis)))
        return True


@dataclass(frozen=True)
class Settled:
    """Ask for when each session settled."""

    def answer(self, worker: Worker) -> list[float] | None:
        """Return the times, once all have."""
        if worker.unsettled:
            return None
        return [chassis.settled_at_s or 0.0 for chassis in worker.chassis]


@dataclass(frozen=True)
class Seen:
    """Ask for when each session that *concerned* names, by chassis, saw *sight*."""

    sight: str
    concerned: frozenset[str]

    def answer(self, worker: Worker) -> list[float] | None:
        """Return the times, once all have."""
        count = sum(chassis.nb.chassis in self.concerned for chassis in worker.chassis)
        times = worker.times_by_sight.get(self.sight, [])
        return times if len(times) >= count else None


@dataclass(frozen=True)
class Count:
    """Ask for what the sessions have had."""

    def answer(self, worker: Worker) -> Counts:
        """Return it, of all of them together."""
        every = worker.chassis
        return Counts(
            sum(chassis.row_count for chassis in every),
            sum(chassis.received_bytes for chassis in every),
            sum(chassis.connection_count for chassis in every),
            sum(len(chassis.refusals) for chassis in every),
        )
