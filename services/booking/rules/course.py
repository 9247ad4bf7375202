"""A course and its sessions as values, the states of both, and the kinds of their timers. Pure.

A session moves along `TRANSITIONS` and nowhere else.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from services.booking.chairs.calendar import Taken
from services.booking.chairs.location import ChairPlan
from services.booking.chairs.protocol import Visit
from services.booking.chairs.seating import Seat
from shared.contract.booking import (
    SessionCancelled,
    SessionCheckedIn,
    SessionCompleted,
    SessionConfirmed,
    SessionEvent,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
    SessionUnconfirmed,
)
from shared.contract.clinic import CourseRequested
from shared.contract.closed_sets import SessionState
from shared.decision.draft import UNKNOWN_COURSE
from shared.decision.message import Message
from shared.decision.value import changed_often

TRANSITIONS: Final[Mapping[SessionState, Mapping[SessionState, type[SessionEvent]]]] = {
    SessionState.HELD: {
        SessionState.CONFIRMED: SessionConfirmed,
        SessionState.RELEASED: SessionReleased,
        SessionState.CANCELLED: SessionCancelled,
        SessionState.MISSED: SessionMissed,
        SessionState.COMPLETED: SessionCompleted,
    },
    SessionState.CONFIRMED: {
        SessionState.HELD: SessionUnconfirmed,
        SessionState.CHECKED_IN: SessionCheckedIn,
        SessionState.CANCELLED: SessionCancelled,
        SessionState.MISSED: SessionMissed,
        SessionState.COMPLETED: SessionCompleted,
    },
    SessionState.CHECKED_IN: {SessionState.COMPLETED: SessionCompleted},
    SessionState.RELEASED: {
        SessionState.CONFIRMED: SessionConfirmed,
        SessionState.HELD: SessionRescheduled,
        SessionState.CANCELLED: SessionCancelled,
        SessionState.COMPLETED: SessionCompleted,
    },
    SessionState.MISSED: {SessionState.HELD: SessionRescheduled, SessionState.COMPLETED: SessionCompleted},
    SessionState.CANCELLED: {SessionState.COMPLETED: SessionCompleted},
    SessionState.COMPLETED: {},
}
"""From which state a session can go to which, and what is told of it.

A treatment that was given completes a session in any state; where it was neither confirmed nor checked in, a person
hears of it.
"""

OCCUPYING: Final = frozenset({SessionState.HELD, SessionState.CONFIRMED, SessionState.CHECKED_IN})
"""States in which a session has its chair, its provider and its patient to itself."""

IN_SERIES: Final = OCCUPYING | {SessionState.COMPLETED}
"""States in which a session counts for the rhythm of its course: it will be given, or was."""

OVER: Final = frozenset({SessionState.COMPLETED, SessionState.MISSED, SessionState.CANCELLED, SessionState.RELEASED})


class TimerKind(StrEnum):
    """What falls due for a course.

    Attributes:
        HOLD: the hold of a course of which nothing is confirmed yet.
        UNREPORTED: the floor has told nothing of a session that was confirmed, long after its end.
        UNKNOWN: something waits for a course that nobody has requested.
        DISPLACED: no deadline, but a closure's message to a session that sits where it closes.
    """

    HOLD = "hold"
    UNREPORTED = "unreported"
    UNKNOWN = UNKNOWN_COURSE
    DISPLACED = "displaced"


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

    @classmethod
    def held(cls, place: ChairPlan, number: int, taken: Taken) -> "Session":
        """A session that has its seat and no grant yet."""
        return cls(
            taken.session_id,
            number,
            SessionState.HELD,
            taken.starts_at,
            taken.ends_at,
            place.location.zone,
            taken.chair,
            taken.provider,
            taken.provider_from,
            taken.provider_until,
        )

    def seated(self, place: ChairPlan, seat: Seat) -> "Session":
        """This session in another seat."""
        return self._replace(
            starts_at=seat.starts_at,
            ends_at=seat.ends_at,
            time_zone=place.location.zone,
            chair=seat.chair,
            provider=seat.provider,
            provider_from=seat.provider_from,
            provider_until=seat.provider_until,
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
    """How long a session takes, as it was booked: its protocol may have changed since."""
    share = session.provider_from or session.starts_at, session.provider_until or session.ends_at
    return Visit(session.ends_at - session.starts_at, share[0] - session.starts_at, share[1] - session.starts_at)
