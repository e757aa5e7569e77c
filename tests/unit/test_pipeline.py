"""The pipeline's own word: tables, bands and cookies; and that `violations` finds what it should."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest

from trunkline.core.cookie import COOKIE_OURS, CookieParts, Subject, cookie, cookie_parts
from trunkline.core.flow import Action, Copy, Field, Flow, Goto, Match, Output, PushVlan, Resubmit
from trunkline.core.pipeline import DESTINATION_PORT, NETWORK, Band, Owner, Table
from trunkline.core.table_rule import TABLE_RULES
from trunkline.core.violation import violations


def test_every_table_has_a_rule_and_a_band() -> None:
    assert set(TABLE_RULES) == set(Table) == {band.table for band in Band}


def test_no_two_bands_of_a_table_share_a_priority() -> None:
    """DESIGN.md section 4: every flow belongs to one app and one band of one table."""
    places = Counter((band.table, band.priority) for band in Band)
    assert [place for place, count in places.items() if count > 1] == []


def test_no_two_names_stand_for_one_band() -> None:
    assert len(Band.__members__) == len(list(Band))


@pytest.mark.parametrize("owner", list(Owner))
@pytest.mark.parametrize("key", [0, 1, 2**24 - 1, 2**32 - 1])
def test_a_cookie_says_what_was_put_in(owner: Owner, key: int) -> None:
    assert cookie_parts(cookie(owner, Subject.MAC, key)) == CookieParts(owner, Subject.MAC, key)


@pytest.mark.parametrize(
    "foreign", [0, 1 << 63, COOKIE_OURS, COOKIE_OURS | 0xFF << 40, 0x7473 << 48 | 3 << 40]
)
def test_a_cookie_of_another_says_nothing(foreign: int) -> None:
    """DESIGN.md section 6, rule 2: only our own cookies are touched."""
    assert cookie_parts(foreign) is None


class Case(NamedTuple):
    band: Band
    match: Match
    actions: tuple[Action, ...]
    found: str


CASES = (
    Case(Band.VIF, (DESTINATION_PORT(1),), (), "VIF matches REG7"),
    Case(Band.BUM, (NETWORK(1), NETWORK(2)), (), "BUM matches a field twice"),
    Case(Band.BUM, (Field.ETH_DST(3, 1),), (), "BUM has a value outside its mask"),
    Case(Band.BUM, (Field.ETH_DST(1, 2**48 - 1),), (), "BUM has a value outside its mask"),
    Case(Band.LOCAL, (), (DESTINATION_PORT.set(1),), "LOCAL writes REG7"),
    Case(Band.BUM, (), (DESTINATION_PORT.set(2**32),), "BUM writes 4294967296 to REG7, which has 32 bits"),
    Case(Band.LOCAL, (), (Goto(Table.L2_LOOKUP),), "LOCAL goes to L2_LOOKUP"),
    Case(
        Band.LOCAL, (), (Goto(Table.DISPATCH), Goto(Table.DISPATCH)), "LOCAL goes on before its last action"
    ),
    Case(Band.LOCAL, (), (Resubmit(Table.CLASSIFY),), "LOCAL resubmits to CLASSIFY"),
    Case(Band.LOCAL, (), (Output(1),), "LOCAL outputs"),
    Case(Band.LOCAL, (), (Copy(Field.REG7, 0, Field.REG0, 8),), "LOCAL copies REG7 to REG0"),
    Case(
        Band.ASKING,
        (),
        (Copy(Field.ARP_SHA, 20, Field.REG1, 32),),
        "ASKING copies 32 bits from 20 of ARP_SHA",
    ),
    Case(Band.LOCAL, (), (PushVlan(1),), "LOCAL changes a tag"),
)


@pytest.mark.parametrize("case", CASES)
def test_a_flow_that_breaks_its_tables_rule_is_found(case: Case) -> None:
    flow = Flow(case.band, case.match, case.actions, cookie(case.band.owner, Subject.CHASSIS))
    assert violations(flow) == [case.found]


def test_a_flow_with_the_cookie_of_another_app_is_found() -> None:
    flow = Flow(Band.LOCAL, (), (), cookie(Owner.PROVIDER, Subject.CHASSIS))
    assert violations(flow) == ["LOCAL carries the cookie 0x7472040000000000, which is not its owner's"]
