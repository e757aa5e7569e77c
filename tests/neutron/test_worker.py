"""The worker by itself: there is no northbound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from oslo_config import cfg

from neutron import policy
from trunkline.neutron import settings
from trunkline.neutron.worker import Worker
from trunkline.northbound.client import UnreachableError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_worker_has_read_neutrons_policies_before_a_port_becomes_active(tmp_path: Path) -> None:
    """Reading them takes longer than all else that Neutron does for a port."""
    settings.register()
    cfg.CONF([], default_config_files=[], default_config_dirs=[])
    cfg.CONF.set_override("nb_connection", f"unix:{tmp_path}/none.sock", "trunkline")
    policy.reset()
    try:
        with pytest.raises(UnreachableError):
            Worker(0, 1)._work()
        assert policy._ENFORCER.registered_rules
    finally:
        cfg.CONF.reset()
        cfg.CONF.clear_override("nb_connection", "trunkline")
