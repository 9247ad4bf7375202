"""Courses told to booking's rules message by message; every promise that can be seen is checked after each of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

from services.booking.chairs.calendar import Calendar, Taken
from services.booking.chairs.location import Place, Room
from services.booking.profile import read_places
from services.booking.rules.closures import Closure, closed_by
from services.booking.rules.course import OCCUPYING, TRANSITIONS, Course, CourseState, Session
from services.booking.rules.days_needed import Sought, sought
from services.booking.rules.decide import decide
from shared.contract.billing import PrepaymentOverdue, PrepaymentSatisfied, PrepaymentWithdrawn
from shared.contract.booking import (
    CourseAccepted,
    SessionConfirmed,
    SessionEvent,
    SessionReleased,
    SessionUnconfirmed,
    SessionWithdrawalRefused,
)
from shared.contract.clinic import (
    CourseCancelRequested,
    CourseRequested,
    PatientCheckedIn,
    PatientMissed,
    RequestedSession,
    SessionCancelRequested,
    SessionRescheduleRequested,
    TreatmentCompleted,
)
from shared.contract.closed_sets import Basis, By, Payer, ReleaseReason, SessionState, WithdrawalReason
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from shared.decision.decision import Attention
from shared.decision.message import Message

CLINICS: Final = Path(__file__).parents[1] / "deploy" / "clinics"
PLACES: Final = read_places(CLINICS, None)
STELLA: Final = PLACES["stella"]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW: Final = datetime(2026, 3, 2, 15, tzinfo=UTC)
"""A Monday, nine o'clock in Chicago; six days later the clocks go forward."""

DAYS: Final = (0, 2, 7, 9, 14, 16)
"""Six sessions on Tuesdays and Thursdays, within Stella's three weeks."""

COURSE: Final = UUID("00000000-0000-4000-8000-000000000001")
OTHER: Final = UUID("00000000-0000-4000-8000-000000000002")


def room(chairs: int, providers: int | None = None, place: Place = STELLA) -> dict[str, Place]:
    """All places, one of them with so many chairs and providers only."""
    names = tuple(f"chair-{n}" for n in range(1, chairs + 1))
    staff = tuple(f"provider-{n}" for n in range(1, (chairs if providers is None else providers) + 1))
    return PLACES | {place.name: replace(place, room=Room(chairs=names, providers=staff))}


def session_id(number: int, course: UUID = COURSE) -> UUID:
    """The id of a course's session."""
    return uuid5(course, str(number))


def start(number: int) -> datetime:
    """When a session starts: ten in the morning in Chicago, the first a week after the story begins."""
    return NOW + 8 * DAY + DAYS[number - 1] * DAY


def requested(count: int = 2, course: UUID = COURSE, **told: Any) -> CourseRequested:
    """A course at Stella."""
    wished = tuple(RequestedSession(session_id=session_id(n, course), starts_at=start(n)) for n in _to(count))
    fields: dict[str, Any] = {
        "course_id": course,
        "patient_id": f"patient-{course.int & 0xFFFF}",
        "location": "stella",
        "treatment": "ketamine_induction",
        "payer": Payer.SELF_PAY,
        "sessions": wished,
    }
    return CourseRequested.model_validate(fields | told)


def _to(count: int) -> Iterable[int]:
    return range(1, count + 1)


def satisfied(number: int = 1, grant: int = 1, course: UUID = COURSE) -> PrepaymentSatisfied:
    """Billing grants a session."""
    return PrepaymentSatisfied(
        course_id=course, session_id=session_id(number, course), grant=grant, basis=Basis.PAID, amount_cents=57917
    )


def withdrawn(number: int = 1, grant: int = 1, course: UUID = COURSE) -> PrepaymentWithdrawn:
    """Billing wants a grant back."""
    return PrepaymentWithdrawn(
        course_id=course, session_id=session_id(number, course), grant=grant, reason=WithdrawalReason.REFUND
    )


def overdue(number: int = 1, course: UUID = COURSE) -> PrepaymentOverdue:
    """Nobody paid in time."""
    return PrepaymentOverdue(
        course_id=course, session_id=session_id(number, course), amount_cents=57917, due_at=start(number) - 2 * DAY
    )


def checked_in(number: int = 1, course: UUID = COURSE, **told: Any) -> PatientCheckedIn:
    """The patient stands at the desk."""
    return PatientCheckedIn(course_id=course, session_id=session_id(number, course), at=start(number), **told)


def completed(number: int = 1, course: UUID = COURSE) -> TreatmentCompleted:
    """Forty-five minutes of infusion."""
    begun = start(number) + timedelta(minutes=15)
    return TreatmentCompleted(
        course_id=course,
        session_id=session_id(number, course),
        started_at=begun,
        ended_at=begun + timedelta(minutes=45),
    )


def missed(number: int = 1, course: UUID = COURSE, **told: Any) -> PatientMissed:
    """Nobody came."""
    return PatientMissed(course_id=course, session_id=session_id(number, course), at=start(number) + HOUR, **told)


def cancel(number: int | None = None, course: UUID = COURSE) -> CourseCancelRequested | SessionCancelRequested:
    """The patient gives up one session, or the whole course."""
    if number is None:
        return CourseCancelRequested(course_id=course, by=By.PATIENT)
    return SessionCancelRequested(course_id=course, session_id=session_id(number, course), by=By.PATIENT)


def moved(number: int, to: datetime, course: UUID = COURSE) -> SessionRescheduleRequested:
    """The patient wants another time."""
    return SessionRescheduleRequested(course_id=course, session_id=session_id(number, course), starts_at=to)


class Story:
    """Booking with its memory in plain dictionaries; what is told is decided at once, timers only by `deliver`."""

    def __init__(self, places: dict[str, Place] = PLACES, now: datetime = NOW) -> None:
        self.now = now
        self.courses: dict[str, Course] = {}
        self.closures: dict[str, Closure] = {}
        self.timers: dict[tuple[str, str, str], datetime] = {}
        self.attention: list[Attention] = []
        self.told: list[EventData] = []
        self.grants: Counter[tuple[UUID, int]] = Counter()
        self.withdrawals: Counter[tuple[UUID, int]] = Counter()
        self._places = places
        self._count = 0
        self._seen: dict[UUID, tuple[int, SessionState]] = {}

    def tell(self, data: EventData, at: datetime | None = None) -> list[EventData]:
        """Booking's answer to one message, which reached it now or `at`."""
        self._count += 1
        at = at or self.now
        message = Message(f"message-{self._count}", data.type, "story", at, at, data)
        course = self.courses.get(data.key)
        seen = list(sought(self._places, course, message))
        calendar = self._calendar(seen) if seen else Calendar()
        decision = decide(self._places, course or self.closures.get(data.key), message, at, calendar)
        if isinstance(decision.state, Closure):
            self.closures[data.key] = decision.state
        else:
            self.courses[data.key] = decision.state
        for timer in decision.timers:
            name = (timer.of or data.key, timer.kind, timer.subject)
            self.timers.pop(name, None)
            if timer.due_at is not None:
                self.timers[name] = timer.due_at
        self.attention += decision.attention
        self.told += decision.events
        self._check(decision.events)
        return list(decision.events)

    def deliver(self, until: datetime) -> list[EventData]:
        """Let time pass: every timer that falls due on the way, in order."""
        told: list[EventData] = []
        self.now = max(self.now, until)
        while due := sorted((due_at, name) for name, due_at in self.timers.items() if due_at <= until):
            due_at, (course, kind, subject) = due[0]
            del self.timers[course, kind, subject]
            told += self.tell(TimerDue(of=course, kind=kind, subject=subject, due_at=due_at), due_at)
        return told

    def course(self, id: UUID = COURSE) -> Course:
        """A course as it stands."""
        return self.courses[str(id)]

    def session(self, number: int = 1, course: UUID = COURSE) -> Session:
        """A session as it stands."""
        found = self.course(course).session(session_id(number, course))
        assert found is not None
        return found

    def states(self, id: UUID = COURSE) -> list[str]:
        """Where the sessions of a course stand, in order."""
        return [str(session.state) for session in self.course(id).sessions]

    def _sessions(self) -> list[tuple[Session, CourseRequested]]:
        return [(s, c.request) for c in self.courses.values() for s in c.sessions if c.request is not None]

    def _calendar(self, seen: Sequence[Sought]) -> Calendar:
        """What the store reads for a message: the days that it looks at, and the patient wherever."""
        days, patients = {(one.place.name, one.day) for one in seen}, {one.patient_id for one in seen}
        taken = [self.taken(s, r) for s, r in self._sessions() if s.state in OCCUPYING]
        return Calendar.of(
            (
                one
                for one in taken
                if one.patient_id in patients
                or (one.location, self._places[one.location].location.local(one.starts_at).date()) in days
            ),
            (s.session_id for s, _ in self._sessions()),
            (closed_by(closure.request) for closure in self.closures.values()),
        )

    @staticmethod
    def taken(s: Session, r: CourseRequested) -> Taken:
        """A session's place."""
        return Taken(
            s.session_id,
            r.course_id,
            r.location,
            s.chair,
            s.provider,
            r.patient_id,
            s.starts_at,
            s.ends_at,
            s.provider_from,
            s.provider_until,
        )

    def _check(self, events: Sequence[EventData]) -> None:
        for event in events:
            type(event).model_validate_json(event.model_dump_json())
            if isinstance(event, CourseAccepted):
                self._seen |= {s.session_id: (s.version, s.state) for s in event.sessions}  # changed ones, too
            if isinstance(event, SessionEvent):
                version, state = self._seen[event.session_id]
                assert event.version == version + 1, "versions are contiguous"
                assert event.state == state or event.state in TRANSITIONS[state], f"{state} -> {event.state}"
                self._seen[event.session_id] = (event.version, event.state)
            if isinstance(event, SessionConfirmed) or (
                isinstance(event, SessionReleased) and event.reason is ReleaseReason.SLOT_TAKEN
            ):
                self.grants[event.session_id, event.grant] += 1
            if isinstance(event, SessionUnconfirmed | SessionWithdrawalRefused):
                self.withdrawals[event.session_id, event.grant] += 1
        for session, _ in self._sessions():
            assert self._seen[session.session_id] == (session.version, session.state), "every change is told"
        self._check_no_double_booking()

    def _check_no_double_booking(self) -> None:
        occupied = [(s, r) for s, r in self._sessions() if s.state in OCCUPYING]
        for (one, here), (two, there) in combinations(occupied, 2):
            if one.starts_at < two.ends_at and two.starts_at < one.ends_at:
                assert here.patient_id != there.patient_id
                if here.location == there.location:
                    assert one.chair != two.chair
                    assert one.provider != two.provider


def accepted(sessions: int = 2, places: dict[str, Place] = PLACES, **told: Any) -> Story:
    """A story whose course is held."""
    story = Story(places)
    story.tell(requested(sessions, **told))
    assert story.course().state is CourseState.ACCEPTED
    return story


def confirmed(sessions: int = 2, places: dict[str, Place] = PLACES, **told: Any) -> Story:
    """A story whose course is paid for, whole."""
    story = accepted(sessions, places, **told)
    for number in _to(sessions):
        story.tell(satisfied(number))
    assert story.states() == ["confirmed"] * sessions
    return story


def names(events: Iterable[EventData]) -> list[str]:
    """What was told, without the words that all types share."""
    return [event.type.removeprefix("booking.").removesuffix(".v1") for event in events]
