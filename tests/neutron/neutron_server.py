"""A real Neutron: its API under uwsgi, its periodic workers and MariaDB, all in one folder.

Each controller has an API server and periodic workers of its own, as on a machine of its own. There is no
message bus and no keystone: nothing here needs one, and requests are those of an administrator.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from controller import PROCESSES, THREADS, Controller, Program
from nova_end import Nova

from model.tcp_port import free_port

BIN = Path(sys.executable).parent
START_S = 300.0
"""How long anything may take on a busy machine, before a test says that it waits in vain."""

SHARED = "TRUNKLINE_TESTS_SHARED"
"""The environment variable that names the folder which the workers of one run of the tests share."""

WRONG = re.compile(r"(ERROR|WARNING) trunkline|/trunkline/neutron/|\S Traceback \(most recent")
"""What is in lines that tell of something wrong. Threads of Neutron that look for a placement service, which
is not there, end with tracebacks too. These are not logged, so no head is before them."""

CALL_LIMIT_S = "10"
"""More than a call ever needs on a busy machine, where the default of 2 s may not do."""

DRIVERS = "trunkline"
PHYSNETS = ("physnet1", "physnet2", "rack1", "rack2")
RULES = (
    *("create_port_binding", "update_port_binding", "activate", "delete_port_binding", "get_port_binding"),
    *("create_port:binding:profile", "update_port:binding:profile"),
)
"""What Nova does as a service; here an administrator may, so that a test can play Nova."""


def until(is_so: Callable[[], object], what: str, timeout_s: float = START_S) -> float:
    """Wait until *is_so*; return how long that took. A test that waits in vain fails by what it waits for."""
    began_s = time.monotonic()
    while not is_so():
        assert time.monotonic() - began_s < timeout_s, f"waited in vain for {what}"
        time.sleep(0.02)
    return time.monotonic() - began_s


@dataclass
class Neutron:
    """All of it, below *folder*, with the northbound at *remote*.

    *options* are lines of `[trunkline]`, *more* of `[DEFAULT]`. The workers reach the northbound at
    *worker_remote*, if that is given.
    """

    folder: Path
    remote: str
    options: dict[str, str] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)
    worker_remote: str | None = None
    controllers: list[Controller] = field(default_factory=list)
    _expected: set[str] = field(default_factory=set)
    _seen: dict[Path, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "tmp").mkdir()
        self.nova = Nova()
        self.socket = self.folder / "tmp" / "sql.sock"
        self.database = self._program(
            "mariadb",
            *("mariadbd", "--no-defaults", "--user=root", f"--datadir={self.folder}/mysql"),
            *(f"--socket={self.socket}", "--skip-networking", f"--tmpdir={self.folder}/tmp"),
            *("--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=128M"),
            *("--performance-schema=off", "--skip-name-resolve", "--max-connections=300"),
        )

    def _program(self, name: str, *words: str) -> Program:
        return Program(name, list(words), self.folder / f"{name}.log")

    # -- start and end -----------------------------------------------------------------------------

    def start(self, controllers: int = 1) -> None:
        """Give it a database without rows, and start everything; return when all of it answers."""
        names = [f"ctl{number}" for number in range(1, controllers + 1)]
        for name in names:
            self._configure(name)
        with made_once("database") as made:
            if made.exists():
                _copy(made, self.folder / "mysql")
            else:
                self._make_database()
                _copy(self.folder / "mysql", made)
        self.start_database()
        for name in names:
            self._start_controller(name)
        for each in self.controllers:
            self.await_api(each)

    def _make_database(self) -> None:
        """Make Neutron's tables, which takes longer than all else; MariaDB has ended afterwards."""
        self._run(
            *("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={self.folder}/mysql"),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        )
        self.start_database()
        self.sql("create database neutron character set utf8mb3")
        self._run(str(BIN / "neutron-db-manage"), *self._files("ctl1"), "upgrade", "heads")
        self.database.end()

    def start_database(self) -> None:
        """Start MariaDB, and wait until it answers."""
        self.database.start()
        until(lambda: self._answers(self.database, self._is_database_there), "MariaDB")

    def end(self) -> None:
        """End everything that was started here; nobody asks for what it would still save."""
        for each in self.controllers:
            each.api.kill_all()
            each.periodic.kill_all()
        self.database.kill_all()
        self.nova.close()

    def await_api(self, controller: Controller) -> None:
        """Wait until each process of the API has answered: of its first requests at once, it refuses some."""
        until(lambda: self._answers(controller.api, controller.is_served), "the API")

    def _answers(self, program: Program, ask: Callable[[], bool]) -> bool:
        program.require()
        return ask()

    def _is_database_there(self) -> bool:
        asked = ["mariadb", "--no-defaults", "-uroot", "-S", str(self.socket), "-e", "select 1"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    def sql(self, text: str) -> str:
        """Have the database do *text*, and return what it prints, without heads."""
        return self._run("mariadb", "--no-defaults", "-uroot", "-N", "-S", str(self.socket), "-e", text)

    def _run(self, *words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=START_S)
        assert done.returncode == 0, f"{words[0]}: {done.stderr[-3000:]}"
        return done.stdout

    def _start_controller(self, name: str) -> None:
        place = self.folder / name
        port = free_port()
        (place / "uwsgi.ini").write_text(
            "\n".join(
                [
                    "[uwsgi]",
                    f"http-socket = 127.0.0.1:{port}",
                    f"env = OS_NEUTRON_CONFIG_DIR={place}",
                    "env = OS_NEUTRON_CONFIG_FILES=neutron.conf;ml2.ini",
                    "module = neutron.wsgi.api:application",
                    *(f"processes = {PROCESSES}", f"threads = {THREADS}", "master = true"),
                    "die-on-term = true",
                    *("lazy-apps = true", "enable-threads = true", "need-app = true", "buffer-size = 65535"),
                    # What ML2 asks of each API process, so that they tell themselves apart.
                    "start-time = %t",
                    # Without it uwsgi cuts connections that a client keeps.
                    "add-header = Connection: close",
                ]
            )
        )
        api = self._program(f"api-{name}", str(BIN / "uwsgi"), "--ini", str(place / "uwsgi.ini"))
        _write(place / "worker.ini", {"trunkline": {"nb_connection": self.worker_remote or self.remote}})
        periodic = self._program(
            f"periodic-{name}",
            *(str(BIN / "neutron-periodic-workers"), *self._files(name)),
            *("--config-file", str(place / "worker.ini")),
        )
        api.start()
        periodic.start()
        self.controllers.append(Controller(name, f"http://127.0.0.1:{port}", api, periodic))

    # -- configuration -----------------------------------------------------------------------------

    def _files(self, name: str) -> list[str]:
        place = self.folder / name
        return ["--config-file", str(place / "neutron.conf"), "--config-file", str(place / "ml2.ini")]

    def _configure(self, name: str) -> None:
        place = self.folder / name
        (place / "lock").mkdir(parents=True)
        paste = Path(sys.prefix) / "etc" / "neutron" / "api-paste.ini"
        main = {
            "core_plugin": "ml2",
            "service_plugins": "trunk,segments,qos",
            "auth_strategy": "noauth",
            "api_paste_config": str(paste),
            "state_path": str(place),
            "host": name,
            "use_stderr": "true",
            "transport_url": "fake://",
            "agent_down_time": "75",
            "notify_nova_on_port_status_changes": "true",
            "notify_nova_on_port_data_changes": "false",
            "vlan_transparent": "true",
            "global_physnet_mtu": "1500",
            "max_allowed_address_pair": "10",
        }
        unlimited = dict.fromkeys((f"quota_{kind}" for kind in ("network", "subnet", "port", "trunk")), "-1")
        _write(
            place / "neutron.conf",
            {
                "DEFAULT": main | self.more,
                "nova": {"auth_type": "none", "endpoint": self.nova.url},
                "oslo_messaging_notifications": {"driver": "noop"},
                "oslo_concurrency": {"lock_path": str(place / "lock")},
                "oslo_policy": {"policy_file": str(place / "policy.yaml")},
                "quotas": unlimited,
                "database": {
                    "connection": f"mysql+pymysql://root@localhost/neutron?unix_socket={self.socket}"
                    "&charset=utf8mb3"
                },
            },
        )
        _write(
            place / "ml2.ini",
            {
                "ml2": {
                    "type_drivers": "flat,vlan",
                    "project_network_types": "vlan",
                    "mechanism_drivers": DRIVERS,
                    "extension_drivers": "port_security,qos",
                },
                "ml2_type_flat": {"flat_networks": "*"},
                "ml2_type_vlan": {
                    "network_vlan_ranges": ",".join(f"{physnet}:100:1999" for physnet in PHYSNETS)
                },
                "trunkline": {"nb_connection": self.remote, "call_limit": CALL_LIMIT_S} | self.options,
            },
        )
        rules = (f'"{rule}": "rule:admin_only or role:service"\n' for rule in RULES)
        (place / "policy.yaml").write_text("".join(rules))

    def config_files(self) -> list[str]:
        """Return the words by which a program of the first controller reads its configuration."""
        return self._files("ctl1")

    def logs(self) -> str:
        """Return what all programs of Neutron have said since `begin_test`."""
        return "".join(
            log.read_bytes()[self._seen.get(log, 0) :].decode(errors="replace") for log in self._logs()
        )

    def _logs(self) -> list[Path]:
        return [each.log for controller in self.controllers for each in (controller.api, controller.periodic)]

    def begin_test(self) -> None:
        """Look only at what the programs say from now on; nothing of it is expected."""
        self._seen = {log: log.stat().st_size for log in self._logs()}
        self._expected.clear()

    def misses_northbound(self) -> bool:
        """Return whether some process of the API takes it that the northbound is away."""
        missing = set[str]()
        for line in self.logs().splitlines():
            if "until the northbound answers" in line:
                missing.add(line.split()[2])
            elif "the northbound answers, and" in line:
                missing.discard(line.split()[2])
        return bool(missing)

    def complaints(self) -> list[str]:
        """Return the lines by which the driver warns or fails, or anything of Neutron logs a traceback.

        What the test expects is left out.
        """
        return [
            line
            for line in self.logs().splitlines()
            if WRONG.search(line) and not any(word in line for word in self._expected)
        ]

    def expect(self, *words: str) -> None:
        """Wait until each of *words* was said, and take that for no complaint of this test.

        A process may do something before it says so.
        """
        for each in words:
            until(lambda said=each: said in self.logs(), f"somebody to say {each!r}")  # type: ignore[misc]
        self.allow(*words)

    def allow(self, *words: str) -> None:
        """Take each of *words* for no complaint of this test, should it be said."""
        self._expected |= set(words)


def _write(path: Path, sections: dict[str, dict[str, str]]) -> None:
    lines: list[str] = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items()), ""]
    path.write_text("\n".join(lines))


def _copy(folder: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "--reflink=auto", folder, target], check=True, timeout=START_S)


@contextmanager
def made_once(name: str) -> Iterator[Path]:
    """Give a path that all processes of this run of the tests share; whoever finds nothing there makes it.

    The others wait meanwhile.
    """
    made = Path(os.environ[SHARED]) / name
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield made


@contextmanager
def opened(
    remote: str,
    controllers: int = 1,
    main: dict[str, str] | None = None,
    worker_remote: str | None = None,
    **options: str,
) -> Iterator[Neutron]:
    """Give a Neutron with the northbound at *remote*, for its workers at *worker_remote*.

    Its `[DEFAULT]` has the options *main*, and its `[trunkline]` these *options*.
    """
    folder = Path(tempfile.mkdtemp(prefix="tl-neutron-"))
    neutron = Neutron(folder, remote, options, main or {}, worker_remote)
    try:
        neutron.start(controllers)
        yield neutron
    finally:
        neutron.end()
        shutil.rmtree(folder, ignore_errors=True)
