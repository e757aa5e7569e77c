"""A host for the commands of a page, which are typed as they are: with its own files and network.

The host is a shell in namespaces of its own. It sees the files of this machine, but what it writes below
/etc, /opt, /run, /usr and /var goes to memory. So `trunkline nb start` and Open vSwitch run at their usual
places there, and touch nothing here. When the shell ends, the kernel ends all that it has started.
"""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from model import page
from trunkline.lab import command
from trunkline.lab.command import PROGRAM

_TIMEOUT_S = 240.0

_SETUP = """
mkdir {folder}/bin {folder}/home
for place in etc opt usr var; do
    mkdir -p {folder}/$place {folder}/work/$place
    mount -t overlay none -o lowerdir=/$place,upperdir={folder}/$place,workdir={folder}/work/$place /$place
done
mount -t tmpfs none /run
rm -rf /etc/openvswitch /etc/trunkline /var/lib/trunkline /var/lib/openvswitch
mkdir -p /etc/openvswitch /var/log/openvswitch /run/openvswitch /run/netns
printf '#!/bin/sh\\nexec {program} "$@"\\n' >{folder}/bin/trunkline
chmod +x {folder}/bin/trunkline
export PATH={folder}/bin:$PATH
cd {folder}/home
hostname {name}
ip link set lo up
ip addr add {address}/32 dev lo
"""

_SWITCH = """
ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server --detach --pidfile --log-file -vconsole:off --remote=punix:/run/openvswitch/db.sock
ovs-vsctl --no-wait init
ovs-vswitchd --detach --pidfile --log-file -vconsole:off --enable-dummy=override
"""


class Host:
    """A host with the name *name* and the address *address*; it lasts until `close`."""

    def __init__(self, name: str = "c1", address: str = "192.0.2.1") -> None:
        self.address = address
        self._folder = Path(tempfile.mkdtemp(prefix="tl-page-"))
        self._heard = b""
        self._shell = subprocess.Popen(
            [
                *("unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *(
                    "sh",
                    "-c",
                    'mount -t tmpfs none "$1" && exec bash --noprofile --norc',
                    "sh",
                    str(self._folder),
                ),
            ],
            env={
                key: value for key, value in os.environ.items() if not key.startswith(("TRUNKLINE_", "OVS_"))
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        program = shlex.join([sys.executable, *PROGRAM[1:]])
        self.do(_SETUP.format(folder=self._folder, program=program, name=name, address=address))

    @property
    def pid(self) -> int:
        """The process whose network namespace is the host's."""
        return self._shell.pid

    def run(self, text: str) -> tuple[int, str]:
        """Run *text* in the shell, and return its exit code and what it printed to both streams.

        Variables that it exports remain.
        """
        said = self._folder / "said"
        code = self._ask(f"{{ {text}\n}} >{said} 2>&1 </dev/null; printf '%s\\n' $?\n")
        return code, self._read(said)

    def run_until_it_speaks(self, text: str) -> tuple[int, str]:
        """Run a command that goes on until it is interrupted, and interrupt it once it has printed something.

        Return the same as `run` does.
        """
        said = self._folder / "said"
        watch = f"until [ -s {said} ] || ! kill -0 $!; do sleep 0.05; done; kill -INT -- -$!; wait $!"
        # With job control, so that the command is not told to ignore interrupts.
        code = self._ask(
            f"set -m; {{ {text}\n}} >{said} 2>&1 </dev/null & {watch}; printf '%s\\n' $?; set +m\n"
        )
        return code, self._read(said)

    def do(self, script: str) -> str:
        """Run what a page takes for granted; all has to succeed. Return what the last command printed."""
        said = ""
        for each in page.typed(script.splitlines()):
            code, said = self.run(each.text)
            assert code == 0, (each.text, said)
        return said

    def write(self, name: str, text: str) -> None:
        """Write a file into the directory where the commands are typed."""
        self._path(Path(self.do("pwd").strip()) / name).write_text(text)

    def start_switch(self) -> None:
        """Start Open vSwitch with dummy devices, as the host's own."""
        self.do(_SWITCH)

    def close(self) -> None:
        self._shell.kill()
        self._shell.communicate()
        self._folder.rmdir()

    def _read(self, path: Path) -> str:
        return self._path(path).read_text()

    def _path(self, path: Path) -> Path:
        """Return where this process finds the file that is *path* to the host."""
        inner_pid = int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text())
        return Path(f"/proc/{inner_pid}/root") / path.relative_to("/")

    def _ask(self, script: str) -> int:
        """Write *script* to the shell, and return the number that it prints in the end."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(script.encode())
        self._shell.stdin.flush()
        while b"\n" not in self._heard:
            ready, _, _ = select.select([self._shell.stdout], [], [], _TIMEOUT_S)
            assert ready, f"after {_TIMEOUT_S:g} s there is no answer to: {script}"
            heard = os.read(self._shell.stdout.fileno(), 4096)
            assert heard, f"the shell has ended: {script}"
            self._heard += heard
        line, _, self._heard = self._heard.partition(b"\n")
        return int(line)


def connect(hub: Host, *others: Host) -> None:
    """Connect *others* to *hub*, which routes: every host reaches the address of every other one."""
    hub.do("echo 1 >/proc/sys/net/ipv4/ip_forward\necho 1 >/proc/sys/net/ipv4/conf/all/proxy_arp")
    for number, other in enumerate(others):
        near, far = f"name down{number} netns {hub.pid}", f"name uplink netns {other.pid}"
        command.run(["ip", "link", "add", *near.split(), "type", "veth", "peer", *far.split()])
        hub.do(f"ip link set down{number} up\nip route add {other.address}/32 dev down{number}")
        other.do("ip link set uplink up\nip route add default dev uplink")
