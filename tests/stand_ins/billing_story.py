"""A course's story told to billing's rules, message by message, with the books checked after each of them."""

from datetime import datetime
from typing import Any

from services.billing.account import ledger
from services.billing.account.account import Account, Known
from services.billing.account.share import Share
from services.billing.account.tariff import Policy
from services.billing.papers.decide import PapersTimer
from services.billing.rules.decide import decide
from shared.contract.closed_sets import Basis
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from shared.decision.decision import Attention
from shared.decision.message import Message
from tests.facts.course import COURSE, NOW, session_id
from tests.stand_ins.billed_clinics import RETURNED, place

BY_MONEY = (Basis.PAID, Basis.INSURED)


class Story:
    """Billing's side of one course. `events`, `attention` and `timers` hold all that came of it."""

    def __init__(self, policy: Policy = RETURNED) -> None:
        self.places = {"stella": place(policy)}
        self.account = Account(COURSE)
        self.known = Known({})
        self.now = NOW
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
            if timer.kind == PapersTimer.LOOK:
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

    def events_of(self, kind: type[EventData]) -> list[Any]:
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
            postings = [p for e in entries for p in e.postings if p.session_id == share.session_id]
            assert share.prepaid_cents == -sum(p.amount_cents for p in postings if p.account == ledger.PREPAID)
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
        assert sum(p.amount_cents for entry in entries for p in entry.postings) == 0
        assert len({entry.id for entry in entries}) == len(entries)
