"""Events of billing, in short: types, what was required, granted, taken back and promised back."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from shared.contract.billing import (
    PrepaymentRequired,
    PrepaymentSatisfied,
    PrepaymentWithdrawn,
    RefundDue,
)
from shared.contract.closed_sets import (
    Basis,
    Needs,
    RefundReason,
    WithdrawalReason,
)
from shared.contract.register import EventData
from tests.facts.course import session_id


def kinds(events: Iterable[EventData]) -> Sequence[str]:
    """The types of events, short."""
    return [event.type.removeprefix("billing.").removesuffix(".v1") for event in events]


MONEY, COVER = Needs.MONEY, Needs.AUTHORIZATION


def asked(events: list[EventData]) -> list[tuple[int, Needs, int]]:
    """What was required: session, need, cents."""
    numbers = {session_id(number): number for number in range(1, 10)}
    return [(numbers[e.session_id], e.needs, e.amount_cents) for e in events if isinstance(e, PrepaymentRequired)]


def granted(events: list[EventData]) -> list[tuple[int, Basis, int]]:
    """What was satisfied: session, basis, cents."""
    numbers = {session_id(number): number for number in range(1, 10)}
    return [(numbers[e.session_id], e.basis, e.amount_cents) for e in events if isinstance(e, PrepaymentSatisfied)]


def withdrawn(events: list[EventData]) -> list[tuple[UUID, int, WithdrawalReason]]:
    return [(e.session_id, e.grant, e.reason) for e in events if isinstance(e, PrepaymentWithdrawn)]


def promised(events: list[EventData]) -> list[tuple[int, RefundReason]]:
    return [(e.amount_cents, e.reason) for e in events if isinstance(e, RefundDue)]
