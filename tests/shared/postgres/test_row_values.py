"""Rows become named tuples and back, whatever the service."""

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import pytest

from shared.contract.closed_sets import Payer, SessionState
from shared.postgres.row_values import columns_of, reader, row_of


class Visit(NamedTuple):
    visit_id: UUID
    state: SessionState
    starts_at: datetime
    payer: Payer | None = None
    seats: tuple[str, ...] = ()
    seen: frozenset[UUID] = frozenset()
    cents: int | None = None


ID = UUID(int=1)
AT = datetime(2026, 3, 2, tzinfo=UTC)


def test_columns_are_the_fields_that_hold_plain_values() -> None:
    assert columns_of(Visit) == ("visit_id", "state", "starts_at", "payer", "cents")


def test_a_whole_row_becomes_a_value_with_members_of_closed_sets() -> None:
    visit = reader(Visit)((ID, "held", AT, "insurance", (), frozenset(), 5))
    assert visit == Visit(ID, SessionState.HELD, AT, Payer.INSURANCE, cents=5)
    assert (visit.state, visit.payer) == (SessionState.HELD, Payer.INSURANCE)
    assert isinstance(visit.state, SessionState)
    assert isinstance(visit.payer, Payer)


def test_what_stands_in_other_tables_is_given_by_name() -> None:
    read = reader(Visit, columns_of(Visit))
    assert read((ID, "missed", AT, None, None), seats=("a",)) == Visit(ID, SessionState.MISSED, AT, seats=("a",))


def test_columns_may_come_in_an_order_of_their_own() -> None:
    read = reader(Visit, ("state", "starts_at", "visit_id"))
    assert read(("released", AT, ID)) == Visit(ID, SessionState.RELEASED, AT)


def test_a_name_of_no_member_is_refused() -> None:
    with pytest.raises(KeyError, match="lunch"):
        reader(Visit)((ID, "lunch", AT, None, (), frozenset(), None))


@pytest.mark.parametrize("row", [(ID, "held"), (ID, "held", AT, None, (), frozenset(), None, 1)])
def test_a_row_of_another_length_is_refused(row: tuple[object, ...]) -> None:
    with pytest.raises((IndexError, TypeError)):
        reader(Visit)(row)


def test_a_value_becomes_a_row_of_the_columns_that_are_written() -> None:
    visit = Visit(ID, SessionState.HELD, AT)
    assert row_of(("visit_id", "payer"), visit) == {"visit_id": ID, "payer": None}
