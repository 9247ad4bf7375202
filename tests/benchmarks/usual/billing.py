"""Billing as usual."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, relationship

from shared.contract.billing import PaymentRecorded, PrepaymentRequired, PrepaymentSatisfied
from shared.contract.booking import CourseAccepted, SessionConfirmed
from shared.contract.clinic import PaymentCaptured
from shared.contract.closed_sets import Basis, Needs
from shared.contract.register import EventData
from tests.benchmarks.story import PRICE_CENTS
from tests.benchmarks.usual import road

LEAD, GRACE = timedelta(hours=48), timedelta(hours=24)


class Base(MappedAsDataclass, DeclarativeBase):
    """Billing's tables."""

    type_annotation_map = {datetime: TIMESTAMP(timezone=True)}  # noqa: RUF012


class Inbox(road.Inbox, Base):
    """Billing's inbox."""


class Outbox(road.Outbox, Base):
    """Billing's outbox."""


class Share(Base):
    """A session's part of the price."""

    __tablename__ = "shares"
    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int]
    price_cents: Mapped[int]
    due_at: Mapped[datetime]
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.course_id"), index=True, init=False)
    satisfied: Mapped[bool] = mapped_column(default=False)
    granted: Mapped[int] = mapped_column(default=0)
    answered: Mapped[int] = mapped_column(default=0)


class Account(Base):
    """A course's money."""

    __tablename__ = "accounts"
    course_id: Mapped[UUID] = mapped_column(primary_key=True)
    patient_id: Mapped[str]
    balance_cents: Mapped[int]
    shares: Mapped[list[Share]] = relationship(lazy="selectin", order_by=Share.number)


class Payment(Base):
    """Money that came in."""

    __tablename__ = "payments"
    payment_id: Mapped[str] = mapped_column(primary_key=True)
    course_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.course_id"))
    amount_cents: Mapped[int]
    captured_at: Mapped[datetime]


class Line(Base):
    """One account's part in a ledger entry; `entry` is what the lines of an entry share."""

    __tablename__ = "lines"
    entry: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    amount_cents: Mapped[int]


async def handle(session: AsyncSession, event: EventData) -> None:
    """One message."""
    match event:
        case CourseAccepted():
            ask(session, event)
        case PaymentCaptured():
            await allocate(session, event)
        case SessionConfirmed():
            share = await session.get_one(Share, event.session_id)
            share.answered = event.grant


def ask(session: AsyncSession, event: CourseAccepted) -> None:
    """Split the price, and ask for each share."""
    now, shares = datetime.now(UTC), []
    price, larger = divmod(PRICE_CENTS, len(event.sessions))
    for n, booked in enumerate(event.sessions):
        due_at = min(booked.starts_at, max(booked.starts_at - LEAD, now + GRACE))
        shares.append(Share(booked.session_id, booked.number, price + (n < larger), due_at))
        required = PrepaymentRequired(
            course_id=event.course_id,
            session_id=booked.session_id,
            patient_id=event.patient_id,
            needs=Needs.MONEY,
            amount_cents=shares[-1].price_cents,
            currency="USD",
            due_at=due_at,
        )
        session.add(road.told(Outbox, required))
    session.add(Account(event.course_id, event.patient_id, 0, shares))


async def allocate(session: AsyncSession, event: PaymentCaptured) -> None:
    """Book the money, and give whole shares in order."""
    account = await session.get_one(Account, event.course_id, with_for_update=True)
    session.add(Payment(event.payment_id, event.course_id, event.amount_cents, event.captured_at))
    session.add(Line(event.payment_id, "cash:card", event.amount_cents))
    session.add(Line(event.payment_id, "balance", -event.amount_cents))
    left = event.amount_cents
    for share in account.shares:
        if share.satisfied or share.price_cents > left:
            continue
        left -= share.price_cents
        share.satisfied = True
        share.granted += 1
        session.add(Line(str(share.session_id), "balance", share.price_cents))
        session.add(Line(str(share.session_id), "prepaid", -share.price_cents))
        satisfied = PrepaymentSatisfied(
            course_id=event.course_id,
            session_id=share.session_id,
            grant=share.granted,
            basis=Basis.PAID,
            amount_cents=share.price_cents,
        )
        session.add(road.told(Outbox, satisfied))
    account.balance_cents += left
    recorded = PaymentRecorded(
        course_id=event.course_id,
        payment_id=event.payment_id,
        amount_cents=event.amount_cents,
        unallocated_cents=left,
    )
    session.add(road.told(Outbox, recorded))


if __name__ == "__main__":
    road.run("billing", ("clinic.payments", "booking.events"), Inbox, Outbox, handle)
