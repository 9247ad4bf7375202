"""A course told to reminders, event by event: what the tests of its rules and of its service share."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from services.reminders.people.contact import Contact
from services.reminders.profile import read_places
from services.reminders.rules.course import Course
from services.reminders.rules.decide import aggregate_of, decide
from services.reminders.text.aggregates import COURSE
from services.reminders.text.text import Text, TextState
from shared.contract.billing import PrepaymentRequired, PrepaymentSatisfied
from shared.contract.booking import BookedSession, CourseAccepted, SessionEvent
from shared.contract.clinic import ContactUpdated, Texting
from shared.contract.closed_sets import Basis, ContactKind, Needs, Payer, SessionState, TextKind
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from shared.decision.decision import Attention, Timer
from shared.decision.message import NAMESPACE, Message

PROFILES = Path(__file__).parent.parent / "deploy" / "clinics"
PLACES = read_places(PROFILES, ("albany", "stella"))

COURSE_ID = UUID("00000000-0000-4000-8000-00000000c001")
PATIENT = "patient-1"
COMPANION = "companion-1"
PHONE = "+13125550101"

MONDAY = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
"""10:00 in Chicago."""

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def session_id(number: int) -> UUID:
    """The id of the course's `number`th session."""
    return uuid5(COURSE_ID, str(number))


def starts_at(number: int) -> datetime:
    """Session 1 is two weeks after `MONDAY`, at 10:00 in Chicago (daylight saving time by then); the others weekly."""
    return MONDAY + timedelta(days=14, hours=-1) + timedelta(weeks=number - 1)


def booked(number: int, state: SessionState, version: int, start: datetime | None = None) -> dict[str, Any]:
    """A session's fields as booking tells them."""
    start = start or starts_at(number)
    return {
        "session_id": session_id(number),
        "number": number,
        "of": 6,
        "state": state,
        "starts_at": start,
        "ends_at": start + 2 * HOUR,
        "time_zone": "America/Chicago",
        "chair": "A",
        "provider": "Kim",
        "version": version,
    }


def accepted(*numbers: int, location: str = "stella", companions: tuple[str, ...] = ()) -> CourseAccepted:
    """The course with these sessions, all held."""
    return CourseAccepted(
        course_id=COURSE_ID,
        patient_id=PATIENT,
        companions=companions,
        location=location,
        treatment="ketamine_induction",
        payer=Payer.SELF_PAY,
        hold_expires_at=MONDAY + 2 * DAY,
        sessions=tuple(BookedSession(**booked(n, SessionState.HELD, 1)) for n in numbers),
    )


def session_event(
    event: type[SessionEvent],
    number: int,
    state: SessionState,
    version: int,
    start: datetime | None = None,
    companions: tuple[str, ...] = (),
    **told: Any,
) -> SessionEvent:
    """An event about one session."""
    return event(
        course_id=COURSE_ID,
        patient_id=PATIENT,
        companions=companions,
        location="stella",
        treatment="ketamine_induction",
        **booked(number, state, version, start),
        **told,
    )


def required(number: int) -> PrepaymentRequired:
    """Billing demands money for a session."""
    return PrepaymentRequired(
        course_id=COURSE_ID,
        session_id=session_id(number),
        patient_id=PATIENT,
        needs=Needs.MONEY,
        amount_cents=57917,
        currency="USD",
        due_at=MONDAY + DAY,
    )


def satisfied(number: int, grant: int = 1) -> PrepaymentSatisfied:
    """A session is paid."""
    return PrepaymentSatisfied(
        course_id=COURSE_ID, session_id=session_id(number), grant=grant, basis=Basis.PAID, amount_cents=57917
    )


def contact(
    allowed: bool = True,
    recorded_at: datetime = MONDAY - DAY,
    phone: str = PHONE,
    time_zone: str = "America/Chicago",
    region: str | None = "US-IL",
    wording: str = "form-1",
    contact_id: str = PATIENT,
    locale: str = "en-US",
) -> ContactUpdated:
    """A contact record, the patient's where nobody else is named."""
    return ContactUpdated(
        contact_id=contact_id,
        kind=ContactKind.PATIENT if contact_id == PATIENT else ContactKind.COMPANION,
        phone=phone,
        locale=locale,
        time_zone=time_zone,
        region=region,
        texting=Texting(allowed=allowed, wording=wording, source="intake", recorded_at=recorded_at),
    )


def message(data: EventData, at: datetime, id: str = "") -> Message:
    """A message that reached Kafka at an instant."""
    id = id or str(uuid5(NAMESPACE, f"{data.type}{data.model_dump_json()}{at.isoformat()}"))
    return Message(id, data.type, "/test", at, at, data)


class Story:
    """The rules folded over events, without a database."""

    def __init__(self) -> None:
        self.course: Course | None = None
        self.contacts: dict[str, Contact] = {}
        self.events: list[EventData] = []
        self.timers: dict[str, Timer] = {}
        self.attention: list[Attention] = []

    def hear(self, data: EventData, at: datetime = MONDAY) -> list[EventData]:
        """Take one event in; returns what it made reminders tell."""
        told = message(data, at)
        about_course = aggregate_of(told).startswith(COURSE)
        state = self.course if about_course else self.contacts.get(data.key)
        decision = decide(PLACES, state, told, at, self.contacts)
        if isinstance(decision.state, Course):
            self.course = decision.state
        else:
            self.contacts[decision.state.contact_id] = decision.state
        self.events += decision.events
        self.timers |= {timer.kind: timer for timer in decision.timers}
        self.attention += decision.attention
        return list(decision.events)

    def fall_due(self, kind: str, at: datetime) -> None:
        """One of the course's timers."""
        self.hear(TimerDue(of=f"{COURSE}{COURSE_ID}", kind=kind, subject="", due_at=at), at)

    def texts(self, *states: TextState) -> list[Text]:
        """The course's texts in these states, all where none is named, in order of time."""
        texts = self.course.texts if self.course else ()
        return sorted((t for t in texts if not states or t.state in states), key=lambda t: (t.nominal_at, t.text_id))

    def kinds(self, *states: TextState) -> list[TextKind]:
        """Their kinds."""
        return [text.kind for text in self.texts(*states)]

    def text(self, kind: TextKind) -> Text:
        """The only text of a kind."""
        (found,) = (text for text in self.texts() if text.kind is kind)
        return found

    def attempted(self, kind: TextKind) -> None:
        """As if dispatch had sent the text of a kind."""
        assert self.course is not None
        self.course = self.course.with_text(self.text(kind)._replace(state=TextState.SENT))


def plan_of(texts: Iterable[Text]) -> set[tuple[Any, ...]]:
    """What must be the same whatever the order in which things were heard; `due_at` is settled by the last look."""
    return {(t.text_id, t.kind, t.state, t.reason, t.nominal_at, t.deadline_at) for t in texts}
