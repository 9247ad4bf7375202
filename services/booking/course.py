"""A course and its sessions: where each can stand, and one decision about them in the making. Pure.

A session moves along `TRANSITIONS` and nowhere else.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.booking.occupancy import Calendar, Taken
from services.booking.profile import Place
from services.booking.protocol import Visit
from services.booking.seating import Visitor
from shared.contract import (
    CourseRequested,
    EventData,
    Refusal,
    RequestRejected,
    SessionCancelled,
    SessionCheckedIn,
    SessionCompleted,
    SessionConfirmed,
    SessionEvent,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
    SessionState,
    SessionUnconfirmed,
)
from shared.decision import Attention, Decision, Timer
from shared.envelope import Message
from shared.value import changed_often

S = SessionState

TRANSITIONS: Final[Mapping[SessionState, Mapping[SessionState, type[SessionEvent]]]] = {
    S.HELD: {
        S.CONFIRMED: SessionConfirmed,
        S.RELEASED: SessionReleased,
        S.CANCELLED: SessionCancelled,
        S.MISSED: SessionMissed,
        S.COMPLETED: SessionCompleted,
    },
    S.CONFIRMED: {
        S.HELD: SessionUnconfirmed,
        S.CHECKED_IN: SessionCheckedIn,
        S.CANCELLED: SessionCancelled,
        S.MISSED: SessionMissed,
        S.COMPLETED: SessionCompleted,
    },
    S.CHECKED_IN: {S.COMPLETED: SessionCompleted},
    S.RELEASED: {
        S.CONFIRMED: SessionConfirmed,
        S.HELD: SessionRescheduled,
        S.CANCELLED: SessionCancelled,
        S.COMPLETED: SessionCompleted,
    },
    S.MISSED: {S.HELD: SessionRescheduled, S.COMPLETED: SessionCompleted},
    S.CANCELLED: {S.COMPLETED: SessionCompleted},
    S.COMPLETED: {},
}
"""Where a session can go, and what is told of it. A treatment that was given is a fact from wherever it came; unpaid, a
person hears of it.
"""

OCCUPYING: Final = frozenset({S.HELD, S.CONFIRMED, S.CHECKED_IN})
"""States in which a session has its chair, its provider and its patient to itself."""

OVER: Final = frozenset({S.COMPLETED, S.MISSED, S.CANCELLED, S.RELEASED})


class CourseState(StrEnum):
    """Where a course stands. `awaited`: something about it came, its request did not yet."""

    AWAITED = "awaited"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    COMPLETED = "completed"
    CLOSED = "closed"


@changed_often
class Session(NamedTuple):
    """One appointment. `grant` is the last that was answered (0: none); `here_at` remembers an unpaid check-in.

    `provider_from` and `provider_until`: where the provider stays for a part of the visit only.
    """

    session_id: UUID
    number: int
    state: SessionState
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    chair: str
    provider: str
    provider_from: datetime | None = None
    provider_until: datetime | None = None
    version: int = 1
    grant: int = 0
    here_at: datetime | None = None

    def seated(self, place: Place, taken: Taken) -> "Session":
        """This session at another time, or in another chair."""
        return self._replace(
            starts_at=taken.starts_at,
            ends_at=taken.ends_at,
            time_zone=place.location.zone,
            chair=taken.chair,
            provider=taken.provider,
            provider_from=taken.provider_from,
            provider_until=taken.provider_until,
        )


@changed_often
class Course(NamedTuple):
    """A course of sessions, in order of their number.

    `request` is the course as it stands; `original` what was asked for first, where a change came since.
    `hold_open`: nothing has been confirmed yet, and the hold has not run out. `waiting`: what must be decided later.
    """

    course_id: UUID
    state: CourseState = CourseState.AWAITED
    request: CourseRequested | None = None
    original: CourseRequested | None = None
    hold_expires_at: datetime | None = None
    hold_open: bool = False
    sessions: tuple[Session, ...] = ()
    waiting: tuple[Message, ...] = ()

    def session(self, session_id: UUID) -> Session | None:
        """The session with this id."""
        return next((s for s in self.sessions if s.session_id == session_id), None)


def visit_of(session: Session) -> Visit:
    """How long a session takes that has its place, whatever its protocol says by now."""
    share = session.provider_from or session.starts_at, session.provider_until or session.ends_at
    return Visit(session.ends_at - session.starts_at, share[0] - session.starts_at, share[1] - session.starts_at)


class IllegalTransition(Exception):
    """A rule tried to move a session where `TRANSITIONS` has no way: a defect of the rule."""


Places = Mapping[str, Place]


class Draft:
    """One decision in the making: the course as it becomes, and what is to be told."""

    def __init__(self, places: Places, course: Course, message: Message, now: datetime, calendar: Calendar) -> None:
        self.places = places
        self.course = course
        self.message = message
        self.now = now
        self.calendar = calendar
        self.events: list[EventData] = []
        self.timers: list[Timer] = []
        self.attention: list[Attention] = []
        self.replay: list[Message] = []  # what had waited and can be decided now, in order

    @property
    def request(self) -> CourseRequested:
        """What the course was accepted from, with later changes."""
        assert self.course.request is not None
        return self.course.request

    @property
    def place(self) -> Place:
        """Where the course takes place."""
        return self.places[self.request.location]

    @property
    def visitor(self) -> Visitor:
        """The patient, with the visit that a session of this course takes."""
        return Visitor.of(self.request, self.place)

    def others(self, session: Session) -> list[tuple[UUID, datetime]]:
        """The rhythm in which a session stands: what is still to be given, or was."""
        return [
            (other.session_id, other.starts_at)
            for other in self.course.sessions
            if other.session_id != session.session_id and (other.state in OCCUPYING or other.state is S.COMPLETED)
        ]

    def taken(self, session: Session) -> Taken:
        """A session's place, as the calendar has it."""
        return Taken(
            session.session_id,
            self.course.course_id,
            self.request.location,
            session.chair,
            session.provider,
            self.request.patient_id,
            session.starts_at,
            session.ends_at,
            session.provider_from,
            session.provider_until,
        )

    def decision(self) -> Decision[Any, Calendar]:
        """What the worker writes down."""
        return Decision(self.course, tuple(self.events), tuple(self.timers), tuple(self.attention), self.calendar)

    def change(self, session: Session, event: type[SessionEvent], **told: Any) -> Session:
        """Count the session's version up, keep it, and tell of it. Fields of the event go in `told`."""
        changed = session._replace(version=session.version + 1)
        self.course = self.course._replace(
            sessions=tuple(changed if s.session_id == changed.session_id else s for s in self.course.sessions),
        )
        self.events.append(
            event.model_construct(
                course_id=self.course.course_id,
                patient_id=self.request.patient_id,
                companions=self.request.companions,
                location=self.request.location,
                treatment=self.request.treatment,
                **booked(self.course, changed),
                **told,
            )
        )
        return changed

    def move(self, session: Session, to: SessionState, **told: Any) -> Session:
        """Move a session along the table and tell of it; its place in the calendar goes with its state.

        Raises:
            IllegalTransition: the table has no such way.
        """
        event = TRANSITIONS[session.state].get(to)
        if event is None:
            raise IllegalTransition(f"{session.state} -> {to}")
        if session.state in OCCUPYING and to not in OCCUPYING:
            self.calendar = self.calendar.free(session.session_id)
        if to in OVER:
            self.timers.append(Timer("unreported", None, str(session.session_id)))
        return self.change(session._replace(state=to), event, **told)

    def reopen(self) -> None:
        """A course that was over goes on: one of its sessions has a place again."""
        if self.course.state in (CourseState.CLOSED, CourseState.COMPLETED):
            self.course = self.course._replace(state=CourseState.ACCEPTED)

    def wait(self) -> None:
        """Keep the message until it can be decided."""
        self.course = self.course._replace(waiting=(*self.course.waiting, self.message))

    def refuse(self, code: Refusal, detail: str) -> None:
        """Answer a request or fact with the rule that it breaks."""
        self.events.append(
            RequestRejected(course_id=self.course.course_id, request_id=self.message.id, code=code, detail=detail)
        )


def booked(course: Course, session: Session) -> dict[str, Any]:
    """The fields of a session as the contract tells them."""
    return {
        "session_id": session.session_id,
        "number": session.number,
        "of": len(course.sessions),
        "state": session.state,
        "starts_at": session.starts_at,
        "ends_at": session.ends_at,
        "time_zone": session.time_zone,
        "chair": session.chair,
        "provider": session.provider,
        "version": session.version,
    }
