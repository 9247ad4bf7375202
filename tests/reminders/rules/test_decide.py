"""What reminders hears, what each message is about, and what waits for its course."""

from uuid import UUID

from services.reminders.people.conversation import ReplyCame
from services.reminders.rules.decide import HEARS, aggregate_of
from services.reminders.text.aggregates import PHONE, STOP
from shared.contract.booking import CourseAccepted
from shared.contract.clinic import ContactUpdated
from tests.facts.billing import prepayment_required
from tests.facts.booking import course_accepted
from tests.facts.course import DAY, NOW
from tests.stand_ins.reminders_story import K, message, told


def test_an_opt_out_has_a_name_of_its_own_so_that_nothing_else_said_holds_it_back() -> None:
    on = UUID(int=77)
    said = [ReplyCame(conversation_id=on, sid="SM1", body=body, clinic=None) for body in ("no más mensajes", "C")]

    assert [aggregate_of(message(s, NOW)) for s in said] == [f"{STOP}{on}", f"{PHONE}{on}"]


def test_it_hears_what_the_ladder_stands_on_and_not_itself() -> None:
    assert set(HEARS) == {"booking.events", "billing.events", "clinic.contacts"}
    assert CourseAccepted.type in HEARS["booking.events"]
    assert HEARS["clinic.contacts"] == {ContactUpdated.type, "chairtime.person.erased"}


def test_what_billing_tells_before_booking_waits_with_a_deadline() -> None:
    story = told(prepayment_required(1))

    assert story.texts() == []
    assert story.timers["unknown_course"].due_at == NOW + DAY
    story.hear(course_accepted(1))
    assert story.kinds() == [K.PAYMENT_DUE]
    assert story.timers["unknown_course"].due_at is None
