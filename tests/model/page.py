"""The pages of the project, and the commands that they tell a reader to type."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

REAL_NEUTRON = "tests/neutron/test_neutron_page.py types it, where a real Neutron runs"

ELSEWHERE = {
    "README.md": {
        "scripts/demo": "it is `trunkline lab run` after installations; test_lab_run.py runs that",
        "scripts/test": "it runs this test",
        "scripts/package": "it needs a package index; tests/packages builds and installs the packages",
    },
    "CONTRIBUTING.md": {
        "scripts/check": "it is run before each commit",
        "scripts/test": "it runs this test",
        "scripts/demo": "it is `trunkline lab run` after installations; test_lab_run.py runs that",
        "scripts/docs": "test_docs.py runs what it runs",
        "scripts/package": "it needs a package index; tests/packages builds and installs the packages",
        "scripts/bench": "it takes an hour; docs/performance.md is what it measured",
        "scripts/try-libvirt": "it needs a kernel package and QEMU; docs/libvirt.md says what it did",
        "scripts/test-matrix": "it makes roots of other releases; .ci/run runs a part of it",
    },
    "docs/libvirt.md": dict.fromkeys(
        ("trunkline port create web1", "install -D"), "scripts/try-libvirt does the same on a lab"
    ),
    "docs/lab.md": {
        "trunkline lab up --name klab": "scripts/test-matrix has the kernel for it",
    },
    "docs/migrate-from-neutron-ovs-agent.md": dict.fromkeys(
        ("trunkline", "systemctl", "openstack"),
        "tests/neutron/test_takeover.py types it, where a real Neutron runs",
    ),
    "docs/neutron.md": {
        "/opt/neutron/bin/pip": "it needs a package index; scripts/test-neutron runs a line like it",
        "openstack": REAL_NEUTRON,
        "trunkline": REAL_NEUTRON,
        "rm -rf ~/.cache": REAL_NEUTRON,
    },
    "docs/operations.md": {
        "apt-get install": "packaging/try-in-vm runs this line",
        "pipx install": "it needs a package index",
        "scripts/package": "it needs a package index; tests/packages builds and installs the packages",
        "podman run": "it needs podman, and an image that is built from a registry's",
        "python3 -m venv": "it needs a package index; the packages are tried in its place",
        "install -D": "it needs systemd; the packages install the same file",
        "cp -r packaging/systemd": "it needs systemd; the packages install the same files",
        "systemctl restart openvswitch-switch": "it needs systemd; packaging/try-in-vm runs this line",
        "systemctl enable --now trunkline-nb": "it needs systemd; packaging/try-in-vm runs this line",
        "systemctl enable --now trunkline-agent": "it needs systemd; packaging/try-in-vm runs this line",
    },
    "docs/test-matrix.md": {
        "scripts/test-matrix": "it makes roots of other releases; .ci/run runs a part of it",
    },
    "docs/quickstart.md": {
        "python3 -m venv": "it needs a package index; packaging/try-in-vm runs a line like it",
        "unshare --net bash": "test_quickstart.py runs the page in such a shell",
    },
}
"""Commands that no test of pages can run, by page: how each begins, and what shows it instead."""


_EXAMPLES = r"^ *Examples:\n((?: +trunkline .*\n)+)"


@dataclass(frozen=True)
class Command:
    """A command as a page shows it: where it is typed, and what the page says that it prints.

    *host* is what stands before the prompt, such as `192.0.2.1` in `192.0.2.1$ trunkline …`. *said* is None
    if the page shows no prompts, and so no output.
    """

    text: str
    host: str = ""
    said: str | None = None


def is_for_tests(page: str, command: Command) -> bool:
    """Whether a test has to run *command* of *page*: it is not shown ELSEWHERE."""
    return not any(command.text.startswith(start) for start in ELSEWHERE.get(page, {}))


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(text: str) -> list[Command]:
    """Return the commands of the `console` blocks of a page, in order, after the examples of `--help` texts.

    >>> block = "```console\\n{}\\n```\\n".format
    >>> commands(block("$ a | b\\nsaid\\nh1$ c"))
    [Command(text='a | b', host='', said='said\\n'), Command(text='c', host='h1', said='')]
    >>> commands(block("# why\\nfor x in y; do\\n  d\\ndone") + "text\\n  " + block("e\\n  f  # g"))
    [Command(text='for x in y; do\\n  d\\ndone', host='', said=None), \
Command(text='e', host='', said=None), Command(text='f  # g', host='', said=None)]
    """
    found = [Command(line) for each in re.findall(_EXAMPLES, text, re.MULTILINE) for line in _examples(each)]
    for indent, block in re.findall(r"^( *)```console\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        lines = [line.removeprefix(indent) for line in block.splitlines()]
        found += _prompted(lines) if re.match(r"[\w.]*\$ ", lines[0]) else typed(lines)
    return found


def _examples(lines: str) -> list[str]:
    """Return the commands of examples; what an example is for stands after two spaces.

    >>> _examples("  trunkline plan  what the agent would do\\n  trunkline flows\\n")
    ['trunkline plan', 'trunkline flows']
    """
    return [line.strip().partition("  ")[0] for line in lines.splitlines()]


def commands_in_text(text: str) -> list[str]:
    """Return what stands between backticks in the text of a page, outside its blocks."""
    outside = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", outside)


def _prompted(lines: list[str]) -> list[Command]:
    found: list[Command] = []
    for line in lines:
        if prompt := re.match(r"([\w.]*)\$ (.*)", line):
            found.append(Command(prompt[2], prompt[1], ""))
        else:
            last = found[-1]
            found[-1] = Command(last.text, last.host, f"{last.said}{line}\n")
    return found


def typed(lines: Iterable[str]) -> list[Command]:
    """Return a command for each line, or for several that are one only together, without comments."""
    found: list[Command] = []
    pending = ""
    for line in lines:
        if line.startswith("#") or not (line or pending):
            continue
        pending += f"\n{line}" if pending else line
        if _is_whole(pending):
            found.append(Command(pending))
            pending = ""
    assert not pending, pending
    return found


def _is_whole(text: str) -> bool:
    return subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True).returncode == 0
