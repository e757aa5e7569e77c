"""An ovs-vswitchd asked over its control socket: its turns, and when its cache is as its flows are."""

from __future__ import annotations

from pathlib import Path

import ovs.jsonrpc
import ovs.stream


class Vswitchd:
    """The ovs-vswitchd whose files are in *rundir*; a question costs a tenth of a run of ovs-appctl."""

    def __init__(self, rundir: Path) -> None:
        self.rundir = rundir

    def ask(self, *words: str) -> str:
        """Return the answer to a command of ovs-vswitchd(8)."""
        return _answer(self._asked(*words))

    def receive(self, interface: str, *frames: bytes) -> None:
        """Let up to 100 *frames* arrive at the dummy device *interface*; return when all are forwarded.

        They are forwarded one by one. In a turn of its main loop ovs-vswitchd takes one frame of each dummy
        device (`netdev_dummy_rxq_recv`), and then the connections that are new, of which a question is one.
        """
        self.ask("netdev-dummy/receive", interface, *(frame.hex() for frame in frames))
        for _ in range(len(frames) + 2):
            self.ask("version")

    def await_revalidated(self) -> None:
        """Return when nothing is forwarded by a cache that is older than the present flows and ports.

        The cache stays as it is otherwise. `revalidator/wait` returns after the next look at the cache, which
        is up to half a second away: pausing ends the present look, and the next one begins with resuming.
        """
        # What was acknowledged a turn ago concerns the revalidators only now.
        self.ask("version")
        self.ask("revalidator/pause")
        looked = self._asked("revalidator/wait")
        # Taken in before the next connection is.
        self.ask("revalidator/resume")
        _answer(looked)

    def _asked(self, *words: str) -> ovs.jsonrpc.Connection:
        pid = int((self.rundir / "ovs-vswitchd.pid").read_text())
        path = self.rundir / f"ovs-vswitchd.{pid}.ctl"
        error, stream = ovs.stream.Stream.open_block(ovs.stream.Stream.open(f"unix:{path}"))
        assert not error, (str(path), error)
        connection = ovs.jsonrpc.Connection(stream)
        error = connection.send_block(ovs.jsonrpc.Message.create_request(words[0], list(words[1:])))
        assert not error, (words[0], error)
        return connection


def _answer(connection: ovs.jsonrpc.Connection) -> str:
    error, reply = connection.recv_block()
    connection.close()
    assert not error, error
    assert reply.error is None, reply.error
    return str(reply.result)
