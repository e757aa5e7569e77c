"""The errors of OpenFlow; `trunkline.core.error` draws the tree."""

from __future__ import annotations

from trunkline.core.error import TrunklineError


class OpenFlowError(TrunklineError):
    """The root of the errors of `trunkline.openflow`."""


class EncodeError(OpenFlowError):
    """A value that does not fit its field, or actions in an order that OpenFlow cannot express."""


class FlowTooLarge(EncodeError):  # noqa: N818 - it says what happened
    """A flow that does not fit one OpenFlow message, whose length is at most 65,535 bytes."""


class DecodeError(OpenFlowError):
    """Bytes that are cut short or break the framing of OpenFlow 1.4."""


class NotReady(OpenFlowError):  # noqa: N818 - it says what happened
    """A session was asked to send, but no switch that speaks OpenFlow 1.4 is connected."""
