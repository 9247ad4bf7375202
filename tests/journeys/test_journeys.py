"""What clinics and patients live through, on a real Kafka."""

from datetime import timedelta

from shared.contract.billing import (
    EstimateIssued,
    PaymentRecorded,
    PrepaymentOverdue,
    PrepaymentRequired,
    PrepaymentSatisfied,
    RefundDue,
    SuperbillIssued,
)
from shared.contract.booking import (
    CourseAccepted,
    CourseClosed,
    CourseCompleted,
    CourseRejected,
    SessionCancelled,
    SessionCheckedIn,
    SessionCheckInRefused,
    SessionConfirmed,
    SessionReleased,
)
from shared.contract.closed_sets import Basis
from shared.contract.reminders import TextSent, TextSuppressed
from tests.facts.clinic import course_cancel_requested
from tests.journeys.conftest import Course, Journey, weekday_mornings


async def nothing_is_left_over(journey: Journey) -> None:
    """No dead letter, nothing for a person, nothing unpublished."""
    assert journey.dead_letters == []
    for service in ("booking", "billing", "reminders"):
        assert await journey.get(service, "/ops/dead-letters") == []
        assert await journey.get(service, "/ops/attention") == []
        assert await journey.embedded.services[service].unpublished() == 0


async def test_a_course_from_request_to_after_care(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 6, weeks_ahead=2), package="induction")
    await journey.publish(course.patient, course.contact(journey.now), course.requested)

    [accepted] = journey.told(CourseAccepted, course_id=course.id)
    assert [session.number for session in accepted.sessions] == [1, 2, 3, 4, 5, 6]
    required = journey.told(PrepaymentRequired, course_id=course.id)
    assert [r.amount_cents for r in required] == [57917] * 4 + [57916] * 2
    [estimate] = journey.told(EstimateIssued, course_id=course.id)
    assert (estimate.version, estimate.total_cents, {r.estimate_id for r in required}) == (
        1,
        347500,
        {estimate.estimate_id},
    )
    assert "Total expected charges: $3,475.00" in await journey.page("billing", f"/v1/estimates/{estimate.estimate_id}")

    await journey.publish(course.paid(journey.now, 347500))
    [recorded] = journey.told(PaymentRecorded, course_id=course.id)
    assert (recorded.amount_cents, recorded.unallocated_cents) == (347500, 0)
    satisfied = journey.told(PrepaymentSatisfied, course_id=course.id)
    assert [(s.grant, s.basis) for s in satisfied] == [(1, Basis.PAID)] * 6
    assert [c.session_id for c in journey.told(SessionConfirmed, course_id=course.id)] == course.sessions

    for number, starts_at in enumerate(course.starts, start=1):
        await journey.until(starts_at)
        await journey.publish(course.here(number))
        await journey.until(starts_at + timedelta(minutes=100))
        await journey.publish(course.treated(number))
    assert len(journey.told(SessionCheckedIn, course_id=course.id)) == 6
    [completed] = journey.told(CourseCompleted, course_id=course.id)
    assert completed.sessions_completed == 6
    superbills = journey.told(SuperbillIssued, course_id=course.id)
    assert [bill.session_id for bill in superbills] == course.sessions
    for bill in superbills:
        assert "96365" in await journey.page("billing", f"/v1/superbills/{bill.superbill_id}")
        assert "Robin Example" in await journey.page("billing", f"/v1/receipts/{bill.session_id}")

    await journey.pass_time(timedelta(days=3))
    kinds = [text.kind for text in journey.told(TextSent, course_id=course.id)]
    assert kinds.count("booked") == 1
    assert {kind: kinds.count(kind) for kind in ("preparation", "day_before", "day_of", "after_care")} == {
        "preparation": 6,
        "day_before": 6,
        "day_of": 6,
        "after_care": 6,
    }
    account = await journey.get("billing", f"/v1/courses/{course.id}/account")
    assert (account["paid_cents"], account["balance_cents"], account["allocated_cents"]) == (347500, 0, 0)
    await nothing_is_left_over(journey)


async def test_a_course_that_is_never_paid_is_released_and_its_patient_left_in_peace(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 2, weeks_ahead=2), package=None)
    await journey.publish(course.patient, course.contact(journey.now), course.requested)
    [accepted] = journey.told(CourseAccepted, course_id=course.id)

    await journey.until(accepted.hold_expires_at)
    released = journey.told(SessionReleased, course_id=course.id)
    assert [(r.session_id, r.reason, r.grant) for r in released] == [(s, "hold_expired", 0) for s in course.sessions]
    [closed] = journey.told(CourseClosed, course_id=course.id)
    assert closed.reason == "released"

    await journey.until(course.starts[-1] + timedelta(days=1))
    assert {text.kind for text in journey.told(TextSent, course_id=course.id)} <= {"payment_due", "released"}
    assert journey.told(SessionConfirmed, course_id=course.id) == []
    await nothing_is_left_over(journey)


async def test_the_session_that_is_not_paid_when_due_is_released_and_its_texts_are_gone(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 2, weeks_ahead=2))
    await journey.publish(course.contact(journey.now), course.requested, course.paid(journey.now, 45000))
    assert [c.session_id for c in journey.told(SessionConfirmed, course_id=course.id)] == course.sessions[:1]

    [second] = journey.told(PrepaymentRequired, course_id=course.id, session_id=course.sessions[1])
    await journey.until(second.due_at)
    [overdue] = journey.told(PrepaymentOverdue, course_id=course.id)
    assert overdue.session_id == course.sessions[1]
    [released] = journey.told(SessionReleased, course_id=course.id)
    assert (released.session_id, released.reason) == (course.sessions[1], "overdue")

    await journey.until(course.starts[1] + timedelta(days=1))
    assert journey.told(TextSent, course_id=course.id, session_id=course.sessions[1]) == []


async def test_late_money_finds_the_place_still_free(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 1, weeks_ahead=2))
    await journey.publish(course.patient, course.requested)
    [accepted] = journey.told(CourseAccepted, course_id=course.id)
    await journey.until(accepted.hold_expires_at)
    assert await journey.states(course.id) == ["released"]

    await journey.publish(course.paid(journey.now, 45000))
    [confirmed] = journey.told(SessionConfirmed, course_id=course.id)
    assert confirmed.grant == 1
    assert await journey.states(course.id) == ["confirmed"]
    assert (await journey.get("booking", f"/v1/courses/{course.id}"))["state"] == "accepted"
    await nothing_is_left_over(journey)


async def test_late_money_that_finds_the_place_taken_goes_back(journey: Journey) -> None:
    starts = weekday_mornings(journey.now, 1, weeks_ahead=3)
    late = Course(starts)
    await journey.publish(late.patient, late.requested)
    [accepted] = journey.told(CourseAccepted, course_id=late.id)
    await journey.until(accepted.hold_expires_at)
    others = [Course(starts) for _ in range(4)]  # as many as there are chairs
    await journey.publish(*(other.patient for other in others), *(other.requested for other in others))
    await journey.publish(*(other.paid(journey.now, 45000) for other in others))
    assert [await journey.states(other.id) for other in others] == [["confirmed"]] * 4

    await journey.publish(late.paid(journey.now, 45000))
    [taken] = [r for r in journey.told(SessionReleased, course_id=late.id) if r.reason == "slot_taken"]
    assert taken.grant == 1
    assert journey.told(SessionConfirmed, course_id=late.id) == []
    [refund] = journey.told(RefundDue, course_id=late.id)
    assert (refund.amount_cents, refund.reason) == (45000, "slot_taken")
    await nothing_is_left_over(journey)


async def test_a_cancelled_course_frees_its_chairs_and_gives_its_money_back(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 2, weeks_ahead=2))
    await journey.publish(course.patient, course.contact(journey.now), course.requested)
    await journey.publish(course.paid(journey.now, 90000))
    assert await journey.states(course.id) == ["confirmed", "confirmed"]

    await journey.publish(course_cancel_requested(course.id))
    assert len(journey.told(SessionCancelled, course_id=course.id)) == 2
    refunds = journey.told(RefundDue, course_id=course.id)
    assert [(r.amount_cents, r.reason) for r in refunds] == [(45000, "cancelled")] * 2
    [closed] = journey.told(CourseClosed, course_id=course.id)
    assert closed.reason == "cancelled"

    before = len(journey.told(TextSent, course_id=course.id))
    await journey.until(course.starts[-1] + timedelta(days=1))
    assert [text.kind for text in journey.told(TextSent, course_id=course.id)][before:] in ([], ["cancelled"])
    assert {s.reason for s in journey.told(TextSuppressed, course_id=course.id)} == {"superseded"}
    await nothing_is_left_over(journey)


async def test_nobody_is_treated_unpaid_but_who_pays_at_the_desk_gets_in(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 1, weeks_ahead=1))
    await journey.until(course.starts[0] - timedelta(hours=11))
    await journey.publish(course.requested)
    await journey.until(course.starts[0] - timedelta(minutes=5))
    await journey.publish(course.here(1))
    [refused] = journey.told(SessionCheckInRefused, course_id=course.id)
    assert refused.reason == "not_paid"

    await journey.publish(course.paid(journey.now, 45000))
    assert await journey.states(course.id) == ["checked_in"]


async def test_a_request_that_breaks_a_rule_is_answered_with_the_rule(journey: Journey) -> None:
    sunday = weekday_mornings(journey.now, 1, weeks_ahead=2)[0] - timedelta(days=1)
    course = Course([sunday])
    await journey.publish(course.requested)
    [rejected] = journey.told(CourseRejected, course_id=course.id)
    assert [(c.session_id, c.code) for c in rejected.conflicts] == [(course.sessions[0], "closed")]


async def test_who_did_not_consent_gets_no_text(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 1, weeks_ahead=1))
    await journey.publish(course.contact(journey.now, allowed=False), course.requested, course.paid(journey.now, 45000))
    await journey.until(course.starts[0])
    assert journey.told(TextSent, course_id=course.id) == []
    assert "no_consent" in {s.reason for s in journey.told(TextSuppressed, course_id=course.id)}
    assert journey.texts == []


async def test_a_grant_that_crosses_the_release_on_its_way_is_answered_once(journey: Journey) -> None:
    for week in range(2, 8):
        course = Course(weekday_mornings(journey.now, 2, weeks_ahead=week))
        await journey.publish(course.requested)
        [accepted] = journey.told(CourseAccepted, course_id=course.id)
        await journey.publish_while_time_jumps(accepted.hold_expires_at, course.paid(journey.now, 90000))

        assert await journey.states(course.id) == ["confirmed", "confirmed"]
        for session_id in course.sessions:
            granted = [g.grant for g in journey.told(PrepaymentSatisfied, session_id=session_id)]
            answers = [c.grant for c in journey.told(SessionConfirmed, session_id=session_id)]
            taken = [r.grant for r in journey.told(SessionReleased, session_id=session_id, reason="slot_taken")]
            assert sorted(answers + taken) == granted
        account = await journey.get("billing", f"/v1/courses/{course.id}/account")
        assert (account["allocated_cents"], account["balance_cents"]) == (90000, 0)
    assert journey.dead_letters == []
