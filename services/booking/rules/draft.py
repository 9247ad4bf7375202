"""One decision about a course in the making, as booking's rules write it. Pure: it lives for one message."""

from datetime import datetime
from typing import Any
from uuid import UUID

from services.booking.chairs.calendar import Calendar, Taken
from services.booking.chairs.location import ChairPlan, ChairPlans
from services.booking.chairs.seating import Visitor
from services.booking.rules.course import (
    IN_SERIES,
    OCCUPYING,
    OVER,
    TRANSITIONS,
    Course,
    CourseState,
    Session,
    TimerKind,
)
from services.booking.rules.telling import booked_fields
from shared.contract.booking import RequestRejected, SessionEvent
from shared.contract.clinic import CourseRequested
from shared.contract.closed_sets import Refusal, SessionState
from shared.decision import draft
from shared.decision.message import Message


class IllegalTransition(Exception):
    """A rule tried to move a session where `TRANSITIONS` has no way: a defect of the rule."""


class Draft(draft.Draft):
    """What follows from a message about a course.

    Attributes:
        places: every served location.
        course: the course as it becomes.
        calendar: what is taken, with what this decision takes and frees.
        replay: messages that had waited and can be decided now, in order.
    """

    def __init__(self, places: ChairPlans, course: Course, message: Message, now: datetime, calendar: Calendar) -> None:
        super().__init__(message, now)
        self.places = places
        self.course = course
        self.calendar = calendar
        self.replay: list[Message] = []

    @property
    def request(self) -> CourseRequested:
        """What the course was accepted from, with later changes."""
        assert self.course.request is not None
        return self.course.request

    @property
    def place(self) -> ChairPlan:
        """The location of the course."""
        return self.places[self.request.location]

    @property
    def visitor(self) -> Visitor:
        """The patient, with the visit that a session of this course takes."""
        return Visitor.from_request(self.request, self.place)

    def others(self, session: Session) -> list[tuple[UUID, datetime]]:
        """The other sessions of its series: id and start of what will be given, or was."""
        return [
            (other.session_id, other.starts_at)
            for other in self.course.sessions
            if other.session_id != session.session_id and other.state in IN_SERIES
        ]

    def taken(self, session: Session) -> Taken:
        """What a session takes, as the calendar has it."""
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
                **booked_fields(self.course, changed),
                **told,
            )
        )
        return changed

    def move(self, session: Session, to: SessionState, **told: Any) -> Session:
        """Move a session along `TRANSITIONS` and tell of it; its seat is freed where the new state occupies none.

        Raises:
            IllegalTransition: the table has no such way.
        """
        event = TRANSITIONS[session.state].get(to)
        if event is None:
            raise IllegalTransition(f"{session.state} -> {to}")
        if session.state in OCCUPYING and to not in OCCUPYING:
            self.calendar = self.calendar.without(session.session_id)
        if to in OVER:
            self.set_timer(TimerKind.UNREPORTED, None, session.session_id)
        return self.change(session._replace(state=to), event, **told)

    def reopen(self) -> None:
        """Take up a course that was over, since one of its sessions has a seat again."""
        if self.course.state in (CourseState.CLOSED, CourseState.COMPLETED):
            self.course = self.course._replace(state=CourseState.ACCEPTED)

    def wait_for_course(self) -> None:
        """Keep the message until the course is requested."""
        self.course = self.course._replace(waiting=self.wait(self.course.waiting))

    def wait_for_hold(self) -> None:
        """Keep the message until the course's hold has ended."""
        self.course = self.course._replace(waiting=(*self.course.waiting, self.message))

    def refuse(self, code: Refusal, detail: str) -> None:
        """Answer a request or fact with the rule that it breaks."""
        self.events.append(
            RequestRejected(course_id=self.course.course_id, request_id=self.message.id, code=code, detail=detail)
        )
