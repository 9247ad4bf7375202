"""Grants, releases, cancellations, withdrawals and late money crossing on their way, against a booking that answers.

Whatever is heard first: each grant is answered once, a place is confirmed only while its price rests there, and the
money ends where the answers say.
"""

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.account.tariff import Late, MissedPolicy, Policy
from shared.contract.billing import PrepaymentSatisfied, RefundDue
from shared.contract.closed_sets import By, SessionState
from tests.billing_story import (
    COPAY,
    DAY,
    HOUR,
    PRICE,
    T0,
    Story,
    accepted,
    approved,
    denied,
    insured,
    paid,
    requested,
    starts_at,
)
from tests.billing_world import SESSIONS, World

S = SessionState
WITH_FEES = Policy(missed=MissedPolicy.RETURN, missed_fee_cents=2500, late=(Late(within_hours=48, fee_cents=5000),))

STEPS: dict[str, Callable[[World, int], None]] = {
    "hear booking": lambda world, _: world.deliver(world.bookings),
    "hear payment": lambda world, _: world.deliver(world.payments),
    "booking hears": lambda world, _: world.deliver(world.answers),
    "timer": lambda world, _: world.fire(),
    "hold": lambda world, _: world.hold(),
    "pay": lambda world, n: world.pay((PRICE, PRICE // 2, 2 * PRICE, PRICE * SESSIONS)[n]),
    "cancel": lambda world, n: world.booking.cancel(1 + n % SESSIONS, (By.PATIENT, By.CLINIC)[n % 2]),
    "take the place": lambda world, n: world.booking.place_taken.add(1 + n % SESSIONS),
    "check in": lambda world, n: world.booking.check_in(1 + n % SESSIONS),
    "complete": lambda world, n: world.booking.complete(1 + n % SESSIONS),
    "move": lambda world, n: world.booking.move(1 + n % SESSIONS, world.now),
    "miss": lambda world, n: world.booking.miss(1 + n % SESSIONS),
    "refund": lambda world, n: world.refund(*((), (1,), (2,), (3,))[n]),
    "waive": lambda world, n: world.waive(1 + n % SESSIONS),
    "charge back": lambda world, n: world.charge_back((PRICE, PRICE // 2, 2 * PRICE, 1)[n]),
    "settle refunds": lambda world, _: world.settle_refunds(),
    "authorize": lambda world, n: world.tell_billing(
        approved(("a", "b")[n % 2], sessions=(None, 1, 2, 3)[n], copay_cents=(None, 0, 700, PRICE)[n])
    ),
    "deny": lambda world, n: world.tell_billing(denied(("a", "b")[n % 2])),
    "change payer": lambda world, _: world.change_payer(),
    "wait": lambda world, n: setattr(world, "now", world.now + (HOUR, DAY, 3 * DAY, 5 * DAY)[n]),
}
MONEY = tuple(name for name in STEPS if name not in ("authorize", "deny", "change payer"))


@pytest.mark.parametrize("policy", [Policy(missed=MissedPolicy.RETURN), WITH_FEES], ids=["free", "fees"])
@settings(max_examples=500, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(MONEY), st.integers(0, 3)), max_size=60))
def test_however_they_cross_the_money_ends_where_the_answers_say(steps: list[tuple[str, int]], policy: Policy) -> None:
    world = World(story=Story(policy))
    world.accept()
    play(world, steps)


@settings(max_examples=500, deadline=None)
@given(covered=st.booleans(), steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 3)), max_size=60))
def test_however_cover_and_money_cross_no_place_is_had_for_nothing(covered: bool, steps: list[tuple[str, int]]) -> None:
    world = World(covered)
    world.booking.accept(insured(SESSIONS) if covered else accepted(SESSIONS, "spray"))
    play(world, steps)


def play(world: World, steps: list[tuple[str, int]]) -> None:
    for name, number in steps:
        STEPS[name](world, number)
        world.now += timedelta(seconds=1)
        world.check_the_gate()
    world.settle_down()
    world.live_on()
    world.check_the_gate()
    world.check_the_end()


RACES: dict[str, tuple[Callable[[World], None], ...]] = {
    "refund and check-in": (
        lambda world: world.refund(1),
        lambda world: world.booking.check_in(1),
        lambda world: world.pay(PRICE),
    ),
    "refund, cancellation and chargeback": (
        lambda world: world.refund(1),
        lambda world: world.booking.cancel(1),
        lambda world: world.charge_back(PRICE),
    ),
    "chargeback, completion and new money": (
        lambda world: world.charge_back(2 * PRICE),
        lambda world: world.booking.complete(2),
        lambda world: world.pay(2 * PRICE),
    ),
    "refund, miss and another time": (
        lambda world: world.refund(1),
        lambda world: world.booking.miss(1),
        lambda world: world.booking.move(1, world.now),
    ),
    "two refunds and a miss": (
        lambda world: world.refund(1, 2),
        lambda world: world.refund(),
        lambda world: world.booking.miss(2),
    ),
}
DELIVERIES: tuple[Callable[[World], None], ...] = (
    lambda world: world.deliver(world.bookings),
    lambda world: world.deliver(world.payments),
    lambda world: world.deliver(world.answers),
)


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
@pytest.mark.parametrize("confirmed", [True, False], ids=["confirmed", "grants on their way"])
def test_every_interleaving_of_a_race_keeps_every_promise(
    race: tuple[Callable[[World], None], ...], confirmed: bool
) -> None:
    """All 720 orders of three deeds and three deliveries."""
    for order in permutations((*race, *DELIVERIES)):
        world = World()
        world.accept()
        world.pay(2 * PRICE)
        if confirmed:
            world.settle_down()
        else:
            world.deliver(world.bookings)
            world.deliver(world.payments)
        for deed in order:
            deed(world)
            world.check_the_gate()
        world.settle_down()
        world.live_on()
        world.check_the_end()


@pytest.mark.parametrize(
    "story",
    [
        [requested(), accepted(2), *(paid(PRICE // 2, f"pay-{n}") for n in range(4))],
        [requested(), accepted(6, package="six"), *(paid(57917, f"pay-{n}") for n in range(3)), paid(5, "pay-9")],
        [
            requested(),
            insured(2),
            approved("a", sessions=1, copay_cents=COPAY),
            approved("b", valid_from=starts_at(2).date(), copay_cents=700),
            paid(COPAY, "pay-1"),
            paid(700, "pay-2"),
        ],
        [requested(), insured(3), approved("a", sessions=2), denied("b"), paid(COPAY, "pay-1"), paid(99, "pay-2")],
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
        granted = frozenset((e.session_id, e.grant, e.basis, e.amount_cents) for e in billing.told(PrepaymentSatisfied))
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


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 3 * PRICE), min_size=1, max_size=6), st.booleans())
def test_shares_are_given_whole_in_order_and_never_more_than_the_money(amounts: list[int], course_first: bool) -> None:
    story = Story()
    if course_first:
        story.hear(accepted(6, package="six"))
    for number, amount in enumerate(amounts):
        story.hear(paid(amount, f"pay-{number}"))
    if not course_first:
        story.hear(accepted(6, package="six"))
    given_cents = [s.prepaid_cents for s in story.account.shares]
    paid_for = [cents > 0 for cents in given_cents]
    assert paid_for == sorted(paid_for, reverse=True)
    assert sum(given_cents) + story.account.balance_cents == sum(amounts)
    waiting = [s.price_cents for s in story.account.shares if s.basis is None]
    assert not waiting or story.account.balance_cents < waiting[0]
    assert story.told(RefundDue) == []
    assert story.now == T0
