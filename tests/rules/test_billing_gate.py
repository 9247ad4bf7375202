"""What satisfies a session: by who pays and what is approved, by an authorization's dates, count and copay."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.billing.account.messages import Refused, WaiverGranted
from services.billing.account.tariff import MissedPolicy, Policy
from shared.contract.billing import (
    PrepaymentOverdue,
    PrepaymentRequired,
    PrepaymentSatisfied,
    PrepaymentWithdrawn,
    PricingRejected,
)
from shared.contract.booking import (
    CourseAccepted,
    SessionCancelled,
    SessionCompleted,
    SessionMissed,
    SessionRescheduled,
)
from shared.contract.closed_sets import (
    Basis,
    Needs,
    Payer,
    PricingRefusal,
    Refusal,
    ReleaseReason,
    SessionState,
    WithdrawalReason,
)
from shared.contract.register import EventData
from tests.billing_story import (
    COPAY,
    COURSE,
    DAY,
    HOUR,
    PRICE,
    SELF,
    T0,
    Story,
    accepted,
    approved,
    changed,
    confirmed,
    denied,
    insured,
    kinds,
    paid,
    released,
    session_id,
    starts_at,
    told,
    unconfirmed,
)

INSURANCE, SELF_PAY = Payer.INSURANCE, Payer.SELF_PAY
MONEY, COVER = Needs.MONEY, Needs.AUTHORIZATION
LAPSED = WithdrawalReason.AUTHORIZATION_LAPSED


@pytest.fixture
def story() -> Story:
    return Story()


def day(number: int) -> date:
    """The day of a session in Chicago."""
    return (starts_at(number) - timedelta(hours=6)).date()


def asked(events: list[EventData]) -> list[tuple[int, Needs, int]]:
    """What was required: session, need, cents."""
    numbers = {session_id(number): number for number in range(1, 10)}
    return [(numbers[e.session_id], e.needs, e.amount_cents) for e in events if isinstance(e, PrepaymentRequired)]


def granted(events: list[EventData]) -> list[tuple[int, Basis, int]]:
    """What was satisfied: session, basis, cents."""
    numbers = {session_id(number): number for number in range(1, 10)}
    return [(numbers[e.session_id], e.basis, e.amount_cents) for e in events if isinstance(e, PrepaymentSatisfied)]


def waived(number: int = 1) -> WaiverGranted:
    return WaiverGranted(course_id=COURSE, session_id=session_id(number), waived_by="A. Person", reason="goodwill")


@pytest.mark.parametrize(
    ("treatment", "payer", "needs", "cents", "basis"),
    [
        ("infusion", SELF_PAY, MONEY, PRICE, Basis.PAID),
        ("infusion", INSURANCE, MONEY, PRICE, Basis.PAID),
        ("spray", SELF_PAY, MONEY, SELF, Basis.PAID),
        ("spray", INSURANCE, COVER, COPAY, Basis.INSURED),
        ("coils", INSURANCE, COVER, 0, Basis.INSURED),
    ],
)
@pytest.mark.parametrize("facts", [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]], ids=str)
def test_what_satisfies(treatment: str, payer: Payer, needs: Needs, cents: int, basis: Basis, facts: list[int]) -> None:
    story = Story()
    told_ = [accepted(1, treatment, payer=payer), approved(), paid(cents or 1)]
    events = story.hear_all(*(told_[number] for number in facts))
    assert granted(events) == [(1, basis, cents)]
    if facts[0] == 0:
        assert asked(events)[0] == (1, needs, cents)
    assert story.share(1).prepaid_cents == cents


@pytest.mark.parametrize("payer", [SELF_PAY, INSURANCE])
def test_without_money_an_authorization_alone_pays_for_nothing_that_costs_something(story: Story, payer: Payer) -> None:
    assert granted(story.hear_all(accepted(1, payer=payer), approved(), approved("other"))) == []


@pytest.mark.parametrize("decision", [None, denied()], ids=["no word yet", "denied"])
def test_without_cover_no_copay_satisfies(story: Story, decision: EventData | None) -> None:
    story.hear(insured(1))
    assert granted(story.hear_all(paid(COPAY), *([decision] if decision else []))) == []
    assert story.account.balance_cents == COPAY
    (late,) = [e for e in story.until(starts_at(1)) if isinstance(e, PrepaymentOverdue)]
    assert (late.amount_cents, late.due_at) == (COPAY, starts_at(1) - 2 * DAY)


def test_a_denial_goes_to_a_person_each_time(story: Story) -> None:
    story.hear_all(insured(1), denied("a"), denied("a"), denied("b"))
    assert [(item.kind, item.subject) for item in story.attention] == [
        ("authorization_denied", "authorization 1"),
        ("authorization_denied", "authorization 2"),
    ]


def test_a_plan_that_does_not_cover_is_refused_by_name(story: Story) -> None:
    (refusal,) = story.hear(insured(1, "coils", plan="state-aid"))
    assert isinstance(refusal, PricingRejected)
    assert refusal.code is PricingRefusal.NOT_COVERED


def test_what_only_insured_patients_get_has_no_price_for_others(story: Story) -> None:
    (refusal,) = story.hear(accepted(1, "coils"))
    assert isinstance(refusal, PricingRejected)
    assert refusal.code is PricingRefusal.NO_PRICE


def test_the_patients_first_consultation_is_free_and_no_other(story: Story) -> None:
    assert granted(story.hear(accepted(2, "consultation"))) == [(1, Basis.FREE, 0)]
    assert story.known.visited == {("albany", "p-1", "consultation")}
    later = Story()
    later.known = story.known
    assert asked(later.hear(accepted(1, "consultation"))) == [(1, MONEY, 15000)]
    assert granted(later.hear(accepted(1, "consultation"))) == []


def test_an_authorization_known_beforehand_is_put_to_use_at_once(story: Story) -> None:
    events = story.hear_all(approved(sessions=1, copay_cents=0), insured(2))
    assert granted(events) == [(1, Basis.INSURED, 0)]
    assert asked(events) == [(2, COVER, COPAY)]


def test_a_copay_is_asked_for_when_cover_is_there(story: Story) -> None:
    assert asked(story.hear(insured(2))) == [(1, COVER, COPAY), (2, COVER, COPAY)]
    assert asked(story.hear(approved(copay_cents=700))) == [(1, MONEY, 700), (2, MONEY, 700)]
    assert granted(story.hear(paid(1400))) == [(1, Basis.INSURED, 700), (2, Basis.INSURED, 700)]
    assert story.account.balance_cents == 0


@pytest.mark.parametrize(
    ("bounds", "covered"),
    [
        ({}, [1, 2, 3]),
        ({"sessions": 2}, [1, 2]),
        ({"valid_through": day(2)}, [1, 2]),
        ({"valid_through": day(2) - DAY}, [1]),
        ({"valid_from": day(2)}, [2, 3]),
        ({"valid_from": day(2), "sessions": 1}, [2]),
        ({"valid_from": day(3) + DAY}, []),
    ],
    ids=str,
)
@pytest.mark.parametrize("course_first", [True, False])
def test_it_covers_by_date_and_count_in_order_of_start(
    bounds: dict[str, Any], covered: list[int], course_first: bool
) -> None:
    story = Story()
    messages = [insured(3), approved(copay_cents=0, **bounds)]
    events = story.hear_all(*(messages if course_first else reversed(messages)))
    assert [number for number, _, _ in granted(events)] == covered
    waiting = [number for number in (1, 2, 3) if number not in covered]
    assert [number for number in (1, 2, 3) if story.share(number).awaits_deadline] == waiting


def test_the_day_is_the_clinics_own(story: Story) -> None:
    late = starts_at(1).replace(hour=3)  # of the day before in Chicago
    sessions = accepted(1).sessions[0].model_copy(update={"starts_at": late})
    story.hear(insured(1, sessions=(sessions,)))
    assert granted(story.hear(approved(copay_cents=0, valid_from=late.date()))) == []
    assert granted(story.hear(approved("b", copay_cents=0, valid_through=late.date() - DAY))) == [(1, Basis.INSURED, 0)]


def test_two_authorizations_cover_what_each_alone_would_not(story: Story) -> None:
    story.hear_all(insured(3), approved("a", sessions=1, copay_cents=0))
    events = story.hear(approved("b", valid_from=day(2), valid_through=day(2), copay_cents=0))
    assert [number for number, _, _ in granted(events)] == [2]
    assert asked(events) == []


def test_a_session_beyond_the_cover_says_so_when_it_is_added_not_on_its_day(story: Story) -> None:
    story.hear_all(insured(2), approved(sessions=2, copay_cents=0), confirmed(1), confirmed(2))
    events = story.hear(changed(3, treatment="spray", payer=INSURANCE, insurance={"plan": "Good Health"}))
    assert asked(events) == [(3, COVER, COPAY)]


@pytest.mark.parametrize("end", [SessionCancelled, SessionMissed])
@pytest.mark.parametrize("missed", list(MissedPolicy))
def test_a_session_that_did_not_take_place_uses_no_cover_up(
    end: type[SessionCancelled | SessionMissed], missed: MissedPolicy
) -> None:
    story = Story(Policy(missed=missed))
    story.hear_all(insured(2), approved(sessions=1, copay_cents=0), confirmed(1))
    assert granted(story.hear(told(end, 1))) == [(2, Basis.INSURED, 0)]


def test_what_was_given_already_is_covered_before_what_is_still_to_come(story: Story) -> None:
    story.hear_all(insured(2), told(SessionCompleted, 2), approved(sessions=1, copay_cents=0))
    assert [story.share(number).basis for number in (1, 2)] == [None, Basis.INSURED]


def test_a_waived_session_uses_no_cover_up(story: Story) -> None:
    story.hear_all(insured(2), waived(1), confirmed(1))
    assert granted(story.hear(approved(sessions=1, copay_cents=0))) == [(2, Basis.INSURED, 0)]


def test_one_that_waits_for_cover_holds_up_nobody_behind_it(story: Story) -> None:
    story.hear_all(insured(2), approved(valid_from=day(2)))
    assert granted(story.hear(paid(COPAY))) == [(2, Basis.INSURED, COPAY)]


def test_one_that_costs_nothing_waits_for_nobodys_money(story: Story) -> None:
    story.hear_all(insured(2), approved("a", valid_through=day(1)))
    assert granted(story.hear(approved("b", valid_from=day(2), copay_cents=0))) == [(2, Basis.INSURED, 0)]


@pytest.mark.parametrize(
    ("end", "lost"),
    [
        (denied(), [1, 2]),
        (approved(sessions=1, copay_cents=0), [2]),
        (approved(valid_through=day(1), copay_cents=0), [2]),
    ],
    ids=["denied", "fewer", "ends sooner"],
)
def test_what_is_no_longer_covered_is_taken_back_and_asked_for_anew(
    story: Story, end: EventData, lost: list[int]
) -> None:
    story.hear_all(insured(2), approved(copay_cents=0), confirmed(1), confirmed(2))
    back = story.hear(end)
    assert [(e.session_id, e.grant, e.reason) for e in back if isinstance(e, PrepaymentWithdrawn)] == [
        (session_id(number), 1, LAPSED) for number in lost
    ]
    for number in lost:
        assert asked(story.hear(unconfirmed(number, reason=LAPSED))) == [(number, COVER, COPAY)]
    again = story.hear(approved("new", copay_cents=0))
    assert granted(again) == [(number, Basis.INSURED, 0) for number in lost]
    assert {e.grant for e in again if isinstance(e, PrepaymentSatisfied)} == {2}


def test_a_session_moved_beyond_the_cover_is_taken_back(story: Story) -> None:
    story.hear_all(insured(1), approved(valid_through=day(2), copay_cents=0), confirmed(1))
    moved = told(SessionRescheduled, 1, at=starts_at(4), state=SessionState.CONFIRMED)
    assert kinds(story.hear(moved)) == ["prepayment.withdrawn"]


def test_cover_that_is_back_before_booking_confirmed_takes_nothing_back(story: Story) -> None:
    story.hear_all(insured(1), approved(copay_cents=0))
    assert story.hear_all(denied(), approved("b")) == []
    assert story.hear(confirmed(1)) == []


def test_cover_that_lapsed_before_booking_confirmed_is_taken_back_then(story: Story) -> None:
    story.hear_all(insured(1), approved(copay_cents=0))
    assert story.hear(denied()) == []
    assert kinds(story.hear(confirmed(1))) == ["prepayment.withdrawn"]


def test_the_copay_of_a_session_without_cover_goes_to_the_balance_and_back_in_the_end(story: Story) -> None:
    story.hear_all(insured(1), approved(), paid(COPAY), confirmed(1), denied(), unconfirmed(1, reason=LAPSED))
    assert story.account.balance_cents == COPAY
    story.hear(released(1, ReleaseReason.OVERDUE, grant=1))
    (due,) = [e for e in story.until(starts_at(1) + DAY) if e.type == "billing.refund.due.v1"]
    assert due.model_dump()["amount_cents"] == COPAY


def test_a_copay_that_rises_later_leaves_what_is_satisfied_alone(story: Story) -> None:
    story.hear_all(insured(2), approved(copay_cents=700), paid(700), confirmed(1))
    assert asked(story.hear(approved(copay_cents=900))) == [(2, MONEY, 900)]
    assert story.share(1).price_cents == 700


def test_an_authorization_of_a_course_that_never_comes_goes_to_a_person(story: Story) -> None:
    story.hear(approved())
    story.until(T0 + DAY)
    assert [item.kind for item in story.attention] == ["authorization_without_course"]


def test_an_authorization_after_the_deadline_is_late_even_if_the_timer_had_to_wait() -> None:
    endings = []
    for timer_first in (True, False):
        story = Story()
        story.hear(insured(2, hold_expires_at=starts_at(1)))
        deadline = starts_at(1) - 2 * DAY
        if timer_first:
            story.until(deadline)
        story.hear(approved(sessions=1, copay_cents=0), deadline + HOUR)
        assert [e.session_id for e in story.told(PrepaymentSatisfied)] == [session_id(2)]
        story.until(deadline + 2 * HOUR)
        endings.append(story.ending())
    assert endings[0] == endings[1]


def test_what_is_overdue_is_not_asked_for_again_when_its_cover_comes(story: Story) -> None:
    story.hear(insured(1))
    story.until(starts_at(1) - 2 * DAY)
    assert story.hear(approved(copay_cents=700)) == []
    assert kinds(story.hear(paid(700))) == ["payment.recorded", "prepayment.satisfied"]


def test_a_treatment_given_without_cover_is_earned_when_it_comes(story: Story) -> None:
    story.hear_all(insured(1), told(SessionCompleted, 1))
    assert [item.kind for item in story.attention] == ["unpaid_completion"]
    story.hear_all(paid(COPAY), approved())
    assert story.share(1).basis is Basis.INSURED
    assert (story.share(1).prepaid_cents, story.account.balance_cents) == (0, 0)


def test_a_cancelled_session_that_was_given_after_all_costs_the_copay_of_its_cover(story: Story) -> None:
    story.hear_all(insured(1), approved(), paid(COPAY), confirmed(1), told(SessionCancelled, 1))
    assert story.share(1).refunded_cents == COPAY
    story.hear_all(told(SessionCompleted, 1), approved(copay_cents=700), paid(700, "pay-2"))
    assert (story.share(1).price_cents, story.share(1).basis) == (700, Basis.INSURED)


def by_insurance(of: int = 1) -> CourseAccepted:
    return changed(of, treatment="spray", payer=INSURANCE, insurance={"plan": "Good Health"})


def test_who_pays_changes_what_an_open_session_needs(story: Story) -> None:
    story.hear(accepted(1, "spray"))
    assert asked(story.hear(by_insurance())) == [(1, COVER, COPAY)]
    assert asked(story.hear(changed(1, treatment="spray"))) == [(1, MONEY, SELF)]


def test_what_was_satisfied_for_another_payer_is_taken_back_first(story: Story) -> None:
    story.hear_all(accepted(1, "spray"), paid(SELF), confirmed(1))
    (back,) = story.hear(by_insurance())
    assert isinstance(back, PrepaymentWithdrawn)
    assert back.reason is WithdrawalReason.PAYER_CHANGED
    assert story.share(1).prepaid_cents == SELF
    assert asked(story.hear(unconfirmed(1))) == [(1, COVER, COPAY)]
    assert story.account.balance_cents == SELF
    assert granted(story.hear(approved())) == [(1, Basis.INSURED, COPAY)]
    assert story.account.balance_cents == SELF - COPAY


def test_a_payer_who_changes_while_a_grant_is_on_its_way_waits_for_the_answer(story: Story) -> None:
    story.hear_all(accepted(1, "spray"), paid(SELF))
    assert story.hear(by_insurance()) == []
    assert kinds(story.hear(confirmed(1))) == ["prepayment.withdrawn"]
    changed_back = Story()
    changed_back.hear_all(accepted(1, "spray"), paid(SELF), by_insurance(), changed(1, treatment="spray"))
    assert changed_back.hear(confirmed(1)) == []


def test_a_payer_who_changes_back_after_the_grant_was_asked_for_satisfies_it_anew(story: Story) -> None:
    story.hear_all(accepted(1, "spray"), paid(SELF), confirmed(1), by_insurance(), changed(1, treatment="spray"))
    assert granted(story.hear(unconfirmed(1))) == [(1, Basis.PAID, SELF)]
    assert story.attention == []


def test_off_label_both_payers_pay_the_same_and_nothing_changes(story: Story) -> None:
    story.hear_all(accepted(1), paid(PRICE), confirmed(1))
    assert story.hear(changed(1, payer=INSURANCE, insurance={"plan": "Good Health"})) == []
    assert story.account.payer is INSURANCE


def test_a_payer_with_whom_it_has_no_price_goes_to_a_person_and_nothing_changes(story: Story) -> None:
    story.hear_all(insured(1, "coils"), approved(), confirmed(1))
    assert story.hear(changed(1, treatment="coils")) == []
    assert [item.kind for item in story.attention] == ["unpriced_change"]
    assert story.account.payer is INSURANCE


def test_added_sessions_cost_what_the_course_was_accepted_for(story: Story) -> None:
    story.hear(accepted(1))
    story.places = {}
    assert asked(story.hear(changed(2))) == [(2, MONEY, PRICE)]


@pytest.mark.parametrize("course", [accepted(1), insured(1)], ids=["money", "cover"])
def test_a_waiver_counts_as_the_price_and_names_who_and_why(story: Story, course: CourseAccepted) -> None:
    story.hear(course)
    ((number, basis, _),) = granted(story.hear(waived()))
    assert (number, basis) == (1, Basis.WAIVED)
    (waiver,) = story.account.waivers
    assert (waiver.waived_by, waiver.reason, waiver.grant_number) == ("A. Person", "goodwill", 1)
    assert waiver.message_id == "m-2"
    assert story.hear_all(confirmed(1), told(SessionCompleted, 1)) == []
    assert story.account.unposted == ()


def test_a_waiver_of_what_was_given_unpaid_ends_what_is_owed(story: Story) -> None:
    story.hear_all(accepted(1), told(SessionCompleted, 1))
    assert story.hear(waived()) == []
    assert not story.share(1).owing


@pytest.mark.parametrize(
    ("before", "number", "code"),
    [
        ([], 1, Refusal.UNKNOWN_SESSION),
        ([accepted(1)], 2, Refusal.UNKNOWN_SESSION),
        ([accepted(1), paid(PRICE)], 1, Refusal.WRONG_STATE),
        ([accepted(1), told(SessionCancelled, 1)], 1, Refusal.WRONG_STATE),
    ],
    ids=["no course", "no session", "paid", "cancelled"],
)
def test_a_waiver_that_nothing_waits_for_is_refused(
    story: Story, before: list[EventData], number: int, code: Refusal
) -> None:
    story.hear_all(*before)
    with pytest.raises(Refused) as refused:
        story.hear(waived(number))
    assert refused.value.code is code
