"""What reminders hears, and what each message is about."""

from uuid import UUID

from services.reminders.people.conversation import ReplyCame
from services.reminders.rules.decide import HEARS, aggregate_of
from services.reminders.text.aggregates import PHONE, STOP
from shared.contract.booking import CourseAccepted
from shared.contract.clinic import ContactUpdated
from tests.facts.texted_course import MONDAY
from tests.stand_ins.reminders_story import message


def test_an_opt_out_has_a_name_of_its_own_so_that_nothing_else_said_holds_it_back() -> None:
    on = UUID(int=77)
    said = [ReplyCame(conversation_id=on, sid="SM1", body=body, clinic=None) for body in ("no más mensajes", "C")]

    assert [aggregate_of(message(s, MONDAY)) for s in said] == [f"{STOP}{on}", f"{PHONE}{on}"]


def test_it_hears_what_the_ladder_stands_on() -> None:
    assert set(HEARS) == {"booking.events", "billing.events", "clinic.contacts"}
    assert CourseAccepted.type in HEARS["booking.events"]
    assert HEARS["clinic.contacts"] == {ContactUpdated.type, "chairtime.person.erased"}
