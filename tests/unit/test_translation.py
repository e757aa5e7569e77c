"""What `ofproto/trace` says, taken apart; what it does not say raises nothing but one clear error."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.error import InvalidValueError
from trunkline.path.hop import Entry
from trunkline.path.translation import Output, Rule, Translation, TranslationError, translation

UNTAGGED = bytes(60)
WORDS = [
    *(
        'bridge("br-int")',
        'bridge("',
        " 0. priority 1",
        "10. reg6=0x1, priority 50, cookie 0x7472",
        "    drop",
    ),
    *(
        "    output:3",
        "     -> now",
        "     >> skipping",
        "Datapath actions: ",
        "push_vlan(",
        "vid=7",
        ",pcp=0)",
    ),
    *(
        "pop_vlan",
        ",",
        "eth1",
        "drop",
        "clone(",
        "sample(",
        "))",
        "Translation failed (",
        "999. No match",
        "\n",
    ),
]


@pytest.mark.parametrize(
    ("actions", "outputs"),
    [
        ("drop", ()),
        ("eth1", (Output("eth1"),)),
        (
            "tap1,push_vlan(vid=101,pcp=0),br-ex,eth1",
            (Output("tap1"), Output("br-ex", (101,)), Output("eth1", (101,))),
        ),
        ("push_vlan(vid=7,pcp=0),tap1,pop_vlan,tap2", (Output("tap1", (7,)), Output("tap2"))),
        ("clone(push_vlan(tpid=0x88a8,vid=9,pcp=0),tap1),tap2", (Output("tap1", (9,)), Output("tap2"))),
        ("sample(sample=50.0%,actions(userspace(pid=1,sFlow(vid=1)))),tap2", (Output("tap2"),)),
        ("set(eth(dst=02:00:00:00:00:01)),userspace(pid=5,controller(reason=1)),tap1", (Output("tap1"),)),
        ("ct(commit,zone=1),recirc(0x2)", ()),
        ("", ()),
    ],
)
def test_the_actions_of_the_datapath_say_where_a_frame_leaves(
    actions: str, outputs: tuple[Output, ...]
) -> None:
    assert translation(f"Datapath actions: {actions}\n", UNTAGGED).outputs == outputs


def test_a_frame_that_is_taken_up_again_goes_on() -> None:
    text = "Datapath actions: hash(l4(0)),recirc(0x1)\n\nresume\n\nDatapath actions: eth1\n"
    assert translation(text, UNTAGGED).outputs == (Output("eth1"),)


def test_rules_have_their_bridge_what_they_do_and_what_became_of_it() -> None:
    text = """Flow: in_port=1

bridge("br-int")
----------------
50. metadata=0x1,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00, priority 100, cookie 0x7472030100000001
    output:2
     >> skipping output to input port
    resubmit(,60)
        60. No match.
                drop

bridge("br ex")
---------------
 0. priority 0
    NORMAL
     -> forwarding to learned port

Final flow: unchanged
Datapath actions: eth1
"""
    assert translation(text, UNTAGGED) == Translation(
        (
            Rule(
                "br-int",
                50,
                100,
                0x7472030100000001,
                "metadata=0x1,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00",
                ("output:2", "resubmit(,60)"),
                ("skipping output to input port",),
            ),
            Rule("br-int", 60, None, 0, "", ("drop",)),
            Rule("br ex", 0, 0, 0, "", ("NORMAL",), ("forwarding to learned port",)),
        ),
        (Output("eth1"),),
    )


def test_a_translation_that_fails_says_why() -> None:
    found = translation("Translation failed (Recursion too deep), packet is dropped.\n", UNTAGGED)
    assert found.failure == "Recursion too deep"


@given(
    st.one_of(st.text(max_size=300), st.lists(st.sampled_from(WORDS), max_size=40).map("".join)), st.binary()
)
def test_garbage_is_one_clear_error(text: str, frame: bytes) -> None:
    try:
        found = translation(text, frame)
    except TranslationError as error:
        said = str(error)
        assert said.startswith("ovs-vswitchd says nothing of the frame")
    else:
        assert all(isinstance(each, Output) for each in found.outputs)


def test_brackets_without_end_cost_no_more_than_their_length() -> None:
    words = random.Random(1).choices(WORDS, k=20_000)
    translation("Datapath actions: " + "clone(" * 5000 + "".join(words).replace("\n", ""), UNTAGGED)


@given(st.binary(min_size=14, max_size=9728), st.booleans(), st.text(max_size=20), st.booleans())
def test_an_entry_is_the_same_as_a_question(frame: bytes, is_vif: bool, name: str, is_raw: bool) -> None:
    entry = Entry(frame, name if is_vif else None, None if is_vif else name, is_raw)
    parameters = entry.parameters()
    assert Entry.of(parameters) == entry
    assert len(parameters) <= 32
    assert max(map(len, parameters.values())) <= 1024


@given(
    st.dictionaries(
        st.sampled_from(["frame0", "frame1", "bytes", "iface_id", "physnet"]), st.text(max_size=40)
    )
)
def test_a_question_that_is_none_is_refused_in_one_line(parameters: dict[str, str]) -> None:
    with pytest.raises(InvalidValueError):
        Entry.of(parameters)
