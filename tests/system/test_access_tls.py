"""`ssl:` and `pssl:` on every link of the northbound (docs/access.md)."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dummy_chassis import TIMEOUT_S, DummyChassis, mac_of, until
from nb_cluster import Cluster, Server, opened
from program import refusal, trunkline

from model.certificate import Authority, Certificate, openssl
from model.process import share
from model.tcp_port import free_port
from trunkline.northbound.client import NetworkSpec, Northbound, PortSpec
from trunkline.northbound.operation import select, update
from trunkline.northbound.rpc import Tls, UnreachableError

pytestmark = pytest.mark.system


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with opened() as started:
        yield started


@pytest.fixture
def authority(cluster: Cluster) -> Authority:
    return Authority(cluster.folder)


def serve(cluster: Cluster, files: Certificate, name: str = "nb") -> tuple[Server, str]:
    """Start a northbound that listens on pssl: as well; return it, and its remote."""
    port = free_port()
    server = cluster.server(name, "--remote", f"pssl:{port}:127.0.0.1", *files.options)
    server.start()
    return server, f"ssl:127.0.0.1:{port}"


def chassis(cluster: Cluster, remote: str) -> DummyChassis:
    """Start a chassis without its agent."""
    started = DummyChassis("c1", cluster.folder / "c1", cluster.journal, remote, {"physnet1": "br-phys1"})
    cluster.chassis.append(started)
    return started


def set_ssl(chassis: DummyChassis, files: Certificate) -> None:
    chassis.switch.vsctl("set-ssl", str(files.key), str(files.certificate), str(files.ca))


def test_members_of_a_cluster_and_the_program_speak_tls(cluster: Cluster, authority: Authority) -> None:
    cluster.form(2, "ssl", *authority.issue("member").options)
    port = free_port()
    done = trunkline("nb", "listen", f"pssl:{port}:127.0.0.1", nb=cluster.members[0].remote)
    assert done == (0, "", "")
    remote, operator = f"ssl:127.0.0.1:{port}", authority.issue("operator")
    until(lambda: trunkline(*operator.options, "network", "list", nb=remote).code == 0, "listening")
    line = refusal(trunkline("--ca-cert", str(operator.ca), "network", "list", nb=remote), 1)
    assert "requires a client certificate" in line or "may not accept this client's certificate" in line
    copy = cluster.folder / "copy"
    assert trunkline(*operator.options, "nb", "backup", str(copy), nb=remote) == (0, "", "")
    assert copy.read_bytes().startswith(b"OVSDB JSON")


def test_a_watch_speaks_tls(cluster: Cluster, authority: Authority) -> None:
    server, remote = serve(cluster, authority.issue("nb"))
    files = authority.issue("operator")
    wanted = select("NB_Global", only=("nb_cfg",))
    with (
        Northbound.connect(remote, tls=Tls(str(files.key), str(files.certificate), str(files.ca))) as nb,
        nb.watch(wanted) as watched,
    ):
        assert [change.new for change in watched.changes(20)] == [{"nb_cfg": 0}]
        server.stop()
        server.start()
        nb.transact([update("NB_Global", row={"nb_cfg": 7})])
        (change,) = watched.changes(20)
        assert (change.old, change.new) == ({"nb_cfg": 0}, {"nb_cfg": 7})


@pytest.mark.parametrize(
    ("expired", "text", "remedy"),
    [
        (
            "c1",
            "the server says that this client's certificate has expired",
            "correct these files: ovs-vsctl g",
        ),
        (
            "nb",
            "the server's certificate is not trusted: certificate has expired",
            "renew the server's certificate",
        ),
    ],
)
def test_a_chassis_tells_whose_certificate_has_expired(
    cluster: Cluster,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    expired: str,
    text: str,
    remedy: str,
) -> None:
    nb, own = (authority.issue(name, days=-1 if name == expired else 2) for name in ("nb", "c1"))
    _, remote = serve(cluster, nb)
    here = chassis(cluster, remote)
    set_ssl(here, own)
    monkeypatch.setenv("OVS_RUNDIR", str(here.switch.rundir))
    done = trunkline("check", "--local", "-o", "json")
    (found,) = [each for each in json.loads(done.out) if each["code"] == "T104"]
    assert f"({remote}: " in found["text"]
    assert text in found["text"]
    assert found["remedy"].startswith(remedy)
    line = refusal(trunkline(*own.options, "network", "list", nb=remote), 1)
    assert text in line


def test_an_agent_on_ssl_without_certificate_ends_with_one_line(cluster: Cluster) -> None:
    agent = chassis(cluster, "ssl:127.0.0.1:1").start_agent(is_settled=False)
    assert agent.process.wait(TIMEOUT_S) == 1
    code, complaint = agent.end()
    assert (code, complaint.count("\n")) == (1, 1)
    assert "ovs-vsctl set-ssl KEY.pem CERT.pem CA.pem" in complaint


def test_an_agent_uses_a_certificate_that_comes_late_or_changes(
    cluster: Cluster, authority: Authority
) -> None:
    server, remote = serve(cluster, authority.issue("nb"))
    with Northbound.connect(server.remote) as nb:
        nb.create([NetworkSpec(name="net1", network_type="flat", physical_network="physnet1")])
        nb.create(ports=[PortSpec(name="a", network="net1", mac=mac_of("a"), options={"announce": "false"})])
        # By its name, which no certificate has to bear.
        here, gone = (
            chassis(cluster, remote.replace("127.0.0.1", "localhost")),
            Path(cluster.folder / "c1.pem"),
        )
        files = authority.issue("c1")
        held = gone.rename(cluster.folder / "held.pem")
        set_ssl(here, files)
        agent = here.start_agent(is_settled=False)
        until(lambda: "the files for ssl: cannot be used" in agent.log, "complaint")
        assert f"{gone}: No such file or directory" in agent.log
        fault = until(lambda: agent.status()["faults"].get("northbound"), "fault")
        assert f"{gone}: No such file or directory; start the northbound" in fault
        held.rename(gone)
        here.plug("a")
        until(lambda: nb.port("a")["up"], "up")
        read = agent.log.count("settings read")
        set_ssl(here, authority.issue("renewed"))
        until(lambda: agent.log.count("settings read") > read, "taken up")
    for path in (files.key, files.certificate):
        path.unlink()
    server.stop()
    server.start()
    until(lambda: agent.status()["northbound"], "connected with the new one")


def test_an_agent_that_trusts_another_authority_says_so_and_waits(
    cluster: Cluster, authority: Authority
) -> None:
    _, remote = serve(cluster, authority.issue("nb"))
    here = chassis(cluster, remote)
    set_ssl(here, Authority(cluster.folder, "stranger").issue("c1"))
    agent = here.start_agent(is_settled=False)
    until(lambda: "TLS failed" in agent.log, "complaint")
    fault = until(lambda: agent.status()["faults"].get("northbound"), "fault")
    assert fault.startswith(f"not connected: {remote}: TLS failed: ")
    set_ssl(here, authority.issue("c1"))
    until(lambda: agent.status()["northbound"], "connected")


def test_a_server_that_never_answers_the_handshake_keeps_no_cpu_busy(
    cluster: Cluster, authority: Authority
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        here = chassis(cluster, f"ssl:127.0.0.1:{silent.getsockname()[1]}")
        set_ssl(here, authority.issue("c1"))
        agent = here.start_agent(is_settled=False)
        peer, _ = silent.accept()
        with peer:
            assert peer.recv(1)
            assert share(agent.process.pid) < 0.3
        here.set(**{"trunkline-nb": "unix:/nowhere"})
        agent.end()
    cluster.chassis.clear()


def page_commands() -> str:
    """Return the commands of docs/access.md that make certificates."""
    page = (Path(__file__).parents[2] / "docs" / "access.md").read_text()
    return page.partition("```console\n")[2].partition("```")[0]


def test_the_certificates_that_the_page_tells_to_make_satisfy_a_strict_verifier(cluster: Cluster) -> None:
    for command in (page_commands(), "openssl verify -x509_strict -CAfile ca.pem nb.pem operator.pem c1.pem"):
        script = ["bash", "-euo", "pipefail", "-c", command]
        done = subprocess.run(script, cwd=cluster.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    name = {name: Certificate.of(cluster.folder, name) for name in ("nb", "operator")}
    _, remote = serve(cluster, name["nb"])
    assert trunkline(*name["operator"].options, "network", "list", nb=remote).code == 0


CREATE = ("network", "create", "n", "--type", "flat", "--physical-network", "p")


def test_no_command_goes_by_the_authorities_that_the_machine_trusts(
    cluster: Cluster, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, remote = serve(cluster, authority.issue("nb"))
    # What OpenSSL takes for the machine's own authorities.
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    files = authority.issue("operator")
    shown = ("--private-key", str(files.key), "--certificate", str(files.certificate))
    line = refusal(trunkline(*shown, *CREATE, nb=remote), 2)
    assert "give --ca-cert FILE, or set $TRUNKLINE_CA_CERT" in line
    assert "--ca-cert" in refusal(trunkline(*shown, *CREATE, nb=f"{server.remote},{remote}"), 2)
    with pytest.raises(UnreachableError, match="no CA certificate is given"):
        Northbound.connect(remote, tls=Tls(str(files.key), str(files.certificate)))
    with Northbound.connect(server.remote) as nb:
        assert nb.row_counts()["Network"] == 0


def test_the_verifiers_reason_is_told(cluster: Cluster, authority: Authority) -> None:
    _, remote = serve(cluster, authority.issue("nb"))
    stranger = Authority(cluster.folder, "stranger").issue("operator")
    line = refusal(trunkline(*stranger.options, "network", "list", nb=remote), 1)
    assert "the server's certificate is not trusted: " in line
    assert "unable to get local issuer certificate" in line or "self-signed" in line


@pytest.mark.parametrize("shown", ["nothing", "a stranger's"])
def test_the_servers_refusal_of_a_certificate_is_told_each_time(
    cluster: Cluster, authority: Authority, shown: str
) -> None:
    _, remote = serve(cluster, authority.issue("nb"))
    tls = Tls(ca_cert=str(authority.certificate))
    if shown != "nothing":
        stranger = Authority(cluster.folder, "stranger").issue("mallory")
        tls = tls._replace(private_key=str(stranger.key), certificate=str(stranger.certificate))
    for _ in range(30):
        with pytest.raises(UnreachableError) as caught:
            Northbound.connect(remote, tls=tls)
        assert "certificate" in str(caught.value), caught.value
        assert "roken pipe" not in str(caught.value).partition(";")[0]


def test_a_remote_of_the_wrong_kind_is_said_so(cluster: Cluster, authority: Authority) -> None:
    """The server itself just closes the connection."""
    plain, port = free_port(), free_port()
    listeners = [f"ptcp:{plain}:127.0.0.1", f"pssl:{port}:127.0.0.1"]
    options = [word for listener in listeners for word in ("--remote", listener)]
    cluster.server("nb", *options, *authority.issue("nb").options).start()
    line = refusal(trunkline("network", "list", nb=f"tcp:127.0.0.1:{port}"), 1)
    assert line == (
        f"trunkline: tcp:127.0.0.1:{port}: the server there speaks TLS; use --nb ssl:127.0.0.1:{port}, "
        "with a certificate"
    )
    files = authority.issue("operator").options
    line = refusal(trunkline(*files, "network", "list", nb=f"ssl:127.0.0.1:{plain}"), 1)
    assert line == (
        f"trunkline: ssl:127.0.0.1:{plain}: the server does not answer in TLS; does it listen without it, at "
        "tcp:HOST:PORT?"
    )


def test_files_that_are_not_what_tls_needs_are_named(cluster: Cluster, authority: Authority) -> None:
    _, remote = serve(cluster, authority.issue("nb"))
    files, other = authority.issue("operator"), authority.issue("other")
    locked, rubbish = cluster.folder / "locked.key", cluster.folder / "rubbish.pem"
    openssl("pkey", "-in", str(files.key), "-aes256", "-passout", "pass:secret", "-out", str(locked))
    rubbish.write_text("no certificate\n")
    good = Tls(*map(str, (files.key, files.certificate, files.ca)))
    for tls, name in (
        (good._replace(private_key=str(locked)), str(locked)),
        (good._replace(private_key=str(other.key)), str(other.key)),
        (good._replace(certificate=str(rubbish)), str(rubbish)),
        (good._replace(ca_cert=str(rubbish)), str(rubbish)),
        (good._replace(certificate=None), "a private key without its certificate"),
        (good._replace(ca_cert="/nonexistent.pem"), "/nonexistent.pem: no such file"),
    ):
        with pytest.raises(UnreachableError, match=re.escape(name)):
            Northbound.connect(remote, tls=tls)
