"""docs/neutron.md: its commands work in its order, and its options are those of the driver."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from neutron_server import BIN, START_S
from oslo_config import cfg

from model import page
from trunkline.neutron.settings import OPTIONS

if TYPE_CHECKING:
    from neutron_site import Site

NAME = "docs/neutron.md"
TEXT = (page.ROOT / NAME).read_text()
TYPED = [
    each.text
    for each in page.commands(TEXT)
    if any(
        each.text.startswith(start) and why == page.REAL_NEUTRON
        for start, why in page.ELSEWHERE[NAME].items()
    )
]


def test_every_command_of_the_page_works(site: Site, tmp_path: Path) -> None:
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "OS_AUTH_TYPE": "none",
        "OS_ENDPOINT": site.neutron.controllers[0].url,
        "TRUNKLINE_NB": site.neutron.remote,
    }
    cache = tmp_path / ".cache" / "python-entrypoints"
    cache.mkdir(parents=True)

    def do(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    files = " ".join(site.neutron.config_files())
    seen = {}
    for command in TYPED:
        is_ours = command.startswith("trunkline-neutron")
        seen[command] = do(f"{command} {files}" if is_ours else command)
        if command.startswith("rm "):
            assert not cache.exists()
        if command.startswith("openstack port create"):
            (port,) = site.api.ports()
            site.vm(port)
            site.await_status(port, "ACTIVE")
    assert "Trunkline agent" in seen["openstack network agent list --host c1"]


def meaning(option: Any) -> str:
    """Return what the page says of *option*."""
    choices = getattr(option.type, "choices", None) or {}
    return " ".join([option.help, *(f"`{value}`: {what}." for value, what in dict(choices).items())])


def test_the_options_of_the_page_are_those_of_the_driver() -> None:
    defaults = ["none" if each.default is None else f"`{each.default}`" for each in OPTIONS]
    rows = [
        f"| `{option.name}` | {default} | {meaning(option)} |"
        for option, default in zip(OPTIONS, defaults, strict=True)
    ]
    assert re.findall(r"^\| `\w+` \| (?:none|`[^`]+`) \| .*$", TEXT, re.MULTILINE) == rows, "\n".join(rows)


@pytest.mark.parametrize("block", re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL))
def test_the_configuration_of_the_page_is_valid(block: str, tmp_path: Path) -> None:
    path = tmp_path / "ml2_conf.ini"
    path.write_text(block)
    read = cfg.ConfigOpts()
    read.register_opts(OPTIONS, "trunkline")
    read([f"--config-file={path}"], default_config_dirs=[])
    for option in OPTIONS:
        getattr(read.trunkline, option.name)
    section = block.partition("[trunkline]")[2]
    assert set(re.findall(r"^(\w+) =", section, re.MULTILINE)) <= {option.name for option in OPTIONS}
