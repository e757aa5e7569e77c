"""The errors that Trunkline raises on purpose: one tree, and what each branch means to a program's caller.

TrunklineError              refused or failed: exit code 1
├── InvalidValueError       wrong whatever the state of the world: exit code 2, usage
│   └── AddressError        a text is not the address that it should be
├── TimedOutError           not there yet: exit code 3
│   └── LaggingError        chassis have not applied what is committed
├── SettingsError           a chassis setting is missing, or makes no sense
├── PackageError            the `ovs` package is not one that the agent can work with
├── DaemonError             the agent cannot start
├── DetachmentError         the agent ended before it was ready
├── ControlError            the agent's control socket cannot be made
├── UnreachableError        no database server answers, or it stopped answering
├── RequestError            a database server answered a request with an error
├── RefusedError            something in the northbound is in the way
│   └── ChangedError        a row is no longer as the author of a change has seen it
├── NotFoundError           there is no such row
├── TransactionError        the northbound refused in words that have no sentence of ours
├── RowError                a row of the northbound makes no sense; it becomes a fault
├── AcceptanceError         the chassis' own database did not take another northbound
├── ServerError             the northbound's server cannot start or stop
├── ListenerError           a place to listen is taken, or is not one of this machine's
├── FileInUseError          another program has the database file open
├── FootprintError          a file that a daemon would make is somebody else's, or cannot be made
├── DatafileError           the northbound's file cannot be used
├── SwitchError             the switch of a chassis cannot be asked
├── ToolError               a program of Open vSwitch failed
├── OpenFlowError           between flows and the wire
│   ├── EncodeError         a flow that the wire cannot carry; its network is quarantined
│   │   └── FlowTooLarge    more than 64 kB of it
│   ├── DecodeError         bytes that are not OpenFlow 1.4
│   └── NotReady            no switch to send to at present
└── LabError                a lab cannot go up, do its work, or go down
    ├── TopologyError       its topology makes no sense
    ├── CommandError        a program that it needs failed
    └── WaitError           what it waited for did not come
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A value of the northbound; *row* is its row's name. None: not known, or not a single one."""

    table: str
    row: str | None = None
    column: str | None = None


class TrunklineError(Exception):
    """Something that the user can do something about; the text, the reason, is one line that says what.

    It names a column, or an argument of the call that failed, in backticks: `` `mtu` ``, `` `mtu=1400` ``
    with a value, `` `options:announce=false` `` with an item of a map. *place* is the value that is wrong,
    or that is in the way, if it is one of the northbound.
    """

    def __init__(self, reason: str = "", place: Place | None = None) -> None:
        super().__init__(reason)
        self.place = place


class InvalidValueError(TrunklineError):
    """A value that would be wrong whatever the databases and switches hold."""


class TimedOutError(TrunklineError):
    """What was waited for has not come within the time given for it."""
