"""The options of the driver, in the section `[trunkline]` of Neutron's configuration (oslo.config)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oslo_config import cfg

from trunkline.northbound.client import DEFAULT_REMOTE
from trunkline.northbound.rpc import Tls

if TYPE_CHECKING:
    from typing import Any

GROUP = "trunkline"

OPTIONS = [
    cfg.StrOpt(
        "nb_connection",
        default=DEFAULT_REMOTE,
        help="The northbound: unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT, several separated by commas. Name "
        "every member of a cluster, and no relay: the workers have to reach the leader.",
    ),
    cfg.StrOpt("nb_private_key", help="The PEM file of the private key for ssl: remotes."),
    cfg.StrOpt("nb_certificate", help="The PEM file of the certificate for ssl: remotes."),
    cfg.StrOpt("nb_ca_cert", help="The PEM file of the authority that the northbound's certificate is of."),
    cfg.FloatOpt(
        "call_limit",
        default=2.0,
        min=0.1,
        help="How long, in seconds, an API call waits for the northbound at most. What it could not write, "
        "the worker does.",
    ),
    cfg.IntOpt(
        "compare_interval",
        default=60,
        min=1,
        help="How often, in seconds, the worker compares the whole northbound with Neutron's database.",
    ),
    cfg.IntOpt(
        "status_workers",
        default=1,
        min=1,
        help="How many processes on each controller bring the status of ports to Neutron. One does some 50 "
        "ports a second, if it has a core to itself.",
    ),
    cfg.StrOpt(
        "security_groups",
        default="hide",
        choices=[
            ("hide", "the API does not offer security groups, because nothing enforces them"),
            ("ignore", "the API offers them, and Trunkline does not enforce them: something else has to"),
        ],
        help="What becomes of security groups, which Trunkline does not enforce.",
    ),
    cfg.StrOpt(
        "vhostuser_socket_dir",
        default="/var/run/openvswitch",
        help="Where QEMU and Open vSwitch find the vhost-user sockets of ports, on a chassis with DPDK.",
    ),
]


def register() -> None:
    """Register the options; again does no harm."""
    cfg.CONF.register_opts(OPTIONS, GROUP)


def listed() -> list[tuple[str, list[Any]]]:
    """Return the options for `oslo-config-generator` (entry point `oslo.config.opts`)."""
    return [(GROUP, OPTIONS)]


def tls() -> Tls:
    """Return the files for `ssl:` remotes."""
    ours = cfg.CONF.trunkline
    return Tls(ours.nb_private_key, ours.nb_certificate, ours.nb_ca_cert)
