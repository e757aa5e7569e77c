"""What is known of the `ovs` package, against the one that is installed, and against ones that differ."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Any

import ovs
import pytest

from trunkline.runtime import package
from trunkline.runtime.package import ATTRIBUTES, NAMES, PARAMETERS, PackageError


def owner(path: str) -> Any:
    """Return what holds the last name of *path*."""
    return attrgetter(path.rpartition(".")[0].removeprefix("ovs."))(ovs)


def test_the_installed_package_is_known() -> None:
    assert list(package.differences()) == []


@pytest.mark.parametrize("path", PARAMETERS)
def test_a_method_with_other_parameters_is_named(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = path.rpartition(".")[2]
    monkeypatch.setattr(owner(path), name, lambda altogether: None)
    wanted = f"{path}({', '.join(PARAMETERS[path])})"
    # A class whose constructor is another may also lack what that one made.
    found = [each for each in package.differences() if each.startswith(wanted)]
    assert found == [f"{wanted} is {name}(altogether)"]


def test_one_more_parameter_is_another_method_unless_it_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    def more(self: Any, table: Any, uuid: Any, is_new: bool) -> None: ...
    def optional(self: Any, table: Any, uuid: Any, is_new: bool = False) -> None: ...

    path = "ovs.db.idl.Idl._Idl__create_row"
    for function, count in ((more, 1), (optional, 0)):
        monkeypatch.setattr(owner(path), "_Idl__create_row", function)
        assert len(list(package.differences())) == count


@pytest.mark.parametrize("path", ATTRIBUTES)
def test_an_attribute_that_the_constructor_does_not_make_is_named(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: Any) -> None: ...

    monkeypatch.setattr(f"{path}.__init__", nothing)
    assert {f"{path}.{name} is missing" for name in ATTRIBUTES[path]} <= set(package.differences())


@pytest.mark.parametrize("path", NAMES)
def test_a_name_that_is_gone_is_named(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(owner(path), path.rpartition(".")[2])
    assert list(package.differences()) == [f"{path} is missing"]
    with pytest.raises(PackageError, match="is missing"):
        package.check()


def test_the_agent_says_in_one_line_that_the_package_is_another(tmp_path: Path) -> None:
    shutil.copytree(Path(ovs.__file__).parent, tmp_path / "ovs")
    idl = tmp_path / "ovs" / "db" / "idl.py"
    idl.write_text(idl.read_text().replace("__row_update(", "__update_row("))
    done = subprocess.run(
        [sys.executable, "-m", "trunkline", "agent", "--ovs", f"unix:{tmp_path}/db.sock"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "ovs.db.idl.Idl._Idl__row_update(self, table, row, row_json) is missing" in line
    assert line.endswith("install a version from 3.1.5 to 4.0")


PARTS = [
    f"trunkline.{name}"
    for name in ("cli.check", "health.own_check", "insight.plan", "path.isolation", "process.job")
]
"""What loads the `ovs` package for commands, each by another way, and before `trunkline.runtime.private`."""


def test_no_part_of_the_program_loads_eventlet(tmp_path: Path) -> None:
    """It is installed here, for the tests' sake, and takes 0.2 s and more of each start."""
    assert find_spec("eventlet") is not None
    program = (
        "import atexit, sys, trunkline.__main__\n"
        "def said():\n"
        f"    for name in {PARTS}: __import__(name)\n"
        "    print('ovs.poller' in sys.modules, sys.modules['eventlet'])\n"
        "atexit.register(said)\n"
        f"sys.argv = ['trunkline', 'agent', '--ovs', 'unix:{tmp_path}/db.sock']\n"
        "trunkline.__main__.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == "True None\n"
