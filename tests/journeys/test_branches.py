"""The branches of a visit: planned by the clinic's rules, insured, moved, waived, taken back, answered by text."""

from datetime import date, timedelta
from uuid import UUID, uuid4

from shared.contract.billing import (
    EstimateIssued,
    PrepaymentRequired,
    PrepaymentSatisfied,
    PrepaymentWithdrawn,
    RefundDue,
    RefundSettled,
    SuperbillIssued,
)
from shared.contract.booking import (
    CourseAccepted,
    CourseChanged,
    CourseRejected,
    SessionConfirmed,
    SessionReleased,
    SessionRescheduled,
    SessionUnconfirmed,
)
from shared.contract.clinic import (
    CoursePlan,
    CourseRequested,
    PaymentReversed,
    RecordOnFile,
    RequestedSession,
)
from shared.contract.closed_sets import Basis
from shared.contract.reminders import TextSent, TextSuppressed
from tests.facts.clinic import (
    approved,
    course_change_requested,
    course_requested,
    patient_updated,
    payment_reversed,
    session_reschedule_requested,
)
from tests.journeys.conftest import CHICAGO, Course, Journey, weekday_mornings
from tests.journeys.test_journeys import nothing_is_left_over

ON_RECORD = tuple(
    RecordOnFile(kind=kind, recorded_on=date(2026, 1, 5))
    for kind in ("screening", "evaluation", "consent", "rems_enrolment")
)


async def test_a_course_is_planned_by_the_protocol_and_goes_the_same_way(journey: Journey) -> None:
    first_day = weekday_mornings(journey.now, 1, weeks_ahead=2)[0].date()
    planned = course_requested(
        course=uuid4(),
        patient_id="patient-planned",
        package="induction",
        sessions=None,
        records=ON_RECORD,
        plan=CoursePlan(first_day=first_day, weekdays=("mon", "wed", "fri"), earliest="09:00", latest="15:00"),
    )
    await journey.publish(planned)
    [accepted] = journey.told(CourseAccepted, course_id=planned.course_id)
    starts = [session.starts_at.astimezone(CHICAGO) for session in accepted.sessions]
    assert len(starts) == 6
    assert {start.weekday() for start in starts} <= {0, 2, 4}
    assert all(9 <= start.hour < 15 for start in starts)
    assert starts[-1] - starts[0] <= timedelta(days=21)

    course = Course(starts, package="induction")
    course.id = planned.course_id
    await journey.publish(course.paid(journey.now, 347500))
    assert await journey.states(planned.course_id) == ["confirmed"] * 6
    await nothing_is_left_over(journey)


async def test_a_plan_that_cannot_be_kept_holds_nothing_and_names_the_nearest_start(journey: Journey) -> None:
    first_day = weekday_mornings(journey.now, 1, weeks_ahead=2)[0].date()
    impossible = course_requested(
        course=uuid4(),
        patient_id="patient-sunday",
        package="induction",
        sessions=None,
        records=ON_RECORD,
        plan=CoursePlan(first_day=first_day, weekdays=("sun",)),
    )
    await journey.publish(impossible)
    [rejected] = journey.told(CourseRejected, course_id=impossible.course_id)
    assert rejected.code == "no_plan_found"


async def test_an_insured_course_waits_for_its_authorization_and_its_copay(journey: Journey) -> None:
    starts = weekday_mornings(journey.now, 2, weeks_ahead=2)
    course = Course(starts, treatment="spravato")
    insured = {"payer": "insurance", "insurance": {"plan": "Example Health"}, "records": ON_RECORD}
    await journey.publish(CourseRequested.model_validate(course.requested.model_dump() | insured))
    required = journey.told(PrepaymentRequired, course_id=course.id)
    assert {r.needs for r in required} == {"authorization"}

    await journey.publish(
        approved(
            "A-1",
            course_id=course.id,
            valid_from=starts[0].date(),
            valid_through=starts[-1].date(),
            sessions=2,
            copay_cents=5000,
        )
    )
    assert journey.told(SessionConfirmed, course_id=course.id) == []
    await journey.publish(course.paid(journey.now, 10000))
    satisfied = journey.told(PrepaymentSatisfied, course_id=course.id)
    assert [(s.grant, s.basis) for s in satisfied] == [(1, Basis.INSURED)] * 2
    assert await journey.states(course.id) == ["confirmed", "confirmed"]


async def test_a_moved_session_keeps_its_money_and_changes_its_texts(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 2, weeks_ahead=2))
    await journey.publish(course.contact(journey.now), course.requested, course.paid(journey.now, 90000))
    assert await journey.states(course.id) == ["confirmed", "confirmed"]
    await journey.pass_time(timedelta(days=1))  # by now the patient has been told of the first time

    later = course.starts[1] + timedelta(days=1)
    await journey.publish(session_reschedule_requested(1, later, course.id, session_id=course.sessions[1]))
    [moved] = journey.told(SessionRescheduled, course_id=course.id)
    assert (moved.previous_starts_at, moved.starts_at, moved.state) == (course.starts[1], later, "confirmed")
    assert journey.told(RefundDue, course_id=course.id) == []

    await journey.until(later + timedelta(hours=1))
    sent = journey.told(TextSent, course_id=course.id, session_id=course.sessions[1])
    assert [text.kind for text in sent].count("moved") == 1
    assert [text.kind for text in sent].count("day_before") == 1
    superseded = journey.told(TextSuppressed, course_id=course.id, session_id=course.sessions[1], reason="superseded")
    assert "day_before" in {text.kind for text in superseded}


async def test_a_refund_takes_the_confirmation_back_first(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 1, weeks_ahead=3))
    payment = course.paid(journey.now, 45000)
    await journey.publish(course.requested, payment)
    assert await journey.states(course.id) == ["confirmed"]

    await journey.post("billing", f"/v1/courses/{course.id}/refunds", {"by": "Dana Reyes", "reason": "asked"})
    await journey.pass_time(timedelta())
    [withdrawn] = journey.told(PrepaymentWithdrawn, course_id=course.id)
    [unconfirmed] = journey.told(SessionUnconfirmed, course_id=course.id)
    assert (withdrawn.grant, unconfirmed.grant, unconfirmed.reason) == (1, 1, "refund")
    [refund] = journey.told(RefundDue, course_id=course.id)
    assert (refund.amount_cents, refund.payments[0].payment_id) == (45000, payment.payment_id)
    assert [r.session_id for r in journey.told(PrepaymentRequired, course_id=course.id)] == course.sessions * 2

    await journey.publish(reversal(course, payment.payment_id, 45000, refund.refund_id, journey))
    assert [s.refund_id for s in journey.told(RefundSettled, course_id=course.id)] == [refund.refund_id]
    await nothing_is_left_over(journey)


def reversal(
    course: Course, payment_id: str, amount_cents: int, refund_id: UUID | str | None, journey: Journey
) -> PaymentReversed:
    """The provider gave money back, or it was charged back."""
    return payment_reversed(
        amount_cents,
        str(refund_id) if refund_id else None,
        payment_id,
        f"rev-{uuid4().hex[:8]}",
        course_id=course.id,
        reason="refund" if refund_id else "chargeback",
        reversed_at=journey.now,
    )


async def test_a_chargeback_closes_the_gate_and_goes_to_a_person(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 1, weeks_ahead=3))
    payment = course.paid(journey.now, 45000)
    await journey.publish(course.requested, payment)
    await journey.publish(reversal(course, payment.payment_id, 45000, None, journey))
    [unconfirmed] = journey.told(SessionUnconfirmed, course_id=course.id)
    assert unconfirmed.reason == "chargeback"
    assert await journey.states(course.id) == ["held"]
    assert "reversal" in {row["kind"] for row in await journey.get("billing", "/ops/attention")}


async def test_a_waiver_counts_as_the_price(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 1, weeks_ahead=2))
    await journey.publish(course.requested)
    waiver = {"by": "Dana Reyes", "reason": "hardship"}
    await journey.post("billing", f"/v1/sessions/{course.sessions[0]}/waiver", waiver)
    await journey.pass_time(timedelta())
    [satisfied] = journey.told(PrepaymentSatisfied, course_id=course.id)
    assert satisfied.basis is Basis.WAIVED
    assert await journey.states(course.id) == ["confirmed"]


async def test_a_course_grows_and_what_was_added_is_paid_like_the_rest(journey: Journey) -> None:
    starts = weekday_mornings(journey.now, 2, weeks_ahead=2)
    course = Course(starts[:1])
    await journey.publish(course.requested, course.paid(journey.now, 45000))
    added = uuid4()
    await journey.publish(
        course_change_requested(
            course=course.id, add_sessions=(RequestedSession(session_id=added, starts_at=starts[1]),)
        )
    )
    [changed] = journey.told(CourseChanged, course_id=course.id)
    assert [session.number for session in changed.sessions] == [1, 2]
    assert len(journey.told(PrepaymentRequired, course_id=course.id, session_id=added)) == 1
    await journey.publish(course.paid(journey.now, 45000))
    assert await journey.states(course.id) == ["confirmed", "confirmed"]


async def test_papers_follow_the_estimate_before_and_the_superbill_after(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 1, weeks_ahead=3))
    person = patient_updated(patient_id=course.patient_id, born_on=date(1980, 2, 3))
    await journey.publish(person, course.requested, course.paid(journey.now, 45000))
    [estimate] = journey.told(EstimateIssued, course_id=course.id)
    assert (estimate.version, estimate.total_cents) == (1, 45000)

    await journey.until(course.starts[0])
    await journey.publish(course.here(1))
    await journey.until(course.starts[0] + timedelta(minutes=50))
    await journey.publish(course.treated(1))
    [superbill] = journey.told(SuperbillIssued, course_id=course.id)
    page = await journey.page("billing", f"/v1/superbills/{superbill.superbill_id}")
    assert "Robin Example" in page
    assert "96365" in page


async def test_a_session_that_is_released_says_so_to_its_patient(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 2, weeks_ahead=2))
    await journey.publish(course.contact(journey.now), course.requested, course.paid(journey.now, 45000))
    [second] = journey.told(PrepaymentRequired, course_id=course.id, session_id=course.sessions[1])
    await journey.until(second.due_at)
    assert [r.reason for r in journey.told(SessionReleased, course_id=course.id)] == ["overdue"]
    await journey.pass_time(timedelta(days=1))
    assert [text.kind for text in journey.told(TextSent, course_id=course.id)].count("released") == 1
    assert journey.told(TextSent, course_id=course.id, session_id=course.sessions[1]) == []
