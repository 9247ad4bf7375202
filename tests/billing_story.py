"""A course's story told to billing's rules, message by message, with the books checked after each of them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid5

from services.billing.account import ledger
from services.billing.account.account import Account, Known
from services.billing.account.messages import RefundRequested
from services.billing.account.share import Share
from services.billing.account.tariff import (
    Approval,
    Due,
    MissedPolicy,
    Package,
    Place,
    Plan,
    Policy,
    Practice,
    Provider,
    Tariff,
    Treatment,
)
from services.billing.papers.decide import LOOK
from services.billing.rules.decide import decide
from shared.configuration.clinic import Location, Opening
from shared.contract.booking import (
    BookedSession,
    CourseAccepted,
    CourseChanged,
    SessionCancelled,
    SessionCompleted,
    SessionConfirmed,
    SessionEvent,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
    SessionUnconfirmed,
    SessionWithdrawalRefused,
)
from shared.contract.clinic import (
    AuthorizationDecided,
    CourseRequested,
    Insurance,
    PaymentCaptured,
    PaymentReversed,
    RequestedSession,
)
from shared.contract.closed_sets import (
    AuthorizationDecision,
    Basis,
    By,
    Method,
    Payer,
    Refusal,
    ReleaseReason,
    ReversalReason,
    SessionState,
    WithdrawalReason,
)
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from shared.decision.decision import Attention
from shared.decision.message import Message

T0 = datetime(2026, 11, 2, 15, tzinfo=UTC)
COURSE = UUID("00000000-0000-4000-8000-000000000001")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PRICE = 45000


RETURNED = Policy(missed=MissedPolicy.RETURN)
COPAY = 5000
BY_MONEY = (Basis.PAID, Basis.INSURED)
SELF = 30000


def tariff(policy: Policy = RETURNED) -> Tariff:
    """Infusions at 45000 cents and a package of six, approved sprays, consultations of which the first is free.

    All of it is due 48 h before, or 24 h after acceptance.
    """
    return Tariff(
        practice=Practice(npi="1234567893", ein="00-0000000"),
        providers={"dana": Provider(name="Dana Reyes", credentials="MD", npi="1234567893")},
        due=Due(lead_hours=48, grace_hours=24),
        policy=policy,
        treatments={
            "infusion": Treatment(
                approval=Approval.OFF_LABEL,
                session_cents=PRICE,
                packages={"six": Package(price_cents=347500, sessions=6)},
            ),
            "spray": Treatment(approval=Approval.APPROVED, session_cents=SELF, copay_cents=COPAY),
            "coils": Treatment(approval=Approval.APPROVED, copay_cents=0),
            "consultation": Treatment(approval=Approval.NONE, session_cents=15000, first_free=True),
        },
        plans=(Plan(names=("State Aid",), not_covered=("coils",), no_show_fees=False),),
    )


def place(policy: Policy = RETURNED) -> Place:
    """Open on weekdays from nine to five, in Chicago."""
    location = Location(
        zone="America/Chicago",
        region="US-IL",
        address="Carbondale",
        phone="+16185550148",
        public_name="The clinic",
        hours=(Opening(days=("mon", "tue", "wed", "thu", "fri"), opens=time(9), closes=time(17)),),
        holidays=(date(2026, 11, 26),),
    )
    return Place("albany", "carbondale", "The Albany Clinic", location, tariff(policy))


def session_id(number: int) -> UUID:
    """The id of a story's session."""
    return uuid5(COURSE, str(number))


def starts_at(number: int) -> datetime:
    """A session every third day, the first ten days after the story begins."""
    return T0 + 10 * DAY + (number - 1) * 3 * DAY


def booked(number: int, of: int, state: SessionState, version: int = 1, at: datetime | None = None) -> dict[str, Any]:
    """The fields of a session as booking tells them."""
    start = at or starts_at(number)
    return {
        "session_id": session_id(number),
        "number": number,
        "of": of,
        "state": state,
        "starts_at": start,
        "ends_at": start + 2 * HOUR,
        "time_zone": "America/Chicago",
        "chair": "1",
        "provider": "dana",
        "version": version,
    }


def requested(of: int = 2) -> CourseRequested:
    """The course, asked for."""
    sessions = tuple(RequestedSession(session_id=session_id(n), starts_at=starts_at(n)) for n in range(1, of + 1))
    return CourseRequested(
        course_id=COURSE,
        patient_id="p-1",
        location="carbondale",
        treatment="infusion",
        payer=Payer.SELF_PAY,
        sessions=sessions,
    )


def accepted(of: int = 2, treatment: str = "infusion", package: str | None = None, **told: Any) -> CourseAccepted:
    """The course, held for three days."""
    fields: dict[str, Any] = {
        "course_id": COURSE,
        "patient_id": "p-1",
        "companions": (),
        "location": "carbondale",
        "treatment": treatment,
        "payer": Payer.SELF_PAY,
        "package": package,
        "hold_expires_at": T0 + 3 * DAY,
        "sessions": tuple(BookedSession(**booked(number, of, SessionState.HELD)) for number in range(1, of + 1)),
    }
    return CourseAccepted(**(fields | told))


def paid(amount_cents: int, payment_id: str = "pay-1", at: datetime = T0, **told: Any) -> PaymentCaptured:
    """Money by card."""
    fields: dict[str, Any] = {
        "course_id": COURSE,
        "payment_id": payment_id,
        "amount_cents": amount_cents,
        "currency": "USD",
        "method": Method.CARD,
        "captured_at": at,
    }
    return PaymentCaptured(**(fields | told))


def reversed_(
    amount_cents: int,
    refund_id: str | None = None,
    payment_id: str = "pay-1",
    id: str = "rev-1",
    reason: ReversalReason = ReversalReason.REFUND,
) -> PaymentReversed:
    """Money that left again."""
    return PaymentReversed(
        course_id=COURSE,
        reversal_id=id,
        payment_id=payment_id,
        amount_cents=amount_cents,
        reason=reason,
        refund_id=refund_id,
        reversed_at=T0,
    )


def charged_back(amount_cents: int, payment_id: str = "pay-1", id: str = "rev-1") -> PaymentReversed:
    """Money that a bank took back."""
    return reversed_(amount_cents, None, payment_id, id, ReversalReason.CHARGEBACK)


def approved(reference: str = "auth-1", **told: Any) -> AuthorizationDecided:
    """An insurer covers the course; without bounds unless some are told."""
    return AuthorizationDecided(course_id=COURSE, decision=AuthorizationDecision.APPROVED, reference=reference, **told)


def denied(reference: str = "auth-1") -> AuthorizationDecided:
    """An insurer covers nothing, or nothing any more."""
    return AuthorizationDecided(course_id=COURSE, decision=AuthorizationDecision.DENIED, reference=reference)


def insured(of: int = 2, treatment: str = "spray", plan: str = "Good Health", **told: Any) -> CourseAccepted:
    """The course of a patient whose insurer is asked."""
    return accepted(of, treatment, payer=Payer.INSURANCE, insurance=Insurance(plan=plan), **told)


def changed(of: int = 2, **told: Any) -> CourseChanged:
    """The course after a change, whole."""
    return CourseChanged.model_validate(accepted(of, **told).model_dump())


def please(*numbers: int, cents: int | None = None) -> RefundRequested:
    """Money back: of these sessions, or so much, or all that is unused."""
    sessions = tuple(session_id(number) for number in numbers) or None
    return RefundRequested(course_id=COURSE, sessions=sessions, amount_cents=cents, requested_by="desk", reason="asked")


_STATE: dict[type[SessionEvent], SessionState] = {
    SessionConfirmed: SessionState.CONFIRMED,
    SessionReleased: SessionState.RELEASED,
    SessionCancelled: SessionState.CANCELLED,
    SessionMissed: SessionState.MISSED,
    SessionCompleted: SessionState.COMPLETED,
    SessionRescheduled: SessionState.HELD,
    SessionUnconfirmed: SessionState.HELD,
    SessionWithdrawalRefused: SessionState.CHECKED_IN,
}


def told(event: type[SessionEvent], number: int, at: datetime | None = None, **more: Any) -> SessionEvent:
    """What booking tells of a session."""
    state = more.pop("state", _STATE[event])
    start = at or starts_at(number)
    default: dict[type[SessionEvent], dict[str, Any]] = {
        SessionCancelled: {"by": By.PATIENT},
        SessionCompleted: {"started_at": start, "ended_at": start + HOUR},
        SessionRescheduled: {"by": By.PATIENT, "previous_starts_at": starts_at(number)},
    }
    course = {"course_id": COURSE, "patient_id": "p-1", "companions": (), "location": "x", "treatment": "infusion"}
    return event(**(booked(number, 2, state, 2, start) | course | default.get(event, {}) | more))


def confirmed(number: int, grant: int = 1, **more: Any) -> SessionEvent:
    """Booking's yes to a grant."""
    return told(SessionConfirmed, number, grant=grant, **more)


def released(number: int, reason: ReleaseReason, grant: int = 0, **more: Any) -> SessionEvent:
    """Booking gave the place up, or answers a grant with no."""
    return told(SessionReleased, number, grant=grant, reason=reason, **more)


def unconfirmed(number: int, grant: int = 1, reason: WithdrawalReason = WithdrawalReason.REFUND) -> SessionEvent:
    """Booking gives a grant back: the place is held again."""
    return told(SessionUnconfirmed, number, grant=grant, reason=reason)


def kept(number: int, grant: int = 1, state: SessionState = SessionState.CHECKED_IN) -> SessionEvent:
    """Booking does not give a grant back."""
    return told(SessionWithdrawalRefused, number, grant=grant, reason=Refusal.WRONG_STATE, state=state)


class Story:
    """Billing's side of one course. `events`, `attention` and `timers` hold all that came of it."""

    def __init__(self, policy: Policy = RETURNED) -> None:
        self.places = {"carbondale": place(policy)}
        self.account = Account(COURSE)
        self.known = Known({})
        self.now = T0
        self.events: list[EventData] = []
        self.attention: list[Attention] = []
        self.timers: dict[tuple[str, str], datetime] = {}
        self._heard = 0

    def hear(self, data: EventData, at: datetime | None = None) -> list[EventData]:
        """Tell one message, arrived at `at`; returns the events that follow."""
        self.now = at or self.now
        self._heard += 1
        message = Message(f"m-{self._heard}", data.type, "test", self.now, self.now, data)
        decision = decide(self.places, self.account, message, self.now, self.known)
        assert isinstance(decision.state, Account)
        self.account = decision.state
        self.known = self.known if decision.context is None else decision.context
        for timer in decision.timers:
            if timer.kind == LOOK:
                continue  # papers have a story of their own
            self.timers.pop((timer.kind, timer.subject), None)
            if timer.due_at is not None:
                self.timers[timer.kind, timer.subject] = timer.due_at
        self.attention += decision.attention
        self.events += decision.events
        self.check_books()
        return list(decision.events)

    def hear_all(self, *messages: EventData) -> list[EventData]:
        """Tell several messages at the same moment."""
        return [event for message in messages for event in self.hear(message)]

    def until(self, to: datetime) -> list[EventData]:
        """Let time pass, and every timer fire that is due until then, oldest first."""
        happened: list[EventData] = []
        while due := [(at, kind, subject) for (kind, subject), at in self.timers.items() if at <= to]:
            at, kind, subject = min(due)
            del self.timers[kind, subject]
            timer = TimerDue(of=str(COURSE), kind=kind, subject=subject, due_at=at)
            happened += self.hear(timer, max(at, self.now))
        self.now = max(self.now, to)
        return happened

    def share(self, number: int) -> Share:
        """A session's share."""
        found = self.account.share(session_id(number))
        assert found is not None
        return found

    def told(self, kind: type[EventData]) -> list[Any]:
        """All events of one type so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def ending(self) -> Any:
        """What must be the same in whatever order the story was told: no entries, no ids of causes."""
        kept = self.account._replace(unposted=(), given=(), waivers=(), free_visits=(), touched=frozenset())
        return kept, sorted(self.timers.items())

    def check_books(self) -> None:
        """The promises of the ledger, and what the tables would refuse, after every message."""
        account, entries = self.account, self.account.unposted
        assert account.balance_cents == ledger.credit(entries, ledger.BALANCE) >= 0
        assert account.disputed_cents == -ledger.credit(entries, ledger.DISPUTED) >= 0
        assert sum(s.prepaid_cents for s in account.shares) == ledger.credit(entries, ledger.PREPAID)
        for share in account.shares:
            lines = [li for e in entries for li in e.lines if li.session_id == share.session_id]
            assert share.prepaid_cents == -sum(li.amount_cents for li in lines if li.account == ledger.PREPAID)
            assert share.prepaid_cents == 0 or (share.prepaid_cents == share.price_cents and share.basis in BY_MONEY)
            assert 0 <= share.refunding_cents <= share.prepaid_cents
            assert 0 <= share.fee_cents <= share.price_cents
            assert 0 <= share.refunded_cents <= share.price_cents
            assert 0 <= share.withdrawn <= share.answered <= share.granted <= share.answered + 1
            assert share.granted == share.answered or share.basis is not None
            assert share.withdrawal is None or share.basis is not None
            assert share.insured or share.cover is None
        owed = sum(part.amount_cents - part.settled_cents for refund in account.refunds for part in refund.parts)
        assert owed == ledger.credit(entries, ledger.REFUNDS_DUE)
        for payment in account.payments:
            parts = [p for refund in account.refunds for p in refund.parts if p.payment_id == payment.payment_id]
            assert 0 <= sum(part.amount_cents for part in parts) <= payment.out_cents <= payment.amount_cents
        assert sum(line.amount_cents for entry in entries for line in entry.lines) == 0
        assert len({entry.id for entry in entries}) == len(entries)


def kinds(events: Iterable[EventData]) -> Sequence[str]:
    """The types of events, short."""
    return [event.type.removeprefix("billing.").removesuffix(".v1") for event in events]
