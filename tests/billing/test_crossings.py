"""Grants, releases, cancellations, withdrawals and late money crossing on their way, against a booking that answers.

Whatever is heard first: each grant is answered once, a place is confirmed only while its price rests there, and the
money ends where the answers say.
"""

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.account.tariff import Late, MissedPolicy, Policy
from shared.contract.closed_sets import By
from tests.facts.booking import course_accepted, insured
from tests.facts.clinic import approved, denied
from tests.facts.course import DAY, HOUR
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_story import Story
from tests.stand_ins.billing_world import SESSIONS, World

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
    world.booking.accept(insured(SESSIONS) if covered else course_accepted(SESSIONS, "spray"))
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
