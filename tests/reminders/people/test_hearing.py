"""What follows from a text that somebody sends: for everybody on the phone, and never by a guess."""

from datetime import datetime, timedelta
from uuid import UUID, uuid5

import pytest

from services.reminders.people.contact import Contact, opt_out
from services.reminders.people.conversation import Conversation, Newest, ReplyCame, Visit
from services.reminders.people.hearing import MOST_ANSWERS
from services.reminders.rules.decide import decide
from shared.contract.closed_sets import ContactKind, Intent, TextKind
from shared.contract.register import EventData
from shared.contract.reminders import ConsentChanged, ReplyReceived
from shared.decision.decision import Attention
from shared.decision.message import Message
from tests.facts.clinic import contact_updated
from tests.facts.course import COURSE, DAY, HOUR, NOW, OTHER_PATIENT, PATIENT, session_id, start
from tests.facts.course import PHONE as NUMBER
from tests.stand_ins.reminders_story import PLACES, message

CONVERSATION = UUID(int=77)


def visit(person: str = PATIENT, number: int = 1, at: datetime | None = None) -> Visit:
    """An appointment that a person was texted about."""
    return Visit(person, COURSE, session_id(number), at or start(number), "stella")


class Phone:
    """A phone on which somebody writes; its people and what they were texted are given."""

    def __init__(self, *visits: Visit, others: bool = False, allowed: bool = True) -> None:
        self.contacts: dict[str, Contact] = {}
        self.events: list[EventData] = []
        self.attention: list[Attention] = []
        self.now = NOW
        told = contact_updated(allowed=allowed)
        self.tell(message(told, NOW))
        if others:
            self.tell(message(told.model_copy(update={"contact_id": OTHER_PATIENT}), NOW))
        self.events.clear()
        newest = Newest(visits[0].contact_id, visits[0].course_id, "stella") if visits else None
        in_order = tuple(sorted(visits, key=lambda v: v.starts_at))
        people = tuple(sorted(self.contacts))
        self.conversation = Conversation(CONVERSATION, NUMBER, people, in_order, newest)

    def tell(self, told: Message) -> None:
        """A contact's record."""
        known = self.contacts.get(told.data.key)
        decision = decide(PLACES, known, told, told.arrived_at, self.contacts)
        assert decision.context is not None
        self.contacts = dict(decision.context)
        self.events += decision.events

    def write(self, body: str, clinic: str | None = "stella") -> list[EventData]:
        """Somebody writes; returns what reminders tells of it."""
        said = ReplyCame(conversation_id=CONVERSATION, sid=f"SM{len(self.events)}{len(body)}", body=body, clinic=clinic)
        came = message(said, self.now, id=str(uuid5(CONVERSATION, f"{self.now}{len(self.events)}{body}")))
        decision = decide(PLACES, self.conversation, came, self.now, self.contacts)
        assert isinstance(decision.state, Conversation)
        assert decision.context is not None
        self.conversation, self.contacts = decision.state, dict(decision.context)
        self.events += decision.events
        self.attention += decision.attention
        return list(decision.events)

    def intents(self) -> list[tuple[str, Intent, UUID | None]]:
        """Whose, what and of which session, of every reply so far."""
        return [(e.contact_id, e.intent, e.session_id) for e in self.events if isinstance(e, ReplyReceived)]

    def answers(self) -> list[tuple[str, TextKind]]:
        """What goes out, and for whom."""
        return [(id, text.kind) for id, person in sorted(self.contacts.items()) for text in person.answers]

    def matters(self) -> list[str]:
        """What is left to a person."""
        return [item.kind for item in self.attention]


def test_stop_covers_everybody_on_the_phone_and_is_confirmed_once() -> None:
    phone = Phone(visit(OTHER_PATIENT), others=True)
    told = phone.write("Stop.")

    assert [(e.contact_id, e.allowed, e.source) for e in told if isinstance(e, ConsentChanged)] == [
        (PATIENT, False, "text"),
        (OTHER_PATIENT, False, "text"),
    ]
    assert all(person.opted_out for person in phone.contacts.values())
    assert phone.answers() == [(OTHER_PATIENT, TextKind.OPT_OUT_CONFIRMED)]  # who was texted last
    assert phone.intents() == [(OTHER_PATIENT, Intent.OPT_OUT, None)]
    assert phone.matters() == []


def test_after_the_confirmation_there_is_silence() -> None:
    phone = Phone(visit())
    for body in ("stop", "STOP", "please don't text me", "help", "I feel awful"):
        phone.write(body)

    sent = [text.kind for text in phone.contacts[PATIENT].answers]
    assert sent[0] is TextKind.OPT_OUT_CONFIRMED
    assert TextKind.OPT_OUT_CONFIRMED not in sent[1:]
    assert not phone.contacts[PATIENT].allowed  # so that the last look suppresses every other answer
    assert phone.matters() == ["unclear_reply"]


def test_an_opt_out_counts_whatever_was_recorded_at_the_same_instant_or_for_a_later_one() -> None:
    phone = Phone(visit())
    ahead = contact_updated(recorded_at=NOW + DAY, wording="form-2")
    phone.tell(message(ahead, NOW))
    phone.write("stop")

    assert not phone.contacts[PATIENT].allowed


@pytest.mark.parametrize("word", ["START", "unstop", "Yes"])
def test_who_opted_out_may_come_back_even_at_once(word: str) -> None:
    phone = Phone(visit(), others=True)
    phone.write("stop")
    told = phone.write(word)

    assert [(e.contact_id, e.allowed) for e in told if isinstance(e, ConsentChanged)] == [
        (PATIENT, True),
        (OTHER_PATIENT, True),
    ]
    assert phone.intents()[-1][1] is Intent.OPT_IN


def test_start_is_consent_of_whoever_never_gave_it() -> None:
    phone = Phone(allowed=False)
    phone.write("start")

    assert phone.contacts[PATIENT].allowed


def test_yes_of_somebody_who_is_texted_anyway_is_an_answer() -> None:
    phone = Phone(visit())
    told = phone.write("yes")

    assert phone.intents() == [(PATIENT, Intent.CONFIRM, session_id(1))]
    assert not [e for e in told if isinstance(e, ConsentChanged)]


def test_an_old_record_of_the_clinic_never_undoes_a_stop() -> None:
    phone = Phone(visit())
    phone.write("stop")
    phone.tell(message(contact_updated(recorded_at=NOW - HOUR, wording="form-2"), NOW + HOUR))

    assert not phone.contacts[PATIENT].allowed


@pytest.mark.parametrize(("later", "allowed"), [(-HOUR, False), (HOUR, True)])
def test_a_stop_covers_who_gets_the_number_afterwards_unless_they_agreed_later(later: timedelta, allowed: bool) -> None:
    phone = Phone(visit())
    phone.write("stop")
    agreed = contact_updated(recorded_at=NOW + later).model_copy(update={"contact_id": OTHER_PATIENT})
    phone.tell(message(agreed, NOW + DAY))

    assert phone.contacts[OTHER_PATIENT].allowed is allowed
    assert [e.contact_id for e in phone.events if isinstance(e, ConsentChanged) and e.allowed] == [
        OTHER_PATIENT
    ] * allowed


def test_an_opt_out_at_the_desk_is_a_persons_own() -> None:
    phone = Phone(visit())
    person = phone.contacts[PATIENT]
    phone.contacts[PATIENT] = opt_out(person, "said so", "staff", NOW)
    phone.tell(message(contact_updated(recorded_at=NOW - HOUR).model_copy(update={"contact_id": OTHER_PATIENT}), NOW))

    assert phone.contacts[OTHER_PATIENT].allowed


def test_an_opt_out_that_says_more_is_read_by_a_person() -> None:
    phone = Phone(visit())
    phone.write("stop texting me, I cannot take it any longer")

    assert phone.contacts[PATIENT].opted_out
    assert phone.matters() == ["unclear_reply"]


@pytest.mark.parametrize(
    ("body", "intent"),
    [("C", Intent.CONFIRM), ("r", Intent.CANNOT_COME), ("cancel my appointment", Intent.CANNOT_COME)],
)
def test_c_and_r_are_about_the_next_appointment_that_was_texted(body: str, intent: Intent) -> None:
    phone = Phone(visit(number=1), visit(number=2))
    (told,) = phone.write(body)

    assert told == ReplyReceived(contact_id=PATIENT, course_id=COURSE, session_id=session_id(1), intent=intent)
    assert phone.answers() == []
    assert phone.matters() == (["cannot_come"] if intent is Intent.CANNOT_COME else [])


def test_the_time_names_another_appointment() -> None:
    later = visit(number=2, at=start(2) + timedelta(minutes=30))
    phone = Phone(visit(number=1), later)
    phone.write("R 10:30")

    assert phone.intents() == [(PATIENT, Intent.CANNOT_COME, session_id(2))]


def test_the_clock_of_a_location_that_is_served_no_more_tells_nothing() -> None:
    phone = Phone(visit()._replace(location="closed"))
    phone.write("C 10:00")
    phone.write("C")

    assert [intent for _, intent, _ in phone.intents()] == [Intent.UNCLEAR, Intent.CONFIRM]


def test_two_patients_on_one_phone_are_told_apart_by_the_time() -> None:
    phone = Phone(visit(), visit(OTHER_PATIENT, 2, start(1) + HOUR), others=True)
    assert phone.write("C") == []
    assert phone.answers() == [(PATIENT, TextKind.HELP)]  # which says how to name the time

    phone.write("11 am")

    assert phone.intents() == [(OTHER_PATIENT, Intent.CONFIRM, session_id(2))]


def test_a_question_that_is_never_answered_loses_nothing_of_who_cannot_come() -> None:
    phone = Phone(visit(), visit(OTHER_PATIENT, 2, start(1) + HOUR), others=True)
    phone.write("R")
    assert phone.matters() == ["cannot_come"]

    phone.now += 2 * DAY
    phone.write("11 am")

    assert phone.intents() == [(PATIENT, Intent.UNCLEAR, None)]


def test_times_that_do_not_tell_two_patients_apart_go_to_a_person() -> None:
    phone = Phone(visit(), visit(OTHER_PATIENT, 2, start(1) + DAY), others=True)
    phone.write("C 10:00")

    assert phone.intents() == [(PATIENT, Intent.UNCLEAR, None)]
    assert phone.matters() == ["unclear_reply"]


def test_two_people_who_come_to_the_same_appointment_are_not_asked() -> None:
    phone = Phone(visit(), visit(OTHER_PATIENT), others=True)
    phone.write("C")

    assert [(intent, session) for _, intent, session in phone.intents()] == [(Intent.CONFIRM, session_id(1))]


def test_who_cannot_come_without_an_appointment_is_told_to_the_desk_all_the_same() -> None:
    phone = Phone()
    phone.write("R")

    assert phone.intents() == [(PATIENT, Intent.CANNOT_COME, None)]
    assert phone.matters() == ["cannot_come"]


@pytest.mark.parametrize("body", ["C", "yes"])
def test_there_is_nothing_to_confirm_without_an_appointment(body: str) -> None:
    phone = Phone()
    phone.write(body)

    assert phone.intents() == [(PATIENT, Intent.UNCLEAR, None)]
    assert phone.answers() == [(PATIENT, TextKind.UNMONITORED_REPLY)]


@pytest.mark.parametrize("body", ["I want to end it", "👍", "", "please help"])
def test_what_is_not_understood_is_answered_at_once_and_read_by_a_person(body: str) -> None:
    phone = Phone(visit())
    (told,) = phone.write(body)

    assert told == ReplyReceived(contact_id=PATIENT, course_id=COURSE, intent=Intent.UNCLEAR)
    assert phone.answers() == [(PATIENT, TextKind.UNMONITORED_REPLY)]
    (answer,) = phone.contacts[PATIENT].answers
    assert answer.look_at == phone.now
    assert phone.matters() == ["unclear_reply"]


def test_help_is_answered_and_nobody_else_need_read_it() -> None:
    phone = Phone(visit())
    phone.write("HELP")

    assert phone.answers() == [(PATIENT, TextKind.HELP)]
    assert phone.matters() == []


def test_an_answer_goes_to_somebody_on_the_phone_who_may_be_texted() -> None:
    phone = Phone(visit(), others=True)
    declined = contact_updated(allowed=False, recorded_at=NOW)
    phone.tell(message(declined, NOW))
    phone.write("what?")

    assert phone.answers() == [(OTHER_PATIENT, TextKind.UNMONITORED_REPLY)]


def test_a_machine_that_answers_our_answers_is_left_alone() -> None:
    phone = Phone(visit())
    for _ in range(MOST_ANSWERS + 5):
        phone.now += timedelta(minutes=1)
        phone.write("I am driving")
    assert len(phone.answers()) == MOST_ANSWERS
    assert len(phone.matters()) == MOST_ANSWERS + 5

    phone.now += 2 * DAY
    phone.write("what?")
    assert len(phone.answers()) == MOST_ANSWERS + 1


def test_a_number_that_nobody_has_goes_to_a_person_and_is_not_texted() -> None:
    phone = Phone()
    phone.conversation = phone.conversation._replace(people=())
    assert phone.write("who is this") == []

    assert phone.matters() == ["reply_from_nobody"]
    assert phone.answers() == []
    (kept,) = phone.conversation.unsaved
    assert (kept.contact_id, kept.intent, kept.body) == (None, Intent.UNCLEAR, "who is this")


def test_we_answer_in_the_name_of_the_clinic_that_was_written_to() -> None:
    phone = Phone(visit())
    phone.write("what?", clinic="albany")
    phone.write("what?", clinic="nobody's")

    assert [text.location for text in phone.contacts[PATIENT].answers] == ["carbondale"]


def test_what_people_write_is_in_no_event_and_in_no_matter() -> None:
    phone = Phone(visit())
    phone.write("my secret is Zebra")

    assert not [e for e in phone.events if "Zebra" in e.model_dump_json() or NUMBER in e.model_dump_json()]
    assert not [item for item in phone.attention if "Zebra" in str(item) or NUMBER in str(item)]


def test_a_companion_is_heard_like_anybody_else() -> None:
    phone = Phone(visit(OTHER_PATIENT), others=True)
    friend = contact_updated().model_copy(update={"contact_id": OTHER_PATIENT, "kind": ContactKind.COMPANION})
    phone.tell(message(friend, NOW))
    phone.write("r")

    assert phone.intents() == [(OTHER_PATIENT, Intent.CANNOT_COME, session_id(1))]
