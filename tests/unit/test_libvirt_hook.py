"""Where libvirt's hook has a port requested; `scripts/try-libvirt` has a real libvirt call it."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

HOOK = Path(__file__).parents[2] / "packaging" / "libvirt" / "qemu"


def hook() -> Any:
    spec = spec_from_loader("hook", SourceFileLoader("hook", str(HOOK)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("operation", "now", "holder", "here", "wanted"),
    [
        ("prepare", [], None, "c1", ["c1"]),
        ("prepare", ["c2"], "c2", "c1", ["c1"]),
        ("migrate", ["c1"], "c1", "c2", ["c1", "c2"]),
        ("migrate", [], None, "c2", []),
        ("prepare", ["c1", "c2"], "c1", "c2", ["c1", "c2"]),
        ("release", ["c1", "c2"], "c2", "c1", ["c2"]),
        ("release", ["c1", "c2"], "c1", "c2", ["c1"]),
        ("release", ["c1"], "c1", "c1", ["c1"]),
        ("release", ["c2"], "c2", "c1", ["c2"]),
    ],
)
def test_a_port_is_requested_where_its_vm_starts_moves_to_and_stays(
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    now: list[str],
    holder: str | None,
    here: str,
    wanted: list[str],
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert hook().requested(operation, now, holder, here) == wanted
