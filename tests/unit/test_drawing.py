"""The picture of a site: what it shows by name, what it only counts, and names that are no letters."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from trunkline.cli import dot, svg, tree
from trunkline.cli.drawing import MOST_BOXES, Drawing, drawing
from trunkline.cli.output import printable

HOSTILE = '<script>]]>&amp;"\\N\\\x1b[2J\ufffe\u202e\n'
TEXT = "{http://www.w3.org/2000/svg}"


def network(name: str, tag: int | None, *shares: tuple[str, int, int], unbound: int = 0) -> dict[str, Any]:
    chassis = [{"name": name, "up": up, "ports": ports} for name, up, ports in shares]
    return {"name": name, "segmentation_id": tag, "unbound": unbound, "chassis": chassis}


def chassis(name: str, state: str = "live", **faults: str) -> dict[str, Any]:
    mapped = ["physnet1", "physnet2"]
    by_subject = {subject.replace("_", " "): reason for subject, reason in faults.items()}
    return {"name": name, "state": state, "mapped": mapped, "faults": by_subject}


def site(networks: list[dict[str, Any]], chassis: list[dict[str, Any]]) -> dict[str, Any]:
    physnets = [{"name": "physnet1", "networks": networks}, {"name": "physnet2", "networks": []}]
    return {"physical_networks": physnets, "chassis": chassis}


SMALL = site(
    [
        network("blue", 101, ("c1", 12, 12), ("c2", 4, 5), ("c4", 0, 2)),
        network("office", None, ("c1", 3, 3), unbound=2),
        network("spare", 103),
    ],
    [
        chassis("c1"),
        chassis("c2", port_vm1="its MAC is a multicast one"),
        chassis("c3", "silent"),
        chassis("c4", mapping_physnet1="bridge br-ex does not exist"),
    ],
)


def test_a_small_site_is_shown_with_all_its_names() -> None:
    assert list(tree.lines(drawing(SMALL))) == [
        "physnet1 ┬ blue 101                   ─ c1 12/12 · c2 4/5 ! port fault · c4 0/2 ✗ mapping physnet1",
        "         ├ office untagged, 2 unbound ─ c1 3/3",
        "         └ spare 103                  ─ no chassis",
        "physnet2 ─ no network",
        "",
        "✗ port fault: c2",
        "✗ silent: c3",
        "✗ mapping physnet1: c4",
    ]


@pytest.mark.parametrize(
    ("faults", "condition"),
    [
        (("network blue",), "network blue"),
        (("network blue", "network red"), "2 networks"),
        (("mapping p", "mapping q"), "2 mappings"),
        (("port vm1", "port vm2"), "port fault"),
        (("network blue", "port vm1"), "several faults"),
        (("switch",), "switch fault"),
    ],
)
def test_a_chassis_is_shown_with_what_its_faults_are_about(faults: tuple[str, ...], condition: str) -> None:
    row = chassis("c2") | {"faults": dict.fromkeys(faults, "it is so")}
    assert list(tree.lines(drawing(site([], [row]))))[-1] == f"✗ {condition}: c2"


def test_a_physical_network_that_no_chassis_maps_is_named() -> None:
    bare = site([network("blue", 101, unbound=1)], [])
    assert next(tree.lines(drawing(bare))) == (
        "physnet1 ✗ no chassis maps it ─ blue 101, 1 unbound ─ no chassis"
    )


def big(faulty: int, networks: int = 20) -> dict[str, Any]:
    """Return 500 chassis, of which the first *faulty* have a port of the first network that is down."""
    names = [f"host{number}" for number in range(500)]
    first = network("net0", 100, *((name, int(n >= faulty), 1) for n, name in enumerate(names)))
    others = [network(f"net{n}", 100 + n, *((name, 1, 1) for name in names)) for n in range(1, networks)]
    return site([first, *others], [chassis(name) for name in names])


def columns(drawn: Drawing) -> list[int]:
    return [len(drawn.physnets), len(drawn.networks), len(drawn.chassis)]


@pytest.mark.parametrize(
    ("faulty", "networks", "boxes"),
    [
        (0, 20, [2, 20, 1]),
        (3, 20, [2, 20, 4]),
        (39, 60, [2, 2, 40]),
        (40, 60, [2, 2, 2]),
        (500, 1, [2, 1, 1]),
    ],
)
def test_a_large_site_has_few_boxes_and_the_name_of_everything_that_is_faulty(
    faulty: int, networks: int, boxes: list[int]
) -> None:
    drawn = drawing(big(faulty, networks))
    assert columns(drawn) == boxes
    assert max(boxes) <= MOST_BOXES
    totals = [share.total for share in drawn.shares.values()]
    assert sum(total.ports for total in totals) == 500 * networks
    assert sum(total.up for total in totals) == 500 * networks - faulty
    for lines in (tree.lines, svg.lines, dot.lines):
        words = set(re.findall(r"\bhost\d+", "\n".join(lines(drawn)).replace("\\n", " ")))
        assert words == {f"host{number}" for number in range(faulty)}


def test_forty_boxes_are_shown_and_of_forty_one_those_that_are_well_are_counted() -> None:
    for count, boxes in ((MOST_BOXES, MOST_BOXES), (MOST_BOXES + 1, 1)):
        names = [f"c{number}" for number in range(count)]
        blue = network("blue", 101, *((name, 1, 1) for name in names))
        found = drawing(site([blue], [*map(chassis, names)]))
        assert len(found.chassis) == boxes


def test_what_only_counts_says_how_many_and_what_a_network_has_of_them() -> None:
    lines = list(tree.lines(drawing(big(2))))
    assert lines[0] == "physnet1 ┬ net0 100  ─ host0 0/1 ✗ · host1 0/1 ✗ · 498 more 498/498"
    assert lines[1] == "         ├ net1 101  ─ 500 chassis 500/500"
    assert lines[-1] == "✗ ports down: host0, host1"


@pytest.fixture
def hostile() -> Drawing:
    found = site([network(HOSTILE, 101, (HOSTILE, 0, 1))], [chassis(HOSTILE, **{f"mapping {HOSTILE}": "x"})])
    found["physical_networks"][0]["name"] = HOSTILE
    return drawing(found)


def test_an_svg_is_xml_of_its_own_elements_whatever_names_have_in_them(hostile: Drawing) -> None:
    root = ElementTree.fromstring("\n".join(svg.lines(hostile)))
    tags = {element.tag.removeprefix(TEXT) for element in root.iter()}
    assert tags == {"svg", "title", "style", "rect", "path", "g", "text"}
    texts = [element.text or "" for element in root.iter(f"{TEXT}title")]
    assert printable(HOSTILE) in texts[1]
    assert all(text.isprintable() for text in texts)


def test_dot_says_each_name_as_one_label_whatever_it_has_in_it(hostile: Drawing) -> None:
    nodes = [line for line in dot.lines(hostile) if re.match(r"  [pnc]\d+ \[", line)]
    node = re.compile(r'  [pnc]\d+ \[label="((?:[^"\\]|\\.)*)"(?:, \w+="#\w+")*\];')
    labels = [node.fullmatch(line) for line in nodes]
    assert len(labels) == 4
    for found in labels[:1] + labels[2:]:
        assert found is not None
        said = re.sub(r"\\(.)", r"\1", found[1]).replace("&amp;", "&")
        assert said.startswith(printable(HOSTILE))


def test_the_same_site_gives_the_same_picture() -> None:
    for lines in (tree.lines, svg.lines, dot.lines):
        assert list(lines(drawing(SMALL))) == list(lines(drawing(SMALL)))


def test_no_line_of_a_box_is_wider_than_the_box() -> None:
    long = "x" * 255
    wide = "网" * 100
    found = drawing(site([network(long, 101, (wide, 1, 1))], [chassis(wide), chassis(long, "silent")]))
    root = ElementTree.fromstring("\n".join(svg.lines(found)))
    texts = [element.text or "" for element in root.iter(f"{TEXT}text")]
    assert max(map(len, texts)) < 60
    assert any(text.startswith("网") and text.endswith("…") for text in texts)
