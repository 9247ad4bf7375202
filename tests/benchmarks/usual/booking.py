"""Booking as usual."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zlib import crc32

from sqlalchemy import ForeignKey, column, func, select
from sqlalchemy.dialects.postgresql import TIMESTAMP, ExcludeConstraint
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, relationship

from shared.contract.billing import PrepaymentSatisfied
from shared.contract.booking import BookedSession, CourseAccepted, SessionConfirmed
from shared.contract.clinic import CourseRequested
from shared.contract.closed_sets import SessionState
from shared.contract.register import EventData
from tests.benchmarks.story import CHAIRS
from tests.benchmarks.usual import road

VISIT, HOLD = timedelta(minutes=105), timedelta(hours=72)
DURING = (func.tstzrange(column("starts_at"), column("ends_at")), "&&")


class Base(MappedAsDataclass, DeclarativeBase):
    """Booking's tables."""

    type_annotation_map = {datetime: TIMESTAMP(timezone=True)}  # noqa: RUF012


class Inbox(road.Inbox, Base):
    """Booking's inbox."""


class Outbox(road.Outbox, Base):
    """Booking's outbox."""


class Session(Base):
    """One appointment; `chair` is a number of its own for every chair of every location."""

    __tablename__ = "sessions"
    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int]
    state: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    chair: Mapped[int]
    course_id: Mapped[UUID] = mapped_column(ForeignKey("courses.course_id"), index=True, init=False)
    version: Mapped[int] = mapped_column(default=1)
    grant: Mapped[int] = mapped_column(default=0)
    __table_args__ = (
        ExcludeConstraint((func.int4range(column("chair"), column("chair"), "[]"), "&&"), DURING, using="gist"),
    )


class Course(Base):
    """A course of sessions."""

    __tablename__ = "courses"
    course_id: Mapped[UUID] = mapped_column(primary_key=True)
    patient_id: Mapped[str]
    location: Mapped[str]
    treatment: Mapped[str]
    hold_expires_at: Mapped[datetime | None]
    sessions: Mapped[list[Session]] = relationship(lazy="selectin", order_by=Session.number)


async def handle(session: AsyncSession, event: EventData) -> None:
    """One message."""
    match event:
        case CourseRequested():
            await accept(session, event)
        case PrepaymentSatisfied():
            await confirm(session, event)


async def accept(session: AsyncSession, event: CourseRequested) -> None:
    """Hold a chair for each session."""
    first_chair = crc32(event.location.encode()) % 10_000_000 * CHAIRS
    now, booked = datetime.now(UTC), []
    for number, wish in enumerate(event.sessions or (), start=1):
        ends_at = wish.starts_at + VISIT
        here = Session.chair.between(first_chair, first_chair + CHAIRS - 1)
        then = Session.starts_at < ends_at, Session.ends_at > wish.starts_at
        taken = set((await session.scalars(select(Session.chair).where(here, *then))).all())
        chair = next(c for c in range(first_chair, first_chair + CHAIRS) if c not in taken)
        booked.append(Session(wish.session_id, number, "held", wish.starts_at, ends_at, chair))
    course = Course(event.course_id, event.patient_id, event.location, event.treatment, now + HOLD, booked)
    session.add(course)
    await session.flush()
    accepted = CourseAccepted(
        course_id=event.course_id,
        patient_id=event.patient_id,
        companions=event.companions,
        location=event.location,
        treatment=event.treatment,
        payer=event.payer,
        package=event.package,
        hold_expires_at=now + HOLD,
        sessions=tuple(BookedSession.model_validate(_booked(course, s)) for s in course.sessions),
    )
    session.add(road.told(Outbox, accepted))


async def confirm(session: AsyncSession, event: PrepaymentSatisfied) -> None:
    """Confirm a held session."""
    course = await session.get_one(Course, event.course_id, with_for_update=True)
    course.hold_expires_at = None
    [appointment] = [s for s in course.sessions if s.session_id == event.session_id]
    appointment.state = SessionState.CONFIRMED
    appointment.grant = event.grant
    appointment.version += 1
    data = _booked(course, appointment) | {"course_id": course.course_id, "patient_id": course.patient_id}
    data |= {"location": course.location, "treatment": course.treatment, "grant": event.grant, "companions": ()}
    session.add(road.told(Outbox, SessionConfirmed.model_validate(data)))


def _booked(course: Course, session: Session) -> dict[str, object]:
    chair = session.chair % CHAIRS + 1
    return {
        "session_id": session.session_id,
        "number": session.number,
        "of": len(course.sessions),
        "state": session.state,
        "starts_at": session.starts_at,
        "ends_at": session.ends_at,
        "time_zone": "America/Chicago",
        "chair": f"chair-{chair}",
        "provider": f"provider-{chair}",
        "version": session.version,
    }


if __name__ == "__main__":
    road.run("booking", ("clinic.requests", "billing.events"), Inbox, Outbox, handle)
