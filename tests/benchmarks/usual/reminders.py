"""Reminders as usual."""

from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from shared.contract.billing import PrepaymentRequired, PrepaymentSatisfied
from shared.contract.booking import CourseAccepted, SessionConfirmed
from shared.contract.register import EventData
from tests.benchmarks.floor.reminders import LADDER, fit
from tests.benchmarks.usual import road


class Base(MappedAsDataclass, DeclarativeBase):
    """Reminders' tables."""

    type_annotation_map = {datetime: TIMESTAMP(timezone=True)}  # noqa: RUF012


class Inbox(road.Inbox, Base):
    """Reminders' inbox."""


class Outbox(road.Outbox, Base):
    """Reminders' outbox; this story leaves it empty."""


class Session(Base):
    """An appointment as reminders knows it."""

    __tablename__ = "sessions"
    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    course_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(default="")
    starts_at: Mapped[datetime | None] = mapped_column(default=None)
    owed: Mapped[bool] = mapped_column(default=False)


class Text(Base):
    """A text on the ladder."""

    __tablename__ = "texts"
    text_id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID]
    contact_id: Mapped[str]
    kind: Mapped[str]
    version: Mapped[int]
    nominal_at: Mapped[datetime]
    due_at: Mapped[datetime] = mapped_column(index=True)
    deadline_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="scheduled")


async def handle(session: AsyncSession, event: EventData) -> None:
    """One message."""
    match event:
        case CourseAccepted():
            for booked in event.sessions:
                known = await _known(session, booked.session_id, event.course_id)
                if known.version < booked.version:
                    known.version, known.state, known.starts_at = booked.version, booked.state, booked.starts_at
        case PrepaymentRequired() | PrepaymentSatisfied():
            known = await _known(session, event.session_id, event.course_id)
            known.owed = isinstance(event, PrepaymentRequired)
        case SessionConfirmed():
            known = await _known(session, event.session_id, event.course_id)
            known.version, known.state, known.starts_at = event.version, event.state, event.starts_at
            for kind, before, until in LADDER:
                nominal_at, deadline_at = event.starts_at - before, event.starts_at - until
                due_at = fit(event.time_zone, nominal_at, deadline_at)
                id = uuid5(event.session_id, f"{event.version}/{kind}")
                text = Text(
                    id, event.session_id, event.patient_id, kind, event.version, nominal_at, due_at, deadline_at
                )
                session.add(text)


async def _known(session: AsyncSession, session_id: UUID, course_id: UUID) -> Session:
    known = await session.get(Session, session_id, with_for_update=True)
    if known is None:
        known = Session(session_id, course_id)
        session.add(known)
    return known


if __name__ == "__main__":
    road.run("reminders", ("booking.events", "billing.events"), Inbox, Outbox, handle)
