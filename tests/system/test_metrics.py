"""`trunkline metrics`, as a real Prometheus scrapes it, and what is generated from the table of metrics."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from program import trunkline

from model.tcp_port import free_port
from trunkline import __version__
from trunkline.metrics.generated import dashboard, rules
from trunkline.metrics.table import METRICS, alerts

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Debian's package prometheus"),
]

A = mac_of("a")


@pytest.fixture
def chassis(site: Site) -> DummyChassis:
    """Return a chassis of which every metric has something to say."""
    chassis = site.chassis()
    site.network()
    site.port("a", port_security=True)
    site.port("b")
    chassis.plug("a")
    chassis.plug("b")
    site.await_up("a", "b")
    site.sync()
    chassis.receive_once("a", ethernet(BROADCAST, A), ethernet(BROADCAST, mac_of("x")))
    return chassis


def program(chassis: DummyChassis, *words: str, nb: str | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trunkline", *(("--nb", nb) if nb else ()), "metrics", *words],
        env=dict(os.environ) | {"OVS_RUNDIR": str(chassis.switch.rundir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def once(chassis: DummyChassis, *words: str, nb: str | None = None) -> tuple[str, str]:
    """Return what is served, and what is complained of."""
    run = program(chassis, "--once", *words, nb=nb)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    return out, err


@contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def fetched(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return None


class Prometheus:
    """A Prometheus that scrapes *target* each second, by the rules that are generated."""

    def __init__(self, folder: Path, target: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        (folder / "rules.yml").write_text(rules())
        scrape = {"job_name": "trunkline", "static_configs": [{"targets": [target]}]}
        settings = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [scrape],
        }
        (folder / "prometheus.yml").write_text(json.dumps(settings))
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, path: str) -> Any:
        text = fetched(f"{self.url}/api/v1/{path}")
        answer = json.loads(text) if text else {"status": "none", "data": {}}
        return answer["data"] if answer["status"] == "success" else None

    def query(self, query: str) -> list[Any] | None:
        """Return the results of *query*, None if it is no query."""
        found = self.ask("query?" + urllib.parse.urlencode({"query": query}))
        return None if found is None else list(found["result"])


def test_every_query_of_the_dashboard_and_the_rules_is_answered_by_a_real_prometheus(
    site: Site, chassis: DummyChassis, tmp_path: Path
) -> None:
    where = f"127.0.0.1:{free_port()}"
    served = program(chassis, "--listen", where, "--ports", ".*")
    with ended(served):
        until(lambda: fetched(f"http://{where}/metrics") is not None, "served")
        prometheus = Prometheus(tmp_path, where)
        with ended(prometheus.process):
            until(lambda: bool(prometheus.query("count_over_time(up[1m]) >= 3")), "scraped")
            panels = json.loads(dashboard())["panels"]
            assert len(panels) == len([each for each in METRICS if each.panel])
            for panel in panels:
                (target,) = panel["targets"]
                # One counts ports that are down, of which there are none.
                expected = "== 0" not in target["expr"]
                assert bool(prometheus.query(target["expr"])) is expected, target["expr"]
            for alert in alerts():
                assert prometheus.query(alert.query) == [], alert.query
            until(lambda: bool(prometheus.ask("rules")), "rules")
            (group,) = prometheus.ask("rules")["groups"]
            until(
                lambda: {each["health"] for each in prometheus.ask("rules")["groups"][0]["rules"]} == {"ok"},
                "evaluated",
            )
            assert [each["name"] for each in group["rules"]] == [alert.name for alert in alerts()]
            # What they are for.
            chassis.switch.vsctl("del-br", "br-phys1")
            for query in ("trunkline_uplink_up == 0", "trunkline_faults > 0"):
                until(lambda query=query: bool(prometheus.query(query)), query)  # type: ignore[misc]
            chassis.add_provider_bridge("br-phys1")
            site.await_up("a")
            chassis.agent.end(signal.SIGKILL)
            until(lambda: bool(prometheus.query("trunkline_agent_up == 0")), "the agent is missed")
            assert prometheus.query("trunkline_bridge_readable == 1")
            chassis.start_agent()
            until(lambda: bool(prometheus.query("trunkline_agent_up == 1")), "and found again")


def test_every_metric_is_served_and_the_linters_of_prometheus_find_nothing(
    chassis: DummyChassis, tmp_path: Path
) -> None:
    out, err = once(chassis, "--ports", ".*")
    assert err == ""
    assert heads(out) == [each.exposed for each in METRICS]
    for line in (
        f'trunkline_build_info{{chassis="c1",version="{__version__}"}} 1.0',
        'trunkline_network_frames_total{band="bum",network="net1"} ',
        'trunkline_refused_frames_total{band="mac_refused"} 1.0',
        'trunkline_uplink_up{physical_network="physnet1"} 1.0',
        'trunkline_faults{subject="vif"} 0.0',
        "trunkline_local_ports 2.0",
        "trunkline_requests_behind 0.0",
    ):
        assert line in out
    for words, text in ((("metrics",), out), (("rules", str(tmp_path / "rules.yml")), "")):
        (tmp_path / "rules.yml").write_text(rules())
        done = subprocess.run(
            ["promtool", "check", *words], input=text, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, "error" in done.stderr) == (0, False), done
        assert words[0] == "rules" or done.stdout + done.stderr == ""


def heads(out: str) -> list[str]:
    """Return the names of the metrics of an exposition."""
    return [line.split()[2] for line in out.splitlines() if line.startswith("# TYPE")]


def of_ports(out: str) -> dict[str, float]:
    """Return what an exposition says of single ports."""
    lines = (line.rpartition(" ") for line in out.splitlines() if 'port="' in line)
    return {name.removeprefix("trunkline_port_"): float(value) for name, _, value in lines}


def test_ports_have_metrics_of_their_own_if_they_are_asked_for(site: Site, chassis: DummyChassis) -> None:
    chassis.receive_once("a", ethernet(mac_of("b"), A), ethernet(mac_of("b"), mac_of("x")))
    site.port("elsewhere")
    site.sync()
    out, _ = once(chassis)
    assert of_ports(out) == {}
    assert heads(out) == [each.exposed for each in METRICS if not each.is_of_ports]
    # A name matches as a whole, and a port of another chassis has no flows here that count its frames.
    assert of_ports(once(chassis, "--ports", "elsewher|[bx]|.+where")[0]) == {
        'up{port="b"}': 1,
        'frames_total{band="vif",port="b"}': 0,
        'frames_total{band="deliver",port="b"}': 1,
        'refused_frames_total{band="tagged",port="b"}': 0,
    }
    found = of_ports(once(chassis, "--ports", "a")[0])
    assert found.pop('up{port="a"}') == 1
    assert found.pop('frames_total{band="vif",port="a"}') == 4
    assert found.pop('frames_total{band="deliver",port="a"}') == 0
    assert found.pop('refused_frames_total{band="mac_refused",port="a"}') == 2
    assert set(found.values()) == {0}
    assert {name.partition("{")[0] for name in found} == {"refused_frames_total"}
    chassis.unplug("b")
    site.sync()
    assert of_ports(once(chassis, "--ports", "b")[0]).get('up{port="b"}', 0) == 0


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("web(", "missing ), unterminated subpattern at position 3"),
        ("a{99999999999}", "the repetition number is too large"),
        ("(" * 3000 + ")" * 3000, "maximum recursion depth exceeded"),
    ],
    ids=("unterminated", "repeated", "nested"),
)
def test_a_pattern_that_is_no_regular_expression_is_one_line(site: Site, pattern: str, why: str) -> None:
    run = program(site.chassis(is_running=False), "--once", "--ports", pattern)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out, err.count("\n")) == (2, "", 1), err[:500]
    assert f"{pattern[:20]!r}"[:-1] in err
    assert f"is not a regular expression: {why}" in err


def delays(chassis: DummyChassis, name: str) -> tuple[int, float]:
    """Return how many delays of that *name* there were, and their sum in seconds."""
    lines = dict(line.rsplit(" ", 1) for line in once(chassis)[0].splitlines() if not line.startswith("#"))
    count, sum_s = (lines[f"trunkline_{name}_seconds_{end}"] for end in ("count", "sum"))
    assert lines[f'trunkline_{name}_seconds_bucket{{le="+Inf"}}'] == count
    return int(float(count)), float(sum_s)


def await_binds(chassis: DummyChassis, count: int) -> None:
    """Wait until so many VIFs are counted: one is up a moment before all flows are acknowledged."""
    until(lambda: delays(chassis, "bind")[0] >= count, f"{count} VIFs timed")
    assert delays(chassis, "bind")[0] == count


def test_each_change_that_needs_flows_and_each_vif_of_a_port_is_timed(
    site: Site, chassis: DummyChassis
) -> None:
    changes, _ = delays(chassis, "convergence")
    await_binds(chassis, 2)
    assert delays(chassis, "bind")[1] > 0
    # A port of a network of this chassis, though elsewhere, needs flows.
    site.port("elsewhere")
    site.sync()
    assert delays(chassis, "convergence")[0] == changes + 1
    # A network without ports here needs none.
    site.network("net2", 102)
    site.sync()
    assert delays(chassis, "convergence")[0] == changes + 1
    # Nobody waits for a VIF without a port; nor does it keep the next one from being counted.
    chassis.plug("nobody")
    chassis.plug("elsewhere")
    site.await_up("elsewhere")
    await_binds(chassis, 3)
    # Once more, and after a restart of the agent all is new.
    chassis.unplug("elsewhere")
    site.sync()
    chassis.plug("elsewhere")
    site.await_up("elsewhere")
    await_binds(chassis, 4)
    chassis.agent.end()
    chassis.start_agent()
    site.sync()
    assert delays(chassis, "bind") == (0, 0.0)


def test_flows_that_are_desired_and_installed_are_counted(chassis: DummyChassis) -> None:
    out, _ = once(chassis)
    number = f"{len(chassis.flows())}.0"
    assert f'trunkline_flows{{state="desired"}} {number}' in out
    assert f'trunkline_flows{{state="installed"}} {number}' in out


def test_what_is_away_is_a_zero_and_one_line(site: Site, chassis: DummyChassis) -> None:
    out, err = once(chassis, nb=f"unix:{site.folder}/nowhere.sock")
    assert "trunkline_names_readable 0.0" in out
    assert "trunkline_agent_up 1.0" in out
    assert 'network="network 1"' in out
    assert err.count("\n") == 1, err
    assert err.startswith("trunkline metrics: northbound: ")
    chassis.agent.end()
    out, err = once(chassis)
    assert "trunkline_agent_up 0.0" in out
    assert "trunkline_build_info" not in out
    assert "trunkline_bridge_readable 1.0" in out
    assert err.count("\n") == 1, err
    chassis.switch.stop_vswitchd()
    out, err = once(chassis)
    assert "trunkline_bridge_readable 0.0" in out
    assert err.count("\n") == 2, err
    chassis.switch.start_vswitchd()
    chassis.start_agent()


def test_what_is_away_is_told_with_the_options_that_say_where_it_is(tmp_path: Path) -> None:
    done = trunkline("metrics", "--once", "--ovs", f"unix:{tmp_path}/db.sock")
    assert "say where it is with --ovs" in done.err
    assert "`" not in done.err


def test_names_stay_while_the_northbound_is_away_and_its_line_comes_once(
    site: Site, chassis: DummyChassis
) -> None:
    where = f"127.0.0.1:{free_port()}"
    served = program(chassis, "--listen", where)
    until(lambda: 'network="net1"' in (fetched(f"http://{where}/metrics") or ""), "served")
    site.served.stop()
    for _ in range(3):
        text = fetched(f"http://{where}/metrics") or ""
        assert "trunkline_names_readable 0.0" in text
        assert 'network="net1"' in text
    site.served.start()
    site.reconnect()
    assert "trunkline_names_readable 1.0" in (fetched(f"http://{where}/metrics") or "")
    served.send_signal(signal.SIGTERM)
    _, err = served.communicate(timeout=30)
    assert served.returncode == 128 + signal.SIGTERM
    assert [line.split(":")[1].strip() for line in err.splitlines()] == ["northbound", "northbound"], err
    assert err.splitlines()[1].endswith("it answers again")


@pytest.mark.parametrize(
    ("listen", "code", "reason"),
    [
        ("9176", 2, "'9176' is not ADDRESS:PORT, such as 127.0.0.1:9176"),
        ("127.0.0.1:70000", 2, "is not ADDRESS:PORT"),
        *(
            (wrong, 2, "is not ADDRESS:PORT")
            for wrong in ("[::1", "[]:80", "1:2:3", "a..b:80", f"{'a' * 300}:80")
        ),
        ("198.51.100.1:9176", 1, "cannot serve metrics at 198.51.100.1:9176: "),
        ("taken", 1, "another program listens there; end it, or give another --listen"),
    ],
)
def test_a_place_where_it_cannot_listen_is_one_line(site: Site, listen: str, code: int, reason: str) -> None:
    chassis = site.chassis(is_running=False)
    where = f"127.0.0.1:{free_port()}" if listen == "taken" else listen
    if listen == "taken":
        other = program(chassis, "--listen", where)
        until(lambda: fetched(f"http://{where}/metrics") is not None, "served")
    run = program(chassis, "--listen", where)
    out, err = run.communicate(timeout=60)
    if listen == "taken":
        other.send_signal(signal.SIGTERM)
        other.communicate(timeout=30)
    assert (run.returncode, out, err.count("\n")) == (code, "", 1), err
    assert reason in err
