"""The rules of the house, as ARCHITECTURE.md states them: who may import whom, and what is said where."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from trunkline.cli.main import trunkline
from trunkline.runtime import package as ovs_package

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "trunkline"
MODULES = sorted(path for path in SOURCE.glob("*/*.py") if path.name != "__init__.py")

BELOW = {
    "core": set(),
    "apps": {"core"},
    "runtime": {"core"},
    "openflow": {"core", "runtime"},
    "host": {"core"},
    "northbound": {"core", "host"},
    "manifest": {"core", "northbound"},
    "server": {"core", "host", "northbound"},
    "ovsdb": {"core", "runtime", "host", "northbound"},
    "proof": {"core", "openflow"},
    "bridge": {"core", "apps", "runtime", "openflow"},
    "insight": {"core", "apps", "runtime", "openflow", "host", "northbound", "ovsdb", "bridge"},
    "probe": {"core", "host", "northbound"},
    "path": {"core", "host", "northbound", "openflow", "proof", "ovsdb", "insight", "probe"},
    "health": {"core", "host", "northbound", "openflow", "ovsdb", "insight", "path", "probe"},
    "agent": {"core", "runtime", "openflow", "host", "northbound", "ovsdb", "bridge"},
    "process": {
        *("core", "runtime", "openflow", "host", "ovsdb", "bridge"),
        *("insight", "path", "probe", "health", "agent"),
    },
    "metrics": {"core", "openflow", "northbound", "insight", "health"},
    "neutron": {"core", "northbound"},
    "lab": {"core", "host"},
    "cli": {
        *("core", "runtime", "host", "northbound", "manifest", "server", "ovsdb"),
        *("insight", "path", "probe", "health", "process", "metrics", "neutron", "lab"),
    },
}
"""The packages that each package may import, beside itself."""

MOST_LINES = 400
"""Of a module. One that is longer has two ideas, and the second one is a module of its own."""

MOST_TEST_LINES = 450
"""Of a file of tests or benchmarks: one behaviour, or one measurement."""

TESTS = sorted(path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))

PRIVATE = "runtime/private.py"
"""The one file that knows what is private to the `ovs` package."""

MAY_IMPORT_OVS = {"runtime", "openflow", "ovsdb", "bridge", "agent", "process"}


INTENT = ("proof/intent.py", "proof/permission.py")
"""What frames are meant for, which must not depend on how flows are made."""


def name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that the file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_a_file_has_one_idea_and_so_few_lines() -> None:
    assert [name(path) for path in SOURCE.rglob("*.py") if lines(path) > MOST_LINES] == []
    assert [str(path.relative_to(ROOT)) for path in TESTS if lines(path) > MOST_TEST_LINES] == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_run_down(path: Path) -> None:
    package = path.parent.name
    ours = {found.split(".")[1] for found in imports(path) if found.startswith("trunkline.")}
    assert (ours & BELOW.keys()) - {package} <= BELOW[package]


def test_no_import_goes_in_a_circle_not_even_for_types() -> None:
    module_by_name = {f"trunkline.{path.parent.name}.{path.stem}": path for path in MODULES}
    below = {
        path: {module_by_name[each] for each in imports(path) if each in module_by_name} for path in MODULES
    }
    while leaves := {path for path, others in below.items() if not others & below.keys()}:
        below = {path: others for path, others in below.items() if path not in leaves}
    assert [name(path) for path in below] == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_the_ovs_package_is_imported_by_few_and_its_databases_by_one(path: Path) -> None:
    package = path.parent.name
    found = {each for each in imports(path) if each.split(".")[0] == "ovs"}
    assert not found or package in MAY_IMPORT_OVS
    is_alone = package == "ovsdb" or name(path) == PRIVATE
    assert is_alone or not any(each.startswith("ovs.db") for each in found)


@pytest.mark.parametrize(
    "path",
    [each for each in MODULES if each.parent.name in MAY_IMPORT_OVS and name(each) != PRIVATE],
    ids=name,
)
def test_what_is_private_to_the_ovs_package_is_used_in_one_file(path: Path) -> None:
    if name(path) == PRIVATE:
        return
    known = {name for names in ovs_package.ATTRIBUTES.values() for name in names}
    known |= {parameters.rpartition(".")[2] for parameters in ovs_package.PARAMETERS}
    theirs = {name for name in known if name.startswith("_") and not name.endswith("__")}
    may_inherit = any(found.startswith("trunkline.runtime.private") for found in imports(path))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert not node.name.startswith("_Idl__")
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            is_public = node.attr.endswith("__") or node.attr in ("_replace", "_exit")
            assert is_own or is_public, ast.unparse(node)
            assert not (may_inherit and node.attr in theirs), ast.unparse(node)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_all_is_logged_by_the_one_log_as_constant_text_and_values(path: Path) -> None:
    for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
        match call.func:
            case ast.Attribute(attr="Vlog"):
                assert name(path) == "runtime/log.py", ast.unparse(call)
            case ast.Attribute(attr="debug" | "info" | "warning" | "error" | "each", value=log):
                if ast.unparse(log) in ("log", "self._log"):
                    assert isinstance(call.args[0], ast.Constant), ast.unparse(call)


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent.name == "apps"], ids=name)
def test_no_app_writes_a_table_or_a_priority_as_a_number(path: Path) -> None:
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id in ("Flow", "Goto", "Resubmit", "Band", "Table"):
            assert not any(isinstance(each, ast.Constant) for each in call.args), ast.unparse(call)


def options(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the long options of *command* and of all that is below it."""
    for parameter in command.params:
        yield from (each for each in (*parameter.opts, *parameter.secondary_opts) if each.startswith("--"))
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from options(found, context)


def texts(path: Path) -> Iterator[str]:
    """Yield the texts of the file that are no docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def spoken(text: str) -> set[str]:
    """Return the options in the sentence *text*; an argument for a program is a text by itself."""
    return set(re.findall(r"(?<=[\s(`'])--[a-z-]+(?![a-z=-])|^--[a-z-]+(?= )", text))


OPTIONS = set(options(trunkline, click.Context(trunkline)))


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.parent.name not in ("cli", "lab")], ids=name
)
def test_no_text_below_the_command_line_names_an_option_of_it(path: Path) -> None:
    assert {option for text in texts(path) for option in spoken(text)} & OPTIONS == set()


def test_an_option_in_a_text_is_told_from_one_for_a_program() -> None:
    assert spoken("give --segment, or use --type vlan (see --help)") == {"--segment", "--type", "--help"}
    assert spoken("--remote=db:x") == spoken("--pidfile") == spoken("-v --db=x") == set()


def test_architecture_says_where_every_module_is() -> None:
    """But for the lab, which is one place, and the nouns of the command line, called as they are."""
    named = set(re.findall(r"`(\w+/\w+\.py)`", (ROOT / "ARCHITECTURE.md").read_text()))
    nouns = {f"cli/{noun}.py" for noun in trunkline.list_commands(click.Context(trunkline))}
    modules = {name(path) for path in MODULES if path.parent.name != "lab"}
    assert modules - nouns - named == set()


def test_every_file_of_tests_has_a_name_of_its_own() -> None:
    """Of two files of one name pytest collects the first, and the run ends with an error."""
    loaded_by_path = ("__init__.py", "conftest.py")
    names = [path.name for path in (ROOT / "tests").glob("*/*.py") if path.name not in loaded_by_path]
    assert sorted({each for each in names if names.count(each) > 1}) == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_member_of_an_enumeration_is_an_empty_tuple(path: Path) -> None:
    """Python 3.11.2, which Debian 12 has, makes an `object` of it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases):
            members = [each for each in node.body if isinstance(each, ast.Assign)]
            assert "()" not in [ast.unparse(each.value) for each in members], node.name


def test_what_frames_are_meant_for_shares_no_code_with_what_makes_flows() -> None:
    allowed = {"core.model", "core.field", "proof.space", "proof.permission"}
    ours = {
        ".".join(module.split(".")[1:3])
        for path in INTENT
        for module in imports(SOURCE / path)
        if module.startswith("trunkline.") and module.count(".") >= 2
    }
    assert ours <= allowed
