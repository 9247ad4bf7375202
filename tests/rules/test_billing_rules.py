"""What billing decides, one story after the other."""

from datetime import timedelta

import pytest

from services.billing.account.account import Stage
from services.billing.account.tariff import MissedPolicy, Policy
from shared.contract.billing import (
    PaymentRecorded,
    PaymentRejected,
    PrepaymentOverdue,
    PrepaymentRequired,
    PrepaymentSatisfied,
    PricingRejected,
    RefundDue,
    RefundSettled,
)
from shared.contract.booking import (
    Conflict,
    CourseChanged,
    CourseClosed,
    CourseRejected,
    SessionCancelled,
    SessionCompleted,
    SessionMissed,
    SessionRescheduled,
)
from shared.contract.closed_sets import (
    Basis,
    ClosedReason,
    Method,
    Payer,
    PricingRefusal,
    RefundReason,
    Refusal,
    ReleaseReason,
    SessionState,
)
from shared.contract.internal import TimerDue
from tests.billing_story import (
    COURSE,
    DAY,
    HOUR,
    PRICE,
    T0,
    Story,
    accepted,
    confirmed,
    kept,
    kinds,
    paid,
    released,
    requested,
    reversed_,
    session_id,
    starts_at,
    told,
    unconfirmed,
)

TAKEN = ReleaseReason.SLOT_TAKEN
OVERDUE = ReleaseReason.OVERDUE
EXPIRED = ReleaseReason.HOLD_EXPIRED


@pytest.fixture
def story() -> Story:
    return Story()


def rejected() -> CourseRejected:
    code = Refusal.CHAIR_TAKEN
    return CourseRejected(course_id=COURSE, code=code, detail="", conflicts=(Conflict(code=code),))


def test_a_package_asks_for_each_share_to_the_cent(story: Story) -> None:
    asked = story.hear(accepted(6, package="six"))
    assert [e.amount_cents for e in asked if isinstance(e, PrepaymentRequired)] == [57917] * 4 + [57916] * 2
    assert [e.due_at for e in asked if isinstance(e, PrepaymentRequired)] == [
        starts_at(n) - 2 * DAY for n in range(1, 7)
    ]
    assert len([key for key in story.timers if key[0] == "due"]) == 6


@pytest.mark.parametrize("payer", list(Payer))
def test_off_label_both_payers_pay_the_full_price(story: Story, payer: Payer) -> None:
    (asked,) = story.hear(accepted(1, payer=payer))
    assert isinstance(asked, PrepaymentRequired)
    assert asked.amount_cents == PRICE


def test_a_free_session_is_satisfied_at_once_without_a_ledger_entry(story: Story) -> None:
    (granted,) = story.hear(accepted(1, treatment="consultation"))
    assert granted == PrepaymentSatisfied(
        course_id=COURSE, session_id=session_id(1), grant=1, basis=Basis.FREE, amount_cents=0
    )
    assert story.account.unposted == ()
    assert story.timers == {}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"treatment": "sgb"}, PricingRefusal.NO_PRICE),
        ({"location": "paris"}, PricingRefusal.NO_PRICE),
        ({"package": "ten"}, PricingRefusal.UNKNOWN_PACKAGE),
        ({"package": "six"}, PricingRefusal.WRONG_COUNT),
    ],
)
def test_a_course_without_a_price_is_refused_by_name(story: Story, wrong: dict[str, str], code: PricingRefusal) -> None:
    (refusal,) = story.hear(accepted(2, **wrong))
    assert isinstance(refusal, PricingRejected)
    assert refusal.code is code
    story.hear(released(1, ReleaseReason.UNPRICED))
    assert story.attention == []


def test_money_of_a_course_without_a_price_goes_back_at_its_last_planned_start(story: Story) -> None:
    story.hear_all(paid(PRICE), accepted(2, treatment="sgb"), released(1, ReleaseReason.UNPRICED))
    assert story.until(starts_at(2) - HOUR) == []
    (due,) = story.until(starts_at(2))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (PRICE, RefundReason.RELEASED)


def test_money_of_a_cancelled_course_without_a_price_goes_back_at_once(story: Story) -> None:
    story.hear_all(paid(PRICE), accepted(2, treatment="sgb"), told(SessionCancelled, 1), told(SessionCancelled, 2))
    (due,) = story.hear(CourseClosed(course_id=COURSE, reason=ClosedReason.CANCELLED))
    assert isinstance(due, RefundDue)
    assert due.amount_cents == PRICE
    assert story.timers == {}


def test_money_goes_to_sessions_in_order_whole_shares_only(story: Story) -> None:
    story.hear(accepted(3))
    first = story.hear(paid(PRICE + 100))
    assert first == [
        PaymentRecorded(course_id=COURSE, payment_id="pay-1", amount_cents=PRICE + 100, unallocated_cents=100),
        PrepaymentSatisfied(course_id=COURSE, session_id=session_id(1), grant=1, basis=Basis.PAID, amount_cents=PRICE),
    ]
    second = story.hear(paid(2 * PRICE - 100, "pay-2"))
    assert kinds(second) == ["payment.recorded", "prepayment.satisfied", "prepayment.satisfied"]
    assert story.account.balance_cents == 0
    assert story.timers == {}


def test_money_that_came_before_its_course_is_put_to_use_when_it_comes(story: Story) -> None:
    assert kinds(story.hear(paid(PRICE))) == ["payment.recorded"]
    assert story.timers == {("course", ""): T0 + DAY}
    events = story.hear(accepted(2))
    assert kinds(events) == ["prepayment.required", "prepayment.required", "prepayment.satisfied"]
    assert set(story.timers) == {("due", str(session_id(2)))}


def test_money_of_a_course_that_never_comes_goes_to_a_person_and_stays(story: Story) -> None:
    story.hear(paid(PRICE))
    assert story.until(T0 + 2 * DAY) == []
    assert [item.kind for item in story.attention] == ["payment_without_course"]
    assert story.account.balance_cents == PRICE


def test_no_later_session_is_preferred_because_it_is_cheaper(story: Story) -> None:
    story.hear(accepted(6, package="six"))
    assert kinds(story.hear(paid(57916))) == ["payment.recorded"]  # numbers 5 and 6 cost that, number 1 a cent more
    (_, granted) = story.hear(paid(1, "pay-2"))
    assert isinstance(granted, PrepaymentSatisfied)
    assert granted.session_id == session_id(1)


def test_a_payment_told_twice_counts_once(story: Story) -> None:
    story.hear_all(accepted(2), paid(PRICE))
    assert story.hear(paid(PRICE)) == []
    assert len(story.account.payments) == 1


@pytest.mark.parametrize(
    "other", [{"amount_cents": PRICE - 1}, {"method": Method.CASH}, {"captured_at": T0 + HOUR}], ids=str
)
def test_a_payment_id_with_other_content_is_refused_and_shown(story: Story, other: dict[str, object]) -> None:
    story.hear_all(accepted(2), paid(PRICE))
    (refusal,) = story.hear(paid(PRICE).model_copy(update=other))
    assert isinstance(refusal, PaymentRejected)
    assert refusal.code == "conflicting_repeat"
    assert [item.kind for item in story.attention] == ["conflicting_payment"]


def test_a_payment_id_of_another_course_is_refused(story: Story) -> None:
    story.hear(paid(PRICE))
    elsewhere = Story()
    elsewhere.known = story.known
    other = paid(PRICE).model_copy(update={"course_id": session_id(9)})
    elsewhere.account = elsewhere.account.__class__(session_id(9))
    (refusal,) = elsewhere.hear(other)
    assert isinstance(refusal, PaymentRejected)
    assert elsewhere.account.balance_cents == 0


def test_another_currency_is_refused_and_may_be_told_right_afterwards(story: Story) -> None:
    (refusal,) = story.hear(paid(PRICE, currency="EUR"))
    assert isinstance(refusal, PaymentRejected)
    assert refusal.code == "unknown_currency"
    assert kinds(story.hear(paid(PRICE))) == ["payment.recorded"]


def test_an_unpaid_session_is_overdue_once_when_due(story: Story) -> None:
    story.hear(accepted(2))
    (late,) = story.until(starts_at(1) - 2 * DAY)
    assert late == PrepaymentOverdue(
        course_id=COURSE, session_id=session_id(1), amount_cents=PRICE, due_at=starts_at(1) - 2 * DAY
    )
    assert story.until(starts_at(1)) == []


def test_late_money_tries_to_get_the_released_place_again(story: Story) -> None:
    story.hear(accepted(1))
    story.until(starts_at(1) - 2 * DAY)
    story.hear(released(1, OVERDUE))
    assert kinds(story.hear(paid(PRICE))) == ["payment.recorded", "prepayment.satisfied"]
    story.hear(confirmed(1))
    assert story.account.refunds == ()
    assert story.share(1).prepaid_cents == PRICE


def test_late_money_goes_back_at_once_when_the_place_is_gone(story: Story) -> None:
    story.hear(accepted(1))
    story.until(starts_at(1) - 2 * DAY)
    story.hear_all(released(1, OVERDUE), paid(PRICE))
    (due,) = story.hear(released(1, TAKEN, grant=1))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (PRICE, RefundReason.SLOT_TAKEN)


def test_money_goes_first_to_what_is_still_held_and_then_to_late_places(story: Story) -> None:
    story.hear_all(accepted(3, hold_expires_at=starts_at(1)))
    story.until(starts_at(1) - 2 * DAY)
    story.hear(released(1, OVERDUE))
    assert [e.session_id for e in story.hear(paid(PRICE)) if isinstance(e, PrepaymentSatisfied)] == [session_id(2)]
    late = story.hear(paid(2 * PRICE, "pay-2"))
    assert [e.session_id for e in late if isinstance(e, PrepaymentSatisfied)] == [session_id(3), session_id(1)]


@pytest.mark.parametrize("reason", [TAKEN, ReleaseReason.WITHDRAWN])
def test_no_money_goes_to_a_place_that_is_gone_for_good(story: Story, reason: ReleaseReason) -> None:
    story.hear_all(accepted(1), released(1, reason))
    assert kinds(story.hear(paid(PRICE))) == ["payment.recorded", "refund.due"]


def test_part_of_a_price_goes_back_when_no_place_can_be_had_any_more(story: Story) -> None:
    story.hear_all(accepted(2), paid(100))
    story.until(starts_at(1) - 2 * DAY)
    story.hear(released(1, OVERDUE))
    story.until(starts_at(2) - 2 * DAY)
    story.hear(released(2, OVERDUE))
    assert story.until(starts_at(2) - HOUR) == []
    (due,) = story.until(starts_at(2))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (100, RefundReason.RELEASED)


@pytest.mark.parametrize("timer_first", [True, False], ids=["no outage", "outage"])
def test_money_after_the_deadline_is_late_even_if_the_timer_had_to_wait(timer_first: bool) -> None:
    story = Story()
    story.hear(accepted(2, hold_expires_at=starts_at(1)))
    deadline = starts_at(1) - 2 * DAY
    if timer_first:
        story.until(deadline)
    money = story.hear(paid(2 * PRICE), deadline + HOUR)
    assert story.told(PrepaymentSatisfied)[0].session_id == session_id(2)
    if not timer_first:
        assert kinds(money) == ["payment.recorded", "prepayment.satisfied"]
        assert money[0] == PaymentRecorded(
            course_id=COURSE, payment_id="pay-1", amount_cents=2 * PRICE, unallocated_cents=PRICE
        )
    story.until(deadline + 2 * HOUR)
    assert [e.session_id for e in story.told(PrepaymentOverdue)] == [session_id(1)]
    assert [e.session_id for e in story.told(PrepaymentSatisfied)] == [session_id(2), session_id(1)]
    assert story.share(1).overdue
    assert story.account.balance_cents == 0


def test_money_of_the_last_moment_is_in_time(story: Story) -> None:
    story.hear(accepted(1))
    story.hear(paid(PRICE), starts_at(1) - 2 * DAY)
    assert story.until(starts_at(1)) == []
    assert story.share(1).basis is Basis.PAID


def test_a_release_that_crosses_a_grant_moves_no_money(story: Story) -> None:
    story.hear_all(accepted(1), paid(PRICE))
    assert story.hear(released(1, EXPIRED, grant=0)) == []
    assert story.share(1).prepaid_cents == PRICE
    story.hear(confirmed(1))
    assert story.share(1).prepaid_cents == PRICE


def test_the_money_of_a_refused_grant_goes_to_the_next_session(story: Story) -> None:
    story.hear_all(accepted(2), paid(PRICE), released(1, EXPIRED, grant=0))
    (granted,) = story.hear(released(1, TAKEN, grant=1))
    assert isinstance(granted, PrepaymentSatisfied)
    assert granted.session_id == session_id(2)


def test_a_cancelled_session_that_was_confirmed_returns_its_share_at_once(story: Story) -> None:
    story.hear_all(accepted(2), paid(2 * PRICE), confirmed(1), confirmed(2))
    (due,) = story.hear(told(SessionCancelled, 1))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (PRICE, RefundReason.CANCELLED)
    assert [(part.payment_id, part.amount_cents) for part in due.payments] == [("pay-1", PRICE)]


def test_a_cancellation_that_crosses_a_grant_waits_for_its_answer(story: Story) -> None:
    story.hear_all(accepted(1), paid(PRICE))
    assert story.hear(told(SessionCancelled, 1)) == []
    assert story.share(1).prepaid_cents == PRICE
    (due,) = story.hear(released(1, TAKEN, grant=1, state=SessionState.CANCELLED))
    assert isinstance(due, RefundDue)
    assert due.reason is RefundReason.CANCELLED


def test_the_share_of_a_cancelled_session_pays_for_one_that_waits(story: Story) -> None:
    story.hear_all(accepted(2), paid(PRICE), confirmed(1))
    (granted,) = story.hear(told(SessionCancelled, 1))
    assert isinstance(granted, PrepaymentSatisfied)
    assert granted.session_id == session_id(2)


def test_an_answer_to_a_grant_that_was_never_given_goes_to_a_person(story: Story) -> None:
    story.hear_all(accepted(2), confirmed(1), released(2, TAKEN, grant=3))
    assert [item.kind for item in story.attention] == ["unknown_grant", "unknown_grant"]


def test_an_answer_to_a_withdrawal_that_was_never_asked_for_goes_to_a_person(story: Story) -> None:
    story.hear_all(accepted(2), paid(2 * PRICE), confirmed(1), confirmed(2), unconfirmed(1), kept(2))
    assert [item.kind for item in story.attention] == ["unexpected_withdrawal_answer"] * 2
    assert story.share(1).prepaid_cents == story.share(2).prepaid_cents == PRICE


def test_a_moved_session_is_due_anew(story: Story) -> None:
    story.hear(accepted(1))
    (asked,) = story.hear(told(SessionRescheduled, 1, at=starts_at(5)))
    assert isinstance(asked, PrepaymentRequired)
    assert asked.due_at == starts_at(5) - 2 * DAY
    assert story.timers == {("due", str(session_id(1))): starts_at(5) - 2 * DAY}


def test_a_paid_session_that_moves_stays_paid(story: Story) -> None:
    story.hear_all(accepted(1), paid(PRICE), confirmed(1))
    assert story.hear(told(SessionRescheduled, 1, at=starts_at(5), state=SessionState.CONFIRMED)) == []
    assert story.share(1).starts_at == starts_at(5)


def test_a_missed_session_returns_its_share_where_the_clinic_says_so(story: Story) -> None:
    story.hear_all(accepted(1), paid(PRICE), confirmed(1))
    (due,) = story.hear(told(SessionMissed, 1), starts_at(1) + HOUR)
    assert isinstance(due, RefundDue)
    assert due.amount_cents == PRICE


def test_a_missed_session_that_begins_again_is_paid_again_where_the_clinic_kept_it() -> None:
    story = Story(Policy(missed=MissedPolicy.KEEP))
    story.hear_all(accepted(1), paid(PRICE), confirmed(1), told(SessionMissed, 1))
    (asked,) = story.hear(told(SessionRescheduled, 1, at=starts_at(5)))
    assert isinstance(asked, PrepaymentRequired)
    (_, granted) = story.hear(paid(PRICE, "pay-2"))
    assert isinstance(granted, PrepaymentSatisfied)
    assert granted.grant == 2


def test_a_missed_session_with_a_grant_on_its_way_waits_for_the_answer() -> None:
    story = Story(Policy(missed=MissedPolicy.KEEP))
    story.hear_all(accepted(1), paid(PRICE))
    assert story.hear(told(SessionMissed, 1)) == []
    (due,) = story.hear(released(1, TAKEN, grant=1, state=SessionState.MISSED))
    assert isinstance(due, RefundDue)


def test_an_unpaid_completion_goes_to_a_person_and_the_next_money_pays_for_it(story: Story) -> None:
    story.hear_all(accepted(2), told(SessionCompleted, 1))
    assert [item.kind for item in story.attention] == ["unpaid_completion"]
    assert kinds(story.hear(paid(PRICE))) == ["payment.recorded"]
    assert story.share(1).basis is Basis.PAID
    assert story.share(1).prepaid_cents == 0
    assert story.share(1).granted == 0


def test_revenue_waits_for_the_answer_to_a_grant(story: Story) -> None:
    story.hear_all(accepted(1), paid(PRICE), told(SessionCompleted, 1))
    assert story.share(1).prepaid_cents == PRICE
    story.hear(confirmed(1, state=SessionState.COMPLETED))
    assert story.share(1).prepaid_cents == 0
    assert story.share(1).state is SessionState.COMPLETED


def test_sessions_are_added_at_the_price_of_one(story: Story) -> None:
    story.hear(accepted(1))
    wider = CourseChanged.model_validate(accepted(2, payer=Payer.INSURANCE).model_dump())
    (asked,) = story.hear(wider)
    assert isinstance(asked, PrepaymentRequired)
    assert asked.session_id == session_id(2)
    assert story.account.payer is Payer.INSURANCE


def test_sessions_added_to_a_package_go_to_a_person(story: Story) -> None:
    story.hear(accepted(6, package="six"))
    assert story.hear(CourseChanged.model_validate(accepted(7, package="six").model_dump())) == []
    assert [item.kind for item in story.attention] == ["unpriced_change"]


def test_what_was_paid_too_much_goes_back_when_the_course_has_ended(story: Story) -> None:
    story.hear_all(accepted(2), paid(2 * PRICE + 500), confirmed(1), confirmed(2), told(SessionCompleted, 1))
    assert story.told(RefundDue) == []
    (due,) = story.hear(told(SessionCompleted, 2))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (500, RefundReason.OVERPAID)


def test_a_refund_comes_from_the_newest_payments_first_and_never_more_than_each_was(story: Story) -> None:
    story.hear(accepted(1))
    story.hear(paid(PRICE - 100, "old"), T0)
    story.hear(paid(100, "new", T0 + HOUR), T0 + HOUR)
    story.hear(confirmed(1))
    (due,) = story.hear(told(SessionCancelled, 1))
    assert isinstance(due, RefundDue)
    assert [(part.payment_id, part.amount_cents) for part in due.payments] == [("new", 100), ("old", PRICE - 100)]


def test_money_of_a_rejected_course_goes_back_at_the_last_planned_start(story: Story) -> None:
    story.hear_all(requested(), rejected(), paid(PRICE))
    assert story.until(starts_at(2) - HOUR) == []
    (due,) = story.until(starts_at(2))
    assert isinstance(due, RefundDue)
    assert due.reason is RefundReason.REJECTED


def test_money_of_a_rejected_course_that_is_asked_again_is_put_to_use(story: Story) -> None:
    story.hear_all(requested(), rejected(), paid(PRICE), accepted(2))
    assert len(story.told(PrepaymentSatisfied)) == 1
    assert ("refund", "") not in story.timers


def test_money_of_a_rejected_course_without_a_plan_waits_a_day(story: Story) -> None:
    story.hear_all(rejected(), paid(PRICE))
    assert story.timers == {("refund", ""): T0 + DAY}


def test_a_refund_is_settled_in_parts_and_told_once(story: Story) -> None:
    story.hear_all(accepted(1), paid(PRICE), confirmed(1), told(SessionCancelled, 1))
    (refund,) = story.account.refunds
    assert story.hear(reversed_(1000, refund.refund_id)) == []
    assert story.hear(reversed_(1000, refund.refund_id)) == []  # the same again
    (settled,) = story.hear(reversed_(PRICE - 1000, refund.refund_id, id="rev-2"))
    assert settled == RefundSettled(course_id=COURSE, refund_id=refund.refund_id)
    assert story.attention == []


def test_more_than_a_refund_going_back_is_shown(story: Story) -> None:
    story.hear_all(accepted(1), paid(PRICE), confirmed(1), told(SessionCancelled, 1))
    (refund,) = story.account.refunds
    (settled,) = story.hear(reversed_(PRICE + 1, refund.refund_id))
    assert isinstance(settled, RefundSettled)
    assert [item.kind for item in story.attention] == ["reversal"]


def test_money_that_leaves_by_itself_is_shown_and_booked_where_the_balance_covers_it(story: Story) -> None:
    story.hear_all(accepted(2), paid(PRICE + 100), reversed_(100, None), reversed_(100, None, id="rev-2"))
    assert [item.subject for item in story.attention] == ["rev-1", "rev-2"]
    assert story.account.balance_cents == 0
    assert story.share(1).prepaid_cents == PRICE


def test_a_session_of_an_unknown_course_goes_to_a_person(story: Story) -> None:
    story.hear(confirmed(1))
    assert [item.kind for item in story.attention] == ["unknown_session"]
    assert story.account.stage is Stage.UNKNOWN


def test_a_course_is_accepted_once(story: Story) -> None:
    story.hear(accepted(1))
    assert story.hear(accepted(1)) == []
    assert [item.kind for item in story.attention] == ["accepted_again"]


@pytest.mark.parametrize("release_first", [True, False])
def test_when_the_hold_has_run_out_every_place_is_late_whatever_was_heard_first(release_first: bool) -> None:
    story = Story()
    story.hear(accepted(2, hold_expires_at=starts_at(1) - DAY))
    story.until(starts_at(1) - 2 * DAY)
    story.hear(released(1, OVERDUE))
    after = starts_at(1) - DAY + HOUR
    messages = [released(2, EXPIRED), paid(PRICE)]
    for message in messages if release_first else reversed(messages):
        story.hear(message, after)
    assert [e.session_id for e in story.told(PrepaymentSatisfied)] == [session_id(1)]


@pytest.mark.parametrize("arrives", [HOUR, 3 * DAY + HOUR, 8 * DAY + HOUR], ids=["in time", "after the hold", "late"])
def test_money_heard_before_its_course_ends_where_it_would_have_ended_after_it(arrives: timedelta) -> None:
    endings = []
    for course_first in (True, False):
        story = Story()
        messages = [(accepted(2), T0), (paid(PRICE + 1, at=T0), T0 + arrives)]
        for message, at in messages if course_first else reversed(messages):
            story.hear(message, at)
        story.until(T0 + arrives + HOUR)
        endings.append(story.ending())
    assert endings[0] == endings[1]


def test_an_older_message_heard_later_does_not_make_late_money_early(story: Story) -> None:
    story.hear(accepted(1))
    deadline = starts_at(1) - 2 * DAY
    assert kinds(story.hear(paid(PRICE), deadline + HOUR)) == ["payment.recorded"]
    assert story.hear(requested(), deadline - HOUR) == []
    assert kinds(story.until(deadline + HOUR)) == ["prepayment.overdue", "prepayment.satisfied"]


def test_a_deadline_that_was_moved_while_its_timer_fired_is_not_overdue(story: Story) -> None:
    story.hear(accepted(1))
    fired = TimerDue(of=str(COURSE), kind="due", subject=str(session_id(1)), due_at=starts_at(1) - 2 * DAY)
    story.hear(told(SessionRescheduled, 1, at=starts_at(5)))
    assert story.hear(fired) == []


def test_money_waits_while_a_treatment_that_was_given_is_not_paid(story: Story) -> None:
    story.hear_all(accepted(2), told(SessionCompleted, 1), told(SessionCancelled, 2), paid(100))
    assert story.told(RefundDue) == []
    assert story.account.balance_cents == 100
