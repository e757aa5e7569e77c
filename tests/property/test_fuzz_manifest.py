"""Whatever a file holds: `apply` reads it, or says what is wrong with it and where."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from trunkline.manifest.complaint import MOST
from trunkline.manifest.wanted import Manifest, ManifestError, read

GOOD = "kind: Port\nname: vm1\nnetwork: blue\nmac: 02:00:00:00:00:01\naddresses: [192.0.2.1]\nenabled: true\n"
PIECES = [
    *("\n", "---\n", "...\n", "- ", "? ", ": ", "  ", "\t", "[", "]", "{", "}", ",", "&a ", "*a", "!!int "),
    *("!x ", "|\n", ">\n", "'", '"', "#", "%YAML 1.1\n", "<<: *a\n", "~", "null", "\\", "\x00", "\ufeff"),
    *("\x85", "ü", "kind: Network\n", "kind: Port\n", "name: a\n", "mac: x\n", "mtu: ", "9" * 30),
    *("options: ", "external_ids: ", "parent_vlan: 0x", "addresses:\n- ", GOOD),
    "allowed_address_pairs: [a, 1]\n",
]  # fmt: skip


def outcome(data: bytes) -> Manifest | ManifestError:
    """Return what comes of a file with *data*."""
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(data)
        file.flush()
        try:
            return read([file.name])
        except ManifestError as error:
            said = error
    assert said.complaints
    assert all(each.mark is None or each.mark.file == file.name for each in said.complaints)
    return said


@given(st.lists(st.sampled_from(PIECES), max_size=30))
@example(["- "] * (MOST + 1) + ["\n", "---\n"])
def test_pieces_of_yaml_in_any_order_are_read_or_refused(pieces: Sequence[str]) -> None:
    outcome("".join(pieces).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    outcome(data)


@given(st.integers(0, len(GOOD)), st.integers(0, 5), st.text(max_size=4))
def test_a_document_with_something_else_in_it_is_read_or_refused(start: int, length: int, text: str) -> None:
    outcome((GOOD[:start] + text + GOOD[start + length :]).encode(errors="surrogatepass"))


def test_of_errors_without_end_the_first_are_said() -> None:
    for text in (
        "- a\n---\n" * 5_000,
        "kind: X\n---\n" * 5_000,
        f"{GOOD}" + "".join(f"k{n}: 1\n" for n in range(5_000)),
    ):
        error = outcome(text.encode())
        assert isinstance(error, ManifestError)
        assert len(error.complaints) == MOST
