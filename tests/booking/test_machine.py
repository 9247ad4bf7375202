"""Booking against a model so simple that it can be seen to be right: lists, searched from end to end.

The model says of every request, fact and deadline what must become of it; only which chair and which provider are taken
it learns from the answer. The story checks versions, transitions and overlaps by itself.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import Final, Literal, NamedTuple
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.booking.rules.closures import ClosureRequested
from services.booking.rules.course import OVER, CourseState, TimerKind
from shared.contract.booking import CourseAccepted, SessionEvent
from shared.contract.clinic import CoursePlan, RequestedSession
from shared.contract.closed_sets import SessionState
from shared.contract.internal import TimerDue
from shared.contract.register import CourseEvent, EventData
from tests.facts.billing import prepayment_overdue, prepayment_satisfied, prepayment_withdrawn, pricing_rejected
from tests.facts.clinic import (
    course_cancel_requested,
    course_change_requested,
    course_requested,
    patient_checked_in,
    patient_missed,
    session_cancel_requested,
    session_reschedule_requested,
    treatment_completed,
)
from tests.facts.course import DAY, HOUR, NOW, session_id
from tests.stand_ins.booking_places import STELLA, room
from tests.stand_ins.booking_story import Story

VISIT: Final = timedelta(minutes=105)
QUARTER: Final = timedelta(minutes=15)
FIRST: Final = datetime(2026, 3, 6)  # noqa: DTZ001 - the clock on the wall; a Friday, and on Sunday it goes forward
COURSES: Final = tuple(UUID(int=n) for n in range(1, 5))
CANCELLABLE: Final = (SessionState.HELD, SessionState.CONFIRMED, SessionState.RELEASED)
MOVABLE: Final = (*CANCELLABLE, SessionState.MISSED)


def at_wall(wall: datetime) -> datetime:
    """The instant at which the clock of the place shows this."""
    return wall.replace(tzinfo=STELLA.location.tz).astimezone(NOW.tzinfo)


def wall_of(instant: datetime) -> datetime:
    """What the clock of the place shows."""
    return STELLA.location.local(instant).replace(tzinfo=None)


picks = st.integers(0, 11)
courses = st.sampled_from(COURSES)
times = st.builds(
    lambda day, hour, quarter: at_wall(FIRST + day * DAY + hour * HOUR + quarter * QUARTER),
    st.sampled_from([0, 3, 4, 5, 6, 7, 3, 4, 5, 1, 11, 13]),
    st.sampled_from([8, 9, 10, 10, 11, 12, 14, 17, 7]),
    st.sampled_from([0, 0, 0, 1, 3]),
)


@dataclass
class Known:
    """A session as the model has it. `here`: the patient came unpaid, for the time that it has."""

    id: UUID
    course: UUID
    patient: str
    starts_at: datetime
    ends_at: datetime
    chair: str
    provider: str
    state: SessionState = SessionState.HELD
    answered: int = 0
    here: bool = False

    @property
    def sits(self) -> bool:
        """Whether it has its place."""
        return self.state in (SessionState.HELD, SessionState.CONFIRMED, SessionState.CHECKED_IN)

    def move(self, to: datetime) -> None:
        self.here = self.here and to == self.starts_at
        self.starts_at, self.ends_at = to, to + VISIT


class Money(NamedTuple):
    """What billing told of a session, and when."""

    what: Literal["grant", "withdraw", "overdue", "unpriced"]
    id: UUID
    grant: int
    at: datetime


@dataclass
class Standing:
    """A course as the model has it: whether its hold runs, and what waits until it has ended."""

    hold_open: bool = False
    hold_expires_at: datetime = NOW
    waiting: list[Money] = field(default_factory=list)


def overlap(one: tuple[datetime, datetime], two: tuple[datetime, datetime]) -> bool:
    return one[0] < two[1] and two[0] < one[1]


def clashes(series: Mapping[UUID, datetime]) -> set[tuple[UUID, str]]:
    """What is wrong with the rhythm of a series: Stella's, from a day to ten, within three weeks."""
    wall = sorted((wall_of(at), id) for id, at in series.items())
    wrong = {(id, "close") for (before, _), (at, id) in pairwise(wall) if at - before < DAY}
    wrong |= {(id, "far") for (before, _), (at, id) in pairwise(wall) if at - before > 10 * DAY}
    if wall and wall[-1][0] - wall[0][0] > 21 * DAY:
        wrong.add((wall[-1][1], "long"))
    return wrong


class Booking(RuleBasedStateMachine):
    """Four courses of three patients want a place with one or two chairs."""

    def __init__(self) -> None:
        super().__init__()
        self.places = room(1)
        self.story = Story(self.places)
        self.model: dict[UUID, Known] = {}
        self.standing: dict[UUID, Standing] = {}
        self.early: dict[UUID, list[Money]] = {}
        self.closed: list[ClosureRequested] = []
        self.given: Counter[UUID] = Counter()
        self.withdrawn: set[tuple[UUID, int]] = set()
        self.answers: Counter[tuple[UUID, int]] = Counter()
        self.withdrawals: Counter[tuple[UUID, int]] = Counter()

    @initialize(chairs=st.integers(1, 2), providers=st.integers(1, 2), life=st.sampled_from([0, 1, 2, 3, 3]))
    def begin(self, chairs: int, providers: int, life: int) -> None:
        """A place where nothing is booked, or a course is held, is paid in part, or is under way on a clinic's day."""
        self.places = room(chairs, providers)
        self.story = Story(self.places)
        monday = at_wall(FIRST + 3 * DAY + 10 * HOUR)
        if life >= 1:
            self.ask(COURSES[0], [at_wall(FIRST + 10 * HOUR), monday, monday + 2 * DAY])
            self.ask(COURSES[2], [at_wall(FIRST + 14 * HOUR), monday + 3 * DAY])
            self.ask(COURSES[1], [monday + DAY])  # of the same patient
        if life >= 2:
            self.pay(0)
            self.pay(1)
            self.fall_overdue(2)
        if life >= 3:
            self.close(5, 10, "place")
            self.stay_away(0, at_start=True)
            self.arrive(0, timedelta())

    # The model's few rules --------------------------------------------------------------------------------------------

    def can_sit(self, at: datetime, patient: str, but: UUID | None = None) -> bool:
        """Whether there is a chair and a provider, with the place open and the patient free."""
        stretch = at, at + VISIT
        wall = [wall_of(instant) for instant in stretch]
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

    def is_displaced(self, known: Known) -> bool:
        """Whether something is closed where a session sits."""
        return any(
            overlap((c.starts_at, c.ends_at), (known.starts_at, known.ends_at))
            and c.chair in (None, known.chair)
            and c.provider in (None, known.provider)
            for c in self.closed
        )

    def series(self, course: UUID, but: UUID | None = None) -> dict[UUID, datetime]:
        """When a course's sessions are that stand, or were given."""
        return {
            id: k.starts_at
            for id, k in self.model.items()
            if k.course == course and id != but and (k.sits or k.state is SessionState.COMPLETED)
        }

    def keeps_rhythm(self, known: Known, to: datetime) -> bool:
        """Whether a move breaks nothing of the series that is not broken already."""
        others = self.series(known.course, but=known.id)
        if not known.sits:
            return not any(what == "close" for _, what in clashes(others | {known.id: to}) - clashes(others))
        return clashes(others | {known.id: to}) <= clashes(others | {known.id: known.starts_at})

    def state_of(self, course: UUID) -> CourseState:
        """A course is over when its sessions are."""
        states = [k.state for k in self.model.values() if k.course == course]
        if not all(state in OVER for state in states):
            return CourseState.ACCEPTED
        return CourseState.COMPLETED if SessionState.COMPLETED in states else CourseState.CLOSED

    def hear(self, money: Money, course: UUID) -> None:
        """What billing tells: it waits behind what waits, and a grant waits for the end of a hold that has run out."""
        standing = self.standing[course]
        known = self.model.get(money.id)
        is_new = known is not None and money.what == "grant" and money.grant > known.answered
        if standing.waiting or (is_new and standing.hold_open and money.at > standing.hold_expires_at):
            standing.waiting.append(money)
        elif money.what == "unpriced":
            self.release_held(course)
        elif known is not None:
            self.settle(known, money)

    def settle(self, known: Known, money: Money) -> None:
        match money.what:
            case "grant" if money.grant > known.answered:
                known.answered = money.grant
                self.answers[known.id, money.grant] += 1
                again = known.state is SessionState.RELEASED and known.starts_at > money.at
                again = again and self.can_sit(known.starts_at, known.patient, but=known.id)
                if known.state is SessionState.HELD or (again and self.keeps_rhythm(known, known.starts_at)):
                    is_let_in = known.here and money.at <= known.ends_at
                    known.state = SessionState.CHECKED_IN if is_let_in else SessionState.CONFIRMED
                    self.standing[known.course].hold_open = False
            case "withdraw":
                self.withdrawals[known.id, money.grant] += 1
                if known.state is SessionState.CONFIRMED:
                    known.state = SessionState.HELD
            case "overdue" if known.state is SessionState.HELD:
                known.state = SessionState.RELEASED

    def release_held(self, course: UUID) -> None:
        for known in self.model.values():
            if known.course == course and known.state is SessionState.HELD:
                known.state = SessionState.RELEASED

    def end_hold(self, course: UUID) -> None:
        standing = self.standing[course]
        standing.hold_open, waiting, standing.waiting = False, standing.waiting, []
        for money in waiting:
            self.hear(money, course)

    def learn(self, events: Iterable[EventData]) -> None:
        """Take from an answer what the model does not foresee: which chair, and which provider."""
        for event in events:
            if isinstance(event, CourseAccepted):  # or changed: then it tells of all its sessions again
                for told in event.sessions:
                    where = told.starts_at, told.ends_at, told.chair, told.provider
                    self.model.setdefault(
                        told.session_id, Known(told.session_id, event.course_id, event.patient_id, *where)
                    )
                self.standing.setdefault(event.course_id, Standing(True, event.hold_expires_at))
            if isinstance(event, SessionEvent):
                known = self.model[event.session_id]
                known.chair, known.provider = event.chair, event.provider

    def tell(self, data: EventData) -> list[EventData]:
        events = self.story.tell(data)
        self.learn(events)
        return events

    def about(self, known: Known, fact: CourseEvent) -> list[EventData]:
        """Tell a fact of this session."""
        return self.tell(fact.model_copy(update={"course_id": known.course, "session_id": known.id}))

    def those(self, *states: SessionState) -> list[Known]:
        return [known for known in self.model.values() if not states or known.state in states]

    def pick(self, number: int, *states: SessionState) -> Known:
        """One of the sessions that are in one of these states, or one of all where there is none."""
        found = self.those(*states) or self.those()
        return found[number % len(found)]

    # Steps ------------------------------------------------------------------------------------------------------------

    @rule(course=courses, wishes=st.lists(times, min_size=1, max_size=3))
    def ask(self, course: UUID, wishes: list[datetime]) -> None:
        patient = f"patient-{course.int // 2}"  # two courses are of one patient
        ids = [session_id(n, course) for n in range(1, len(wishes) + 1)]
        sessions = tuple(RequestedSession(session_id=id, starts_at=at) for id, at in zip(ids, wishes, strict=True))
        wish = course_requested(course=course, patient_id=patient, sessions=sessions)
        if course in self.standing:
            self.tell(wish)
            return
        fits = not clashes(dict(zip(ids, wishes, strict=True)))  # so they do not take each other's places
        fits = fits and all(at > self.story.now and self.can_sit(at, patient) for at in wishes)
        events = self.tell(wish)
        assert any(isinstance(event, CourseAccepted) for event in events) is fits
        for money in self.early.pop(course, []):
            if fits:
                self.hear(money, course)

    @precondition(lambda self: len(self.standing) < len(COURSES))
    @rule(pick=picks, day=st.integers(0, 9), count=st.integers(1, 3))
    def plan(self, pick: int, day: int, count: int) -> None:
        unknown = [course for course in COURSES if course not in self.standing]
        course = unknown[pick % len(unknown)]
        patient = f"patient-{course.int // 2}"
        plan = CoursePlan(first_day=(FIRST + day * DAY).date(), count=count)
        events = self.story.tell(course_requested(course=course, patient_id=patient, sessions=None, plan=plan))
        found = [told for event in events if isinstance(event, CourseAccepted) for told in event.sessions]
        assert all(self.can_sit(told.starts_at, patient) for told in found)
        assert not clashes({told.session_id: told.starts_at for told in found})
        assert len(found) in (0, count)
        self.learn(events)
        for money in self.early.pop(course, []):
            if found:
                self.hear(money, course)

    @precondition(lambda self: len(self.standing) < len(COURSES))
    @rule(pick=picks, number=st.integers(1, 3), what=st.sampled_from(["grant", "grant", "overdue"]))
    def pay_early(self, pick: int, number: int, what: Literal["grant", "overdue"]) -> None:
        """Billing tells of a session before its course is known here, or after it was rejected."""
        unknown = [course for course in COURSES if course not in self.standing]
        course = unknown[pick % len(unknown)]
        id = session_id(number, course)
        if what == "grant":
            self.given[id] += 1
        was_rejected = str(course) in self.story.courses and self.story.course(course).request is not None
        self.tell(
            prepayment_satisfied(number, self.given[id], course)
            if what == "grant"
            else prepayment_overdue(number, course)
        )
        if not was_rejected:
            self.early.setdefault(course, []).append(Money(what, id, self.given[id], self.story.now))

    @precondition(lambda self: bool(self.standing))
    @rule(pick=picks, at=times)
    def add(self, pick: int, at: datetime) -> None:
        course = sorted(self.standing)[pick % len(self.standing)]
        wish = RequestedSession(session_id=session_id(50 + len(self.model), course), starts_at=at)
        series = self.series(course)
        fits = self.state_of(course) is CourseState.ACCEPTED and at > self.story.now
        fits = fits and self.can_sit(at, f"patient-{course.int // 2}")
        fits = fits and clashes(series | {wish.session_id: at}) <= clashes(series)
        self.tell(course_change_requested(course, add_sessions=(wish,)))
        assert (wish.session_id in self.model) is fits

    @precondition(lambda self: bool(self.model))
    @rule(pick=picks, at=times)
    def move(self, pick: int, at: datetime) -> None:
        known = self.pick(pick, *MOVABLE)
        moves = self.may_move(known, at)
        self.about(known, session_reschedule_requested(1, at))
        if moves:
            self.moved(known, at)

    @precondition(lambda self: bool(self.those(*MOVABLE)))
    @rule(pick=picks, by=st.sampled_from([-2 * DAY, -DAY, -HOUR, timedelta(), HOUR, DAY, 2 * DAY]))
    def move_by(self, pick: int, by: timedelta) -> None:
        """To a time near by, or to the same."""
        self.move(pick, at_wall(wall_of(self.pick(pick, *MOVABLE).starts_at) + by))

    def pairs(self) -> list[tuple[Known, Known]]:
        """Two sessions of a course: one that can be moved, and one that is granted nothing and still to come."""
        return [
            (one, other)
            for one in self.those(*MOVABLE)
            for other in self.those(SessionState.HELD, SessionState.RELEASED)
            if one.course == other.course and one is not other and other.starts_at > self.story.now
        ]

    @precondition(lambda self: bool(self.pairs()))
    @rule(
        pick=picks, hours=st.sampled_from([-24, -22, -3, -2, 2, 3, 22, 24]), pays=st.sampled_from([True, True, False])
    )
    def crowd(self, pick: int, hours: int, pays: bool) -> None:
        """A session is released, another of its course is moved close to it, and its money comes after all."""
        known, other = self.pairs()[pick % len(self.pairs())]
        if other.state is SessionState.HELD:
            self.fall(other)
        at = at_wall(wall_of(other.starts_at) + hours * HOUR)
        moves = self.may_move(known, at)
        self.about(known, session_reschedule_requested(1, at))
        if moves:
            self.moved(known, at)
        if pays:
            self.grant(other)

    def may_move(self, known: Known, at: datetime) -> bool:
        lost = known.state is SessionState.RELEASED and not known.answered  # whether the course may go on all the same
        lost = lost and self.state_of(known.course) is CourseState.CLOSED
        free = at > self.story.now and self.can_sit(at, known.patient, but=known.id)
        return known.state in MOVABLE and not lost and free and self.keeps_rhythm(known, at)

    def moved(self, known: Known, at: datetime) -> None:
        known.move(at)
        if not known.sits:
            known.state = SessionState.HELD

    @precondition(lambda self: bool(self.those(*MOVABLE)))
    @rule(
        pick=picks,
        other=picks,
        by=st.sampled_from([-VISIT, -HOUR, timedelta(), HOUR, VISIT]),
        is_kin=st.booleans(),
    )
    def follow(self, pick: int, other: int, by: timedelta, is_kin: bool) -> None:
        """To where another session sits, which may be of the same patient, to its edge, or across it."""
        known = self.pick(pick, *MOVABLE)
        sitting = [one for one in self.model.values() if one.sits and one is not known]
        found = [one for one in sitting if is_kin and one.patient == known.patient] or sitting or [known]
        self.move(pick, found[other % len(found)].starts_at + by)

    @precondition(lambda self: bool(self.those(SessionState.HELD, SessionState.CONFIRMED)))
    @rule(pick=picks, lost=picks, others=st.lists(picks, max_size=2))
    def take_over(self, pick: int, lost: int, others: list[int]) -> None:
        """In one batch a session is given up, and others are moved to where it was: first one that has no place."""
        gone = self.pick(pick, SessionState.HELD, SessionState.CONFIRMED)
        at = gone.starts_at
        lost_one = self.pick(lost, SessionState.RELEASED, SessionState.MISSED)
        movers = [known for known in (lost_one, *(self.pick(n, *MOVABLE) for n in others)) if known is not gone]
        answers = self.story.in_one_batch(
            session_cancel_requested(1, gone.course).model_copy(update={"session_id": gone.id}),
            *(
                session_reschedule_requested(1, at, known.course).model_copy(update={"session_id": known.id})
                for known in movers
            ),
        )
        gone.state = SessionState.CANCELLED
        self.learn(next(answers))
        for known in movers:
            moves = self.may_move(known, at)
            self.learn(next(answers))
            if moves:
                self.moved(known, at)

    @rule(
        day=st.sampled_from([0, 3, 4, 5, 6, 7]),
        hours=st.sampled_from([1, 3, 10, 30]),
        what=st.sampled_from(["place", "chair", "provider"]),
    )
    def close(self, day: int, hours: int, what: str) -> None:
        begins = at_wall(FIRST + day * DAY + 8 * HOUR)
        names = {} if what == "place" else {what: f"{what}-1"}
        wish = ClosureRequested.model_validate(
            {"closure_id": UUID(int=len(self.closed)), "location": "stella", "starts_at": begins}
            | {"ends_at": begins + hours * HOUR}
            | names
        )
        earlier, self.closed = self.closed, [wish]
        expected = {str(known.id) for known in self.model.values() if known.sits and self.is_displaced(known)}
        self.closed = [*earlier, wish]
        self.story.tell(wish)
        assert {subject for _, kind, subject in self.story.timers if kind == TimerKind.DISPLACED} == expected
        self.deliver(self.story.now)

    @precondition(lambda self: bool(self.model))
    @rule(pick=picks)
    def pay(self, pick: int) -> None:
        """Billing grants a session, most often one that waits for it."""
        self.grant(self.pick(pick, SessionState.HELD, SessionState.RELEASED, *([] if pick % 4 else list(SessionState))))

    def grant(self, known: Known) -> None:
        self.given[known.id] += 1
        self.hear(Money("grant", known.id, self.given[known.id], self.story.now), known.course)
        self.about(known, prepayment_satisfied(1, self.given[known.id]))

    @precondition(lambda self: any(self.given[id] for id in self.model))
    @rule(pick=picks)
    def pay_again(self, pick: int) -> None:
        """The last grant is told once more: it has been answered."""
        granted = [known for known in self.model.values() if self.given[known.id]]
        known = granted[pick % len(granted)]
        self.hear(Money("grant", known.id, self.given[known.id], self.story.now), known.course)
        self.about(known, prepayment_satisfied(1, self.given[known.id]))

    @precondition(lambda self: any(standing.hold_open for standing in self.standing.values()))
    @rule(pick=picks, delivered=st.booleans())
    def pay_late(self, pick: int, delivered: bool) -> None:
        """A grant is heard after the end of the hold, before the hold's timer has been delivered or after it."""
        late = [k for k in self.model.values() if self.standing[k.course].hold_open]
        known = late[pick % len(late)]
        self.story.now = max(self.story.now, self.standing[known.course].hold_expires_at + HOUR)
        if delivered:
            self.deliver(self.story.now)
        self.grant(known)

    def granted(self) -> list[Known]:
        """Those of which the last grant has not been taken back."""
        return [k for k in self.model.values() if self.given[k.id] and (k.id, self.given[k.id]) not in self.withdrawn]

    @precondition(lambda self: bool(self.granted()))
    @rule(pick=picks)
    def take_back(self, pick: int) -> None:
        known = self.granted()[pick % len(self.granted())]
        grant = self.given[known.id]
        self.withdrawn.add((known.id, grant))
        self.hear(Money("withdraw", known.id, grant, self.story.now), known.course)
        self.about(known, prepayment_withdrawn(1, grant))

    @precondition(lambda self: bool(self.model))
    @rule(pick=picks)
    def fall_overdue(self, pick: int) -> None:
        self.fall(self.pick(pick, *([SessionState.HELD] if pick % 4 else [])))

    def fall(self, known: Known) -> None:
        self.hear(Money("overdue", known.id, 0, self.story.now), known.course)
        self.about(known, prepayment_overdue(1))

    @precondition(lambda self: any(standing.hold_open for standing in self.standing.values()))
    @rule(pick=picks)
    def find_no_price(self, pick: int) -> None:
        held = [course for course, standing in self.standing.items() if standing.hold_open]
        course = held[pick % len(held)]
        self.hear(Money("unpriced", course, 0, self.story.now), course)
        self.tell(pricing_rejected(course))

    @precondition(lambda self: bool(self.model))
    @rule(pick=picks, whole=st.sampled_from([False, False, False, True]))
    def give_up(self, pick: int, whole: bool) -> None:
        known = self.pick(pick)
        if whole:
            self.give_up_all(known.course)
            return
        self.about(known, session_cancel_requested(1))
        if known.state in CANCELLABLE:
            known.state = SessionState.CANCELLED

    def give_up_all(self, course: UUID) -> None:
        self.tell(course_cancel_requested(course))
        for known in self.model.values():
            if known.course == course and known.state in CANCELLABLE:
                known.state = SessionState.CANCELLED
        self.end_hold(course)

    @precondition(lambda self: bool(self.model))
    @rule(pick=picks, after=st.sampled_from([-30 * HOUR, -12 * HOUR, timedelta(), HOUR, 2 * HOUR]))
    def arrive(self, pick: int, after: timedelta) -> None:
        """So long before or after the start of the appointment, if that is still to come."""
        known = self.pick(pick, SessionState.HELD, SessionState.CONFIRMED, SessionState.RELEASED)
        self.deliver(max(self.story.now, known.starts_at + after))
        self.check_in(known)

    def check_in(self, known: Known) -> None:
        self.about(known, patient_checked_in(1))
        if self.story.now < known.starts_at - 12 * HOUR:
            return
        if known.state is SessionState.CONFIRMED and self.story.now <= known.ends_at:
            known.state = SessionState.CHECKED_IN
        elif known.state in (SessionState.HELD, SessionState.RELEASED):
            known.here = True

    @precondition(lambda self: bool(self.those(SessionState.HELD, SessionState.RELEASED)))
    @rule(pick=picks, hours=st.sampled_from([0, 0, 1, 2]))
    def pay_at_the_desk(self, pick: int, hours: int) -> None:
        """Somebody who was not granted a session comes to it, and is granted it in time or too late."""
        known = self.pick(pick, SessionState.HELD, SessionState.RELEASED)
        self.deliver(max(self.story.now, known.starts_at - HOUR / 4))
        self.check_in(known)
        self.deliver(self.story.now + hours * HOUR)
        self.grant(known)

    @precondition(lambda self: bool(self.those(SessionState.CHECKED_IN, SessionState.CONFIRMED)))
    @rule(pick=picks)
    def be_treated(self, pick: int) -> None:
        known = self.pick(pick, *([SessionState.CHECKED_IN, SessionState.CONFIRMED] if pick % 4 else []))
        self.about(known, treatment_completed(1))
        known.state = SessionState.COMPLETED

    @precondition(lambda self: bool(self.those(SessionState.HELD, SessionState.CONFIRMED)))
    @rule(pick=picks, at_start=st.booleans())
    def stay_away(self, pick: int, at_start: bool) -> None:
        known = self.pick(pick, *([SessionState.HELD, SessionState.CONFIRMED] if pick % 4 else []))
        if at_start:
            self.deliver(max(self.story.now, known.starts_at))
        self.about(known, patient_missed(1))
        if known.state in (SessionState.HELD, SessionState.CONFIRMED):
            known.state = SessionState.MISSED

    @precondition(lambda self: bool(self.story.timers))
    @rule(hours=st.sampled_from([1, 5, 30]))
    def wait(self, hours: int) -> None:
        self.deliver(self.story.now + hours * HOUR)

    # Time -------------------------------------------------------------------------------------------------------------

    def deliver(self, until: datetime) -> None:
        """Let time pass: holds end, and who sits where something is closed is moved."""
        for timer, events in self.story.falling_due(until):
            match TimerKind(timer.kind):
                case TimerKind.HOLD:
                    course = UUID(timer.of)
                    assert self.standing[course].hold_open
                    assert self.standing[course].hold_expires_at == timer.due_at
                    self.release_held(course)
                    self.end_hold(course)
                case TimerKind.DISPLACED:
                    self.displace(self.model[UUID(timer.subject)], timer)
                case TimerKind.UNREPORTED:
                    known = self.model[UUID(timer.subject)]
                    assert known.state in (SessionState.CONFIRMED, SessionState.CHECKED_IN)
                    assert timer.due_at == known.ends_at + 12 * HOUR
                case TimerKind.UNKNOWN:
                    assert UUID(timer.of) in self.early
            self.learn(events)
            self.the_model_and_booking_agree()

    def displace(self, known: Known, timer: TimerDue) -> None:
        """To the same time in another chair, else to the next time that keeps the rhythm, within two weeks."""
        if known.state not in (SessionState.HELD, SessionState.CONFIRMED) or not self.is_displaced(known):
            return
        if self.can_sit(known.starts_at, known.patient, but=known.id):
            return
        after = max(known.starts_at, timer.due_at)
        later = (
            at
            for at in self.quarters(wall_of(known.starts_at))
            if at > after and self.can_sit(at, known.patient, but=known.id) and self.keeps_rhythm(known, at)
        )
        known.move(next(later, known.starts_at))

    @staticmethod
    def quarters(wall: datetime) -> Iterator[datetime]:
        """The starts of two weeks that lie in opening hours."""
        midnight = datetime.combine(wall, time())
        for day in range(15):
            if (midnight + day * DAY).weekday() < 5:
                yield from (at_wall(midnight + day * DAY + 8 * HOUR + n * QUARTER) for n in range(38))

    # What must be true after every step -------------------------------------------------------------------------------

    @invariant()
    def the_model_and_booking_agree(self) -> None:
        ids = {session.session_id for course in self.story.courses.values() for session in course.sessions}
        assert ids == self.model.keys()
        for id, standing in self.standing.items():
            course = self.story.course(id)
            assert course.state is self.state_of(id)
            assert course.hold_open is standing.hold_open
            assert len(course.waiting) == len(standing.waiting)
            for session in course.sessions:
                known = self.model[session.session_id]
                assert session.state is known.state, f"{session.number}: {session.state}, not {known.state}"
                assert (session.starts_at, session.ends_at) == (known.starts_at, known.ends_at)
                assert (session.chair, session.provider) == (known.chair, known.provider)
                assert session.grant == known.answered
                assert (session.here_at is not None) is known.here

    @invariant()
    def nobody_sits_on_anybody(self) -> None:
        for id, one in (sitting := [(id, k) for id, k in self.model.items() if k.sits]):
            for other_id, two in sitting:
                if id < other_id and overlap((one.starts_at, one.ends_at), (two.starts_at, two.ends_at)):
                    assert one.chair != two.chair
                    assert one.provider != two.provider
                    assert one.patient != two.patient

    @invariant()
    def nobody_is_confirmed_without_a_grant_and_each_grant_has_one_answer(self) -> None:
        for known in self.model.values():
            assert known.state not in (SessionState.CONFIRMED, SessionState.CHECKED_IN) or known.answered
        assert self.story.grants == self.answers
        assert self.story.withdrawals == self.withdrawals


Booking.TestCase.settings = settings(
    max_examples=600, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestBooking = Booking.TestCase
