"""The errors that Trunkline raises on purpose: one tree, and what each branch means to a caller.

TrunklineError              refused or failed: exit code 1
├── InvalidValueError       wrong in any case, whatever the databases hold: exit code 2, usage
│   ├── AddressError        a text is not a valid address
│   ├── TopologyError       the topology of a lab is invalid; it is a LabError, too
│   └── ManifestError       documents are wrong, whatever the northbound holds
├── TimedOutError           not done in time: exit code 3
│   ├── LaggingError        chassis have not applied what is committed
│   ├── NoAnswerError       a chassis has not answered a question
│   ├── BusyError           another probe is under way
│   └── SilentError         too few chassis answer for a probe
├── SettingsError           a chassis setting is missing or invalid
├── PackageError            the agent cannot work with the installed `ovs` package
├── DaemonError             the agent cannot start
├── TakeoverError           a switch cannot be taken over from Neutron's agent
├── DetachmentError         the agent ended before it was ready
├── ControlError            the agent's control socket cannot be created
├── UnreachableError        no database server answers, or it stopped answering
├── RequestError            a database server answered a request with an error
├── RefusedError            something in the northbound conflicts with the request
│   ├── ChangedError        a row has changed since the author of a change saw it
│   └── ConflictError       documents conflict with what the northbound holds
├── NotFoundError           there is no such row
├── TransactionError        the northbound refused for a reason that we have no sentence for
├── RowError                a row of the northbound is invalid; it becomes a fault
├── AcceptanceError         the chassis' own database did not accept another northbound
├── ServerError             the northbound's server cannot start or stop
├── ListenerError           an address to listen at is in use, or is not one of this machine's
├── FileInUseError          another program has the database file open
├── FootprintError          a file that a daemon would create belongs to another program, or cannot be created
├── DatafileError           the northbound's file cannot be used
├── SwitchError             the switch of a chassis cannot be asked
├── FullError               more was asked for than one answer has room for
├── UnreadableError         the answer of another chassis cannot be understood
├── TranslationError        the switch did not say where a frame goes
├── NotProvableError        a switch has a flow that the proof does not understand
├── NothingError            there is nothing to probe
├── OrderError              a question is no order of a probe, or a probe would be too large
├── InvalidPortError        a port has a MAC that is none, so no chassis has flows of it
├── UnboundError            a port has no VIF, so no chassis can be asked about it
├── ToolError               a program of Open vSwitch failed
├── NeutronError            Neutron's configuration or database cannot be read
├── SwitchOverError         a host of Neutron's Open vSwitch agent did not go over, or back
├── ShellError              what was to be done on a host failed
├── OpenFlowError           an error of OpenFlow
│   ├── EncodeError         a flow that OpenFlow cannot carry; its network is quarantined
│   │   └── FlowTooLarge    it has more than 64 kB
│   ├── DecodeError         bytes that are not OpenFlow 1.4
│   └── NotReady            there is no connected switch at present
└── LabError                a lab cannot go up, do its work, or go down
    ├── CommandError        a program that it needs failed
    └── WaitError           what it waited for did not happen
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A value in the northbound; *row* is the name of its row. None: not known, or several."""

    table: str
    row: str | None = None
    column: str | None = None


class TrunklineError(Exception):
    """An error that the user can do something about; its text, the reason, is one line that says what.

    The text names a column, or an argument of the call that failed, in backticks: `` `mtu` ``, with a value
    `` `mtu=1400` ``, with an item of a map `` `options:announce=false` ``. *place* is the wrong or
    conflicting value, if it is one of the northbound.
    """

    def __init__(self, reason: str = "", place: Place | None = None) -> None:
        super().__init__(reason)
        self.place = place


class InvalidValueError(TrunklineError):
    """A value that is wrong in any case, whatever the databases and switches hold."""


class TimedOutError(TrunklineError):
    """What was waited for did not happen within the time given for it."""
