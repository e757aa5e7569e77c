"""A northbound with a listener for chassis that have a role, and clients with certificates of their own."""

from __future__ import annotations

from typing import Any

import pytest
from dummy_chassis import DummyChassis, mac_of, until
from nb_cluster import Cluster, Server
from program import trunkline

from model.certificate import Authority, Certificate
from model.tcp_port import free_port
from trunkline.northbound.client import NetworkSpec, Northbound, PortSpec, TransactionError, UnreachableError
from trunkline.northbound.operation import update
from trunkline.northbound.rpc import Tls


class Site:
    """A northbound that listens for operators on a Unix socket, and for chassis on pssl: with a role."""

    def __init__(self, cluster: Cluster, role: str) -> None:
        self.cluster = cluster
        self.authority = Authority(cluster.folder)
        self.server = cluster.server("nb", *self.authority.issue("nb").options)
        self.server.start()
        self.port = free_port()
        self.listen(self.server, role)
        self.operator = Northbound.connect(self.server.remote)
        self.operator.create([NetworkSpec(name="net1", network_type="flat", physical_network="physnet1")])

    @property
    def remote(self) -> str:
        return f"ssl:127.0.0.1:{self.port}"

    def listen(self, server: Server, role: str) -> None:
        done = trunkline("nb", "listen", f"pssl:{self.port}:127.0.0.1", "--role", role, nb=server.remote)
        assert done == (0, "", "")

    def client(self, name: str, remote: str | None = None) -> Northbound:
        """Return a connection as the chassis called *name*, or to *remote* as somebody of that name."""
        files = self.authority.issue(name)
        tls = Tls(str(files.key), str(files.certificate), str(files.ca))
        found: Northbound = until(lambda: _connected(remote or self.remote, tls), "listening")
        return found

    def create(self, name: str, **more: Any) -> None:
        columns = {"options": {"announce": "false"}} | more
        wanted = PortSpec(name=name, network="net1", mac=mac_of(name), **columns).row()
        self.operator.create(ports=[PortSpec(**wanted | {"requested_chassis": None})])
        # Past the client, which wants the chassis to be there first.
        row = {column: wanted[column] for column in ("requested_chassis", "options")}
        self.operator.transact([update("Port", ("name", "==", name), row=row)])

    def chassis(self, name: str) -> DummyChassis:
        """Start a chassis with a certificate of its own, and its agent."""
        started = DummyChassis(
            name, self.cluster.folder / name, self.cluster.journal, self.remote, {"physnet1": "br-phys1"}
        )
        self.cluster.chassis.append(started)
        set_ssl(started, self.authority.issue(name))
        started.start_agent()
        return started


def set_ssl(chassis: DummyChassis, files: Certificate) -> None:
    chassis.switch.vsctl("set-ssl", str(files.key), str(files.certificate), str(files.ca))


def _connected(remote: str, tls: Tls) -> Northbound | None:
    try:
        return Northbound.connect(remote, tls=tls)
    except UnreachableError:
        return None


def forbidden(client: Northbound, *operations: dict[str, Any]) -> None:
    with pytest.raises(TransactionError) as refused:
        client.transact(list(operations))
    assert refused.value.error == "permission error"
