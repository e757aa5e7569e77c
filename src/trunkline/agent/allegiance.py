"""Allegiance: which northbound the chassis obeys (docs/adr/0011-a-chassis-obeys-one-northbound.md)."""

from __future__ import annotations

from trunkline.ovsdb.settings import ANY_NB
from trunkline.runtime.log import Log

log = Log("allegiance")


class Allegiance:
    """The identity of the northbound that is obeyed: the one that a setting names, or else the first one met.

    An empty file, or a remote that leads to another northbound, would cut off every VM. So what was read
    before is kept instead, and *fault* says why.
    """

    def __init__(self) -> None:
        self.fault: str | None = None
        self._met: str | None = None

    def forget(self) -> None:
        """Obey whichever northbound is met next, unless a setting names one."""
        self._met = None

    @property
    def is_open(self) -> bool:
        """Whether no northbound was met since `forget`."""
        return self._met is None

    def meet(self, identity: str, named: str | None) -> bool:
        """Note that the northbound *identity* was met; return whether it is the first one.

        *named* is the identity that a setting names: then meeting another one means nothing.
        """
        if named is not None or self._met == identity:
            return False
        self._met = identity
        return True

    def obeys(self, identity: str, named: str | None) -> bool:
        """Return whether the northbound *identity* is obeyed; *named* is the one that a setting names."""
        obeyed = named or self._met
        is_obeyed = obeyed in (identity, ANY_NB)
        if is_obeyed and self.fault is not None:
            log.info("northbound obeyed", identity=identity)
            self.fault = None
        elif not is_obeyed and self.fault is None:
            self.fault = (
                f"it is {identity}, and this chassis obeys {obeyed}; keeping what was read "
                f"before. If the new one is right, run here: trunkline chassis accept-nb"
            )
            log.error("northbound not obeyed", identity=identity, obeyed=obeyed)
        return is_obeyed
