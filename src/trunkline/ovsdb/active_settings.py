"""The settings in force: the last ones that were written and are valid."""

from __future__ import annotations

from trunkline.core.setting import INTEGRATION_BRIDGE
from trunkline.ovsdb import integration_bridge
from trunkline.ovsdb.settings import Settings, SettingsError, settings
from trunkline.ovsdb.vswitch import SwitchChanges, SwitchReplica
from trunkline.runtime.log import Log

log = Log("agent")


class ActiveSettings:
    """The settings of *switch* in force, None before they are read; *fault*: why later ones are not used."""

    def __init__(self, switch: SwitchReplica) -> None:
        self.settings: Settings | None = None
        self.fault: str | None = None
        self._switch = switch

    def read(self, changes: SwitchChanges) -> bool:
        """Return whether other settings are in force after these *changes*.

        Raises:
            SettingsError: there are none yet, and those that are written are invalid.
        """
        is_held = self.settings is not None and f"setting {INTEGRATION_BRIDGE}" in self.settings.faults
        is_due = changes.are_settings_touched or (is_held and changes.is_wiring_touched)
        if self.settings is not None and not is_due:
            return False
        try:
            new = self._allowed(settings(self._switch.external_ids, self._switch.tls))
        except SettingsError as error:
            if self.settings is None:
                raise
            if self.fault != str(error):
                log.warning("invalid settings; keeping the previous ones", error=error)
            self.fault = str(error)
            return False
        self.fault = None
        old, self.settings = self.settings, new
        if old == new:
            return False
        log.info(
            "settings read",
            chassis=new.chassis,
            nb=new.nb_remotes,
            bridge=new.wiring.bridge,
            mappings=",".join(f"{physnet}:{bridge}" for physnet, bridge in new.bridge_by_physnet.items()),
        )
        return True

    def _allowed(self, new: Settings) -> Settings:
        """Return *new*, with the present integration bridge in place of one that may not be it.

        At the start, the present one is that of the agent before this one. Raises `SettingsError` if there is
        none.
        """
        bridge = new.wiring.bridge
        used = self.settings.wiring.bridge if self.settings else integration_bridge.in_use(self._switch)
        reason = integration_bridge.refusal(self._switch, bridge, new.wiring.physnet_by_bridge)
        if reason is None or bridge == used:
            return new
        if used is None:
            raise SettingsError(f"{INTEGRATION_BRIDGE} cannot be used: {reason}")
        return new.staying(used, reason)
