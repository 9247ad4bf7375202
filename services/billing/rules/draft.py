"""One decision about a course's money in the making. Pure: it lives for one message, and what it holds are values.

`post` moves the course's balance and what is disputed with each ledger entry, so that they cannot differ from the
ledger. `put` sets and takes back the deadline of a session with its share.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.billing.account import ledger
from services.billing.account.account import Account, Known
from services.billing.account.ledger import Entry, EntryKind, Posting
from services.billing.account.records import Payment, Refund, Reversal
from services.billing.account.share import Share
from services.billing.account.tariff import PracticeLocations
from shared.decision import draft
from shared.decision.message import Message


class TimerKind(StrEnum):
    """The deadlines of a course's money; those of its papers stand in `papers.decide`."""

    DUE = "due"
    """A session must be paid or covered by now. The subject is the session."""
    REFUND = "refund"
    """No session will use the balance any more: it is refunded."""
    COURSE = "course"
    """Money or an authorization came for a course that is still unknown: a person is asked. Both were written down when
    they came, so that no message waits, as `shared.decision.draft.Draft.wait` lets it in other services."""


class Draft(draft.Draft):
    """One decision about a course's money.

    Attributes:
        places: every served location.
        account: the course as it becomes.
        known: what the batch knows beyond the course, as it becomes.
    """

    def __init__(
        self, places: PracticeLocations, account: Account, message: Message, now: datetime, known: Known
    ) -> None:
        super().__init__(message, now)
        self.places = places
        self.account = account
        self.known = known
        self._entries = 0

    def put(self, share: Share) -> Share:
        """Keep a share. Its deadline is set while it awaits one, and taken back when it does not any more."""
        shares = self.account.shares
        index = self.account.index_of(share.session_id)
        before = None if index is None else shares[index]
        if share == before:
            return share
        if index is None:
            shares = tuple(sorted((*shares, share), key=lambda s: s.number))
        else:
            shares = (*shares[:index], share, *shares[index + 1 :])
        self._keep(share.session_id, shares=shares)
        had = before.due_at if before is not None and before.awaits_deadline else None
        has = share.due_at if share.awaits_deadline else None
        if had != has:
            self.set_timer(TimerKind.DUE, has, share.session_id)
        return share

    def put_payment(self, payment: Payment) -> None:
        """Keep a payment; the rest of the batch knows it, too."""
        known = (p if p.payment_id != payment.payment_id else payment for p in self.account.payments)
        fresh = () if self.account.payment(payment.payment_id) else (payment,)
        self._keep(payment.payment_id, payments=(*known, *fresh))
        self.known = self.known._replace(payments={**self.known.payments, payment.payment_id: payment})

    def put_refund(self, refund: Refund) -> None:
        """Keep a refund."""
        others = (r for r in self.account.refunds if r.number != refund.number)
        self._keep(refund.refund_id, refunds=tuple(sorted((*others, refund), key=lambda r: r.number)))

    def put_reversal(self, reversal: Reversal) -> None:
        """Keep a reversal: money that left."""
        self._keep(reversal.reversal_id, reversals=(*self.account.reversals, reversal))

    def post(self, kind: EntryKind, *postings: Posting) -> None:
        """Write an entry into the ledger; the balance and what is disputed move with it."""
        id = ledger.entry_id(self.message.id, self._entries)
        entry = Entry(id, self.account.course_id, kind, self.message.id, self.now, postings)
        self._entries += 1
        self.account = self.account._replace(
            unposted=(*self.account.unposted, entry),
            balance_cents=self.account.balance_cents + ledger.credit((entry,), ledger.BALANCE),
        )
        if kind in (EntryKind.REVERSED, EntryKind.RECOVERED):
            disputed_cents = self.account.disputed_cents - ledger.credit((entry,), ledger.DISPUTED)
            self.account = self.account._replace(disputed_cents=disputed_cents)

    def set_refund_at(self, at: datetime | None) -> None:
        """Set, move or take back (None) the instant at which the balance is refunded, and its timer."""
        if at != self.account.refund_at:
            self.account = self.account._replace(refund_at=at)
            self.set_timer(TimerKind.REFUND, at)

    def _keep(self, id: UUID | str, **changed: object) -> None:
        self.account = self.account._replace(touched=self.account.touched | {id}, **changed)  # type: ignore[arg-type]
