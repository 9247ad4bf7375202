"""In whatever order billing hears facts of several topics, the money ends in one place."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contract.billing import PrepaymentSatisfied
from tests.facts.booking import course_accepted, insured
from tests.facts.clinic import approved, course_requested, denied, payment_captured
from tests.facts.course import start
from tests.stand_ins.billed_clinics import COPAY, PRICE
from tests.stand_ins.billing_story import Story
from tests.stand_ins.billing_world import SESSIONS, World


@pytest.mark.parametrize(
    "story",
    [
        [course_requested(), course_accepted(2), *(payment_captured(PRICE // 2, f"pay-{n}") for n in range(4))],
        [
            course_requested(),
            course_accepted(6, package="six"),
            *(payment_captured(57917, f"pay-{n}") for n in range(3)),
            payment_captured(5, "pay-9"),
        ],
        [
            course_requested(),
            insured(2),
            approved("a", sessions=1, copay_cents=COPAY),
            approved("b", valid_from=start(2).date(), copay_cents=700),
            payment_captured(COPAY, "pay-1"),
            payment_captured(700, "pay-2"),
        ],
        [
            course_requested(),
            insured(3),
            approved("a", sessions=2),
            denied("b"),
            payment_captured(COPAY, "pay-1"),
            payment_captured(99, "pay-2"),
        ],
    ],
    ids=["halves", "package", "two authorizations", "one too few"],
)
def test_all_720_orders_of_a_story_reach_the_same_end(story: list[Any]) -> None:
    endings = set()
    for order in permutations(story):
        billing = Story()
        billing.hear_all(*order)
        account, timers = billing.ending()
        kept = account._replace(payments=(), authorizations=())
        granted = frozenset(
            (e.session_id, e.grant, e.basis, e.amount_cents) for e in billing.events_of(PrepaymentSatisfied)
        )
        endings.add((repr(kept), repr(timers), granted, repr(sorted(account.payments, key=lambda p: p.payment_id))))
    assert len(endings) == 1


@settings(max_examples=500, deadline=None)
@given(
    order=st.lists(st.integers(0, 2), max_size=40),
    first=st.integers(0, 5 * PRICE),
    second=st.integers(1, 3 * PRICE),
    cancelled=st.integers(0, SESSIONS),
    charged_back=st.integers(0, 2 * PRICE),
)
def test_any_order_across_topics_reaches_the_same_end(
    order: list[int], first: int, second: int, cancelled: int, charged_back: int
) -> None:
    """A cancellation or a chargeback: of both, what is promised back first cannot be unsaid."""
    outcomes = []
    for deliveries in ([], order):
        world = World()
        world.accept()
        if first:
            world.pay(first)
        world.pay(second)
        if charged_back:
            world.charge_back(charged_back)
        else:
            world.booking.cancel(cancelled)
        for number in deliveries:
            world.deliver((world.bookings, world.payments, world.answers)[number])
        world.settle_down()
        outcomes.append(world.outcome())
    assert outcomes[0] == outcomes[1]


@settings(max_examples=300, deadline=None)
@given(order=st.lists(st.integers(0, 2), max_size=40), count=st.integers(1, 3), lapses=st.booleans())
def test_any_order_of_cover_and_money_reaches_the_same_end(order: list[int], count: int, lapses: bool) -> None:
    outcomes = []
    for deliveries in ([], order):
        world = World(covered=True)
        world.accept()
        world.tell_billing(approved(sessions=count, copay_cents=700))
        world.pay(1400)
        world.booking.cancel(1)
        if lapses:
            world.tell_billing(denied())
        for number in deliveries:
            world.deliver((world.bookings, world.payments, world.answers)[number])
        world.settle_down()
        outcomes.append(world.outcome())
    assert outcomes[0] == outcomes[1]
