"""Booking against a model so simple that it can be seen to be right: lists, searched from end to end.

The model says of every request and fact what must become of it; the story checks versions, ways and overlaps itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import Final
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.booking.rules.closures import ClosureRequested
from services.booking.rules.course import CourseState
from shared.contract.booking import CourseAccepted, SessionEvent, SessionRescheduled
from shared.contract.clinic import CourseChangeRequested, CoursePlan, RequestedSession
from shared.contract.closed_sets import SessionState
from shared.contract.register import EventData
from tests.facts.billing import overdue, satisfied, withdrawn
from tests.facts.clinic import cancel, checked_in, missed, moved, requested
from tests.facts.course import DAY, HOUR, NOW, session_id
from tests.stand_ins.booking_places import STELLA, room
from tests.stand_ins.booking_story import Story

S = SessionState

VISIT: Final = timedelta(minutes=105)
FIRST: Final = datetime(2026, 3, 6)  # noqa: DTZ001 - the clock on the wall; a Friday, and on Sunday it goes forward
COURSES: Final = tuple(UUID(int=n) for n in range(1, 5))

courses = st.sampled_from(COURSES)
numbers = st.integers(1, 3)
times = st.builds(
    lambda day, hour, quarter: (
        (FIRST + day * DAY + hour * HOUR + quarter * HOUR / 4).replace(tzinfo=STELLA.location.tz).astimezone(NOW.tzinfo)
    ),
    st.integers(0, 7),
    st.sampled_from([7, 8, 9, 10, 12, 14, 17]),
    st.integers(0, 3),
)


@dataclass
class Known:
    """A session as the model has it."""

    course: UUID
    patient: str
    state: SessionState
    starts_at: datetime
    ends_at: datetime
    chair: str
    provider: str
    answered: int = 0
    backed: bool = False

    @property
    def sits(self) -> bool:
        """Whether it has its place."""
        return self.state in (S.HELD, S.CONFIRMED, S.CHECKED_IN)


def overlap(one: tuple[datetime, datetime], two: tuple[datetime, datetime]) -> bool:
    return one[0] < two[1] and two[0] < one[1]


class Booking(RuleBasedStateMachine):
    """Four courses of four patients (two of them the same person) want a place with two chairs."""

    @initialize(chairs=st.integers(1, 2), providers=st.integers(1, 2))
    def begin(self, chairs: int, providers: int) -> None:
        self.places = room(chairs, providers)
        self.story = Story(self.places)
        self.model: dict[UUID, Known] = {}
        self.given: dict[UUID, int] = {}
        self.withdrawn: set[tuple[UUID, int]] = set()
        self.closed: list[ClosureRequested] = []

    # The model's few rules --------------------------------------------------------------------------------------------

    def can_sit(self, at: datetime, patient: str, but: UUID | None = None) -> bool:
        """Whether there is a chair and a provider, with the place open and the patient free."""
        stretch = at, at + VISIT
        wall = [STELLA.location.local(instant) for instant in stretch]
        if wall[0].weekday() > 4 or wall[0].time() < time(8) or wall[1].time() > time(19):
            return False
        shut = [c for c in self.closed if overlap((c.starts_at, c.ends_at), stretch)]
        if any(c.chair is None and c.provider is None for c in shut):
            return False
        there = [
            known
            for id, known in self.model.items()
            if id != but and known.sits and overlap((known.starts_at, known.ends_at), stretch)
        ]
        stella = self.places["stella"].room
        free_chairs = set(stella.chairs) - {k.chair for k in there} - {c.chair for c in shut}
        free_providers = set(stella.providers) - {k.provider for k in there} - {c.provider for c in shut}
        return bool(free_chairs and free_providers) and all(known.patient != patient for known in there)

    def series(self, course: UUID, but: UUID | None = None) -> list[datetime]:
        """When a course's sessions are that stand, or were given."""
        return [
            k.starts_at
            for id, k in self.model.items()
            if k.course == course and id != but and (k.sits or k.state is S.COMPLETED)
        ]

    @staticmethod
    def gaps(starts: Iterable[datetime]) -> list[timedelta]:
        wall = sorted(STELLA.location.local(at).replace(tzinfo=None) for at in starts)
        return [later - earlier for earlier, later in pairwise(wall)]

    def tell(self, data: EventData) -> list[EventData]:
        """Let booking answer, and take from the answer what the model does not foresee: which chair."""
        events = self.story.tell(data)
        self.learn(events)
        return events

    def learn(self, events: list[EventData]) -> None:
        for event in events:
            for told in event.sessions if isinstance(event, CourseAccepted) else ():
                where = told.starts_at, told.ends_at, told.chair, told.provider
                self.model.setdefault(told.session_id, Known(event.course_id, event.patient_id, S.HELD, *where))
            if isinstance(event, SessionEvent):
                known = self.model[event.session_id]
                known.chair, known.provider = event.chair, event.provider

    # Steps ------------------------------------------------------------------------------------------------------------

    @rule(course=courses, wishes=st.lists(times, min_size=1, max_size=3))
    def ask(self, course: UUID, wishes: list[datetime]) -> None:
        patient = f"patient-{course.int // 2}"  # two courses are of one patient
        sessions = tuple(
            RequestedSession(session_id=session_id(n, course), starts_at=at) for n, at in enumerate(wishes, start=1)
        )
        if not self.is_open_to(course):
            self.tell(requested(course=course, patient_id=patient, sessions=sessions))
            return
        fits = all(DAY <= gap <= 10 * DAY for gap in self.gaps(wishes))  # so they do not take each other's places
        fits = fits and all(at > self.story.now and self.can_sit(at, patient) for at in wishes)
        events = self.tell(requested(course=course, patient_id=patient, sessions=sessions))
        assert [type(event) is CourseAccepted for event in events] == [fits]

    @rule(course=courses, day=st.integers(0, 9), count=st.integers(1, 3))
    def plan(self, course: UUID, day: int, count: int) -> None:
        plan = CoursePlan(first_day=(FIRST + day * DAY).date(), count=count)
        self.tell(requested(course=course, patient_id=f"patient-{course.int // 2}", sessions=None, plan=plan))

    @rule(course=courses, at=times)
    def add(self, course: UUID, at: datetime) -> None:
        wish = RequestedSession(session_id=session_id(50 + len(self.model), course), starts_at=at)
        if str(course) not in self.story.courses or self.story.course(course).state is not CourseState.ACCEPTED:
            return
        patient = f"patient-{course.int // 2}"
        before, after = self.gaps(self.series(course)), self.gaps([*self.series(course), at])
        fits = at > self.story.now and self.can_sit(at, patient)
        events = self.tell(CourseChangeRequested(course_id=course, add_sessions=(wish,)))
        if not fits or any(gap < DAY for gap in after if gap not in before):
            assert wish.session_id not in self.model
        elif all(DAY <= gap <= 10 * DAY for gap in after):
            assert wish.session_id in self.model, [event.type for event in events]

    @rule(course=courses, number=numbers, at=times)
    def move(self, course: UUID, number: int, at: datetime) -> None:
        id = session_id(number, course)
        known = self.model.get(id)
        if known is None:
            return
        lost = known.state is S.RELEASED and not known.answered  # whether the course may go on all the same
        lost = lost and self.story.course(course).state is CourseState.CLOSED
        free = at > self.story.now and self.can_sit(at, known.patient, but=id) and not lost
        gaps = self.gaps([*self.series(course, but=id), at])
        if any(isinstance(event, SessionRescheduled) for event in self.tell(moved(number, at, course))):
            assert free
            assert known.state in (S.HELD, S.CONFIRMED, S.MISSED, S.RELEASED)
            known.starts_at, known.ends_at = at, at + VISIT
            if not known.sits:
                known.state, known.backed = S.HELD, False
        elif known.state in (S.HELD, S.CONFIRMED, S.MISSED, S.RELEASED):
            assert not (free and all(DAY <= gap <= 10 * DAY for gap in gaps))

    @rule(day=st.integers(0, 9), hours=st.integers(1, 30), what=st.sampled_from(["place", "chair", "provider"]))
    def close(self, day: int, hours: int, what: str) -> None:
        begins = (FIRST + day * DAY + 8 * HOUR).replace(tzinfo=STELLA.location.tz)
        names = {} if what == "place" else {what: f"{what}-1"}
        wish = ClosureRequested.model_validate(
            {"closure_id": UUID(int=len(self.closed)), "location": "stella", "starts_at": begins}
            | {"ends_at": begins + hours * HOUR}
            | names
        )
        self.closed.append(wish)
        self.story.tell(wish)
        self.deliver(self.story.now)

    @rule(course=courses, number=numbers)
    def pay(self, course: UUID, number: int) -> None:
        id = session_id(number, course)
        known = self.model.get(id)
        if known is None:
            return
        self.given[id] = self.given.get(id, 0) + 1
        again = known.state is S.RELEASED and known.starts_at > self.story.now
        others = self.series(course, but=id)
        close_before = sum(gap < DAY for gap in self.gaps(others))
        close_after = sum(gap < DAY for gap in self.gaps([*others, known.starts_at]))
        again = again and self.can_sit(known.starts_at, known.patient, but=id)
        self.tell(satisfied(number, self.given[id], course))
        known.answered = self.given[id]
        known.backed = True
        if known.state is S.HELD or (again and close_after <= close_before):
            known.state = S.CONFIRMED
        elif known.state in (S.RELEASED, S.CANCELLED, S.MISSED):
            known.backed = False

    @rule(course=courses, number=numbers)
    def take_back(self, course: UUID, number: int) -> None:
        id = session_id(number, course)
        known = self.model.get(id)
        if known is None or not self.given.get(id) or (id, self.given[id]) in self.withdrawn:
            return
        self.withdrawn.add((id, self.given[id]))
        self.tell(withdrawn(number, self.given[id], course))
        if known.state is S.CONFIRMED:
            known.state, known.backed = S.HELD, False

    @rule(course=courses, number=numbers)
    def fall_overdue(self, course: UUID, number: int) -> None:
        known = self.model.get(session_id(number, course))
        if known is not None:
            self.tell(overdue(number, course))
            known.state = S.RELEASED if known.state is S.HELD else known.state

    @rule(course=courses, number=numbers)
    def give_up(self, course: UUID, number: int) -> None:
        known = self.model.get(session_id(number, course))
        if known is not None:
            self.tell(cancel(number, course))
            if known.state in (S.HELD, S.CONFIRMED, S.RELEASED):
                known.state = S.CANCELLED

    @rule(course=courses, number=numbers)
    def arrive(self, course: UUID, number: int) -> None:
        """At the minute of the appointment, if that is still to come."""
        known = self.model.get(session_id(number, course))
        if (
            known is not None
            and known.starts_at >= self.story.now
            and self.story.session(number, course).here_at is None
        ):
            self.deliver(known.starts_at)
            self.tell(checked_in(number, course))
            if known.state is S.CONFIRMED:
                known.state = S.CHECKED_IN
            elif known.state in (S.HELD, S.RELEASED):
                self.given[session_id(number, course)] = self.given.get(session_id(number, course), 0)

    @rule(course=courses, number=numbers)
    def stay_away(self, course: UUID, number: int) -> None:
        known = self.model.get(session_id(number, course))
        if known is not None:
            self.tell(missed(number, course))
            if known.state in (S.HELD, S.CONFIRMED):
                known.state = S.MISSED

    @rule(hours=st.sampled_from([1, 5, 30, 80]))
    def wait(self, hours: int) -> None:
        self.deliver(self.story.now + hours * HOUR)

    def deliver(self, until: datetime) -> None:
        """Let time pass: holds end, and who sits where something is closed is moved."""
        self.learn(events := self.story.deliver(until))
        for event in events:
            if isinstance(event, SessionEvent):
                known = self.model[event.session_id]
                if event.type == "booking.session.released.v1":
                    assert known.state is S.HELD
                    known.state = S.RELEASED
                else:
                    assert event.type == "booking.session.rescheduled.v1"
                    known.starts_at, known.ends_at = event.starts_at, event.ends_at

    def is_open_to(self, course: UUID) -> bool:
        """Whether a course was never asked for, or rejected."""
        return str(course) not in self.story.courses or self.story.course(course).state is CourseState.REJECTED

    # What must be true after every step -------------------------------------------------------------------------------

    @invariant()
    def the_model_and_booking_agree(self) -> None:
        for course in getattr(self, "story", Story()).courses.values():
            for session in course.sessions:
                known = self.model[session.session_id]
                if session.here_at is None:
                    assert session.state is known.state, f"{session.number}: {session.state}, not {known.state}"
                else:  # who waits at the desk is let in with the money
                    assert session.state in (known.state, S.CHECKED_IN)
                    known.state = session.state
                assert (session.starts_at, session.ends_at) == (known.starts_at, known.ends_at)

    @invariant()
    def nobody_sits_on_anybody(self) -> None:
        sitting = [(id, k) for id, k in getattr(self, "model", {}).items() if k.sits]
        for id, one in sitting:
            for other_id, two in sitting:
                if id < other_id and overlap((one.starts_at, one.ends_at), (two.starts_at, two.ends_at)):
                    assert one.chair != two.chair
                    assert one.provider != two.provider
                    assert one.patient != two.patient

    @invariant()
    def nobody_is_confirmed_without_money_and_each_grant_has_one_answer(self) -> None:
        for id, known in getattr(self, "model", {}).items():
            assert known.state not in (S.CONFIRMED, S.CHECKED_IN) or known.backed
            for grant in range(1, self.given.get(id, 0) + 1):
                assert self.story.grants[id, grant] == 1
        for id, grant in getattr(self, "withdrawn", ()):
            assert self.story.withdrawals[id, grant] == 1


Booking.TestCase.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestBooking = Booking.TestCase
