"""Courses told to booking's rules message by message; every promise that can be seen is checked after each of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any, Final
from uuid import UUID

from services.booking.chairs.calendar import Calendar, Taken
from services.booking.chairs.location import ChairPlan
from services.booking.rules.closures import Closure, ClosureRequested, closed_by
from services.booking.rules.course import OCCUPYING, TRANSITIONS, Course, CourseState, Session
from services.booking.rules.days_needed import Sought, sought, stretches
from services.booking.rules.decide import decide
from shared.contract.booking import (
    CourseAccepted,
    RequestRejected,
    SessionConfirmed,
    SessionEvent,
    SessionReleased,
    SessionUnconfirmed,
    SessionWithdrawalRefused,
)
from shared.contract.clinic import (
    CourseRequested,
)
from shared.contract.closed_sets import Refusal, ReleaseReason, SessionState
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from shared.decision.decision import Attention
from shared.decision.message import Message
from tests.facts.billing import prepayment_satisfied
from tests.facts.clinic import course_requested
from tests.facts.course import COURSE, DAY, NOW, session_id, start
from tests.stand_ins.booking_places import PLACES


class Story:
    """Booking with its memory in plain dictionaries; what is told is decided at once, timers only by `deliver`."""

    def __init__(self, places: dict[str, ChairPlan] = PLACES, now: datetime = NOW) -> None:
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
        calendar = self._calendar(sought(self._places, self.courses, [message]))
        return self._decide(message, calendar)[0]

    def tell_together(self, *data: EventData) -> list[EventData]:
        """Booking's answers to one batch, which reached it now."""
        return [event for events in self.in_one_batch(*data) for event in events]

    def in_one_batch(self, *data: EventData) -> Iterator[list[EventData]]:
        """Booking's answer to each message of a batch, whose calendar is read once, before the first."""
        messages = []
        for one in data:
            self._count += 1
            messages.append(Message(f"message-{self._count}", one.type, "story", self.now, self.now, one))
        calendar = self._calendar(sought(self._places, self.courses, messages))
        for message in messages:
            events, calendar = self._decide(message, calendar)
            yield events

    def _decide(self, message: Message, calendar: Calendar) -> tuple[list[EventData], Calendar]:
        data = message.data
        state = self.courses.get(data.key) or self.closures.get(data.key)
        decision = decide(self._places, state, message, message.arrived_at, calendar)
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
        return list(decision.events), decision.context or calendar

    def deliver(self, until: datetime) -> list[EventData]:
        """Let time pass: every timer that falls due on the way, in order."""
        return [event for _, events in self.falling_due(until) for event in events]

    def falling_due(self, until: datetime) -> Iterator[tuple[TimerDue, list[EventData]]]:
        """Let time pass, timer by timer, with booking's answer to each."""
        self.now = max(self.now, until)
        while due := sorted((due_at, name) for name, due_at in self.timers.items() if due_at <= until):
            due_at, (course, kind, subject) = due[0]
            del self.timers[course, kind, subject]
            timer = TimerDue(of=course, kind=kind, subject=subject, due_at=due_at)
            yield timer, self.tell(timer, due_at)

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
        """What the store reads for a batch: the days that it looks at, and its patients wherever they are."""
        if not seen:
            return Calendar()
        loaded = stretches(seen)
        whole = [(min(span[0][0] for span in loaded.values()), max(span[-1][1] for span in loaded.values()))]
        days, patients = {(one.place.name, one.day) for one in seen}, {one.patient_id for one in seen}
        taken = [self.taken(s, r) for s, r in self._sessions() if s.state in OCCUPYING]
        return Calendar.from_rows(
            (
                one
                for one in taken
                if one.patient_id in patients
                or (one.location, self._places[one.location].location.local(one.starts_at).date()) in days
            ),
            loaded | dict.fromkeys(patients, whole),
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


def accepted(sessions: int = 2, places: dict[str, ChairPlan] = PLACES, **told: Any) -> Story:
    """A story whose course is held."""
    story = Story(places)
    story.tell(course_requested(sessions, **told))
    assert story.course().state is CourseState.ACCEPTED
    return story


def confirmed(sessions: int = 2, places: dict[str, ChairPlan] = PLACES, **told: Any) -> Story:
    """A story whose course is paid for, whole."""
    story = accepted(sessions, places, **told)
    for number in range(1, sessions + 1):
        story.tell(prepayment_satisfied(number))
    assert story.states() == ["confirmed"] * sessions
    return story


def names(events: Iterable[EventData]) -> list[str]:
    """What was told, without the words that all types share."""
    return [event.type.removeprefix("booking.").removesuffix(".v1") for event in events]


def refused(events: list[EventData]) -> Refusal:
    """Why a request was refused, which is all that was told."""
    [event] = events
    assert isinstance(event, RequestRejected)
    assert event.request_id.startswith("message-")
    return event.code


DAY_ONE: Final = start(1).replace(hour=5)
"""Midnight in Chicago, on the day of the first session; the clock has gone forward meanwhile."""


def closure(
    begins: datetime = DAY_ONE, ends: datetime = DAY_ONE + DAY, number: int = 1, **told: Any
) -> ClosureRequested:
    """Stella is closed on the day of the first session."""
    return ClosureRequested.model_validate(
        {"closure_id": UUID(int=number), "location": "stella", "starts_at": begins, "ends_at": ends} | told
    )
