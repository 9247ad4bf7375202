"""A session as billing sees it: its share of the course's price, what it owes, and its grants. A pure value."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.contract.closed_sets import Basis, By, ReleaseReason, SessionState, WithdrawalReason
from shared.decision.value import changed_often

PLACED: Final = (SessionState.CONFIRMED, SessionState.CHECKED_IN)
"""States in which the place is the patient's."""

RETRIABLE: Final = frozenset({ReleaseReason.HOLD_EXPIRED, ReleaseReason.OVERDUE})
"""Released for want of money: when it comes late, booking is asked for the same place again."""


@changed_often
class Share(NamedTuple):
    """One session and the part of the course's price that it needs.

    Attributes:
        asked_at: when the session was accepted; its grace counts from here.
        state: booking's last word; `release` is why, where that is `released`.
        basis: what satisfies it; None while it waits, and again when its money was returned to the balance.
        prepaid_cents: money that rests here, not yet earned.
        granted: grants given; the last may be unanswered.
        answered: the last grant that booking has answered.
        foretold: the last grant that booking has answered and of which billing knows nothing: what pays for it comes
            later than its answer, or again, where billing's database was set back.
        overdue: published once, when `due_at` had passed.
        refunded_cents: of a session that will not take place, how much of its price was already promised as a refund.
        provider: who gives it, by booking's last word.
        insured: an authorization must cover it, and `price_cents` is the copay.
        cover: the reference of the authorization that covers it.
        withdrawal: why its grant shall be withdrawn; booking is asked when it has answered the grant.
        withdrawn: the last grant of which booking was asked for the withdrawal.
        refunding_cents: how much of its money a request wants refunded when the grant is withdrawn.
        cancelled_by: whose wish it was, where it is cancelled.
        fee_cents: what the clinic keeps of its money, by the policy, for coming not or saying so late.
    """

    session_id: UUID
    number: int
    starts_at: datetime
    version: int
    price_cents: int
    asked_at: datetime
    due_at: datetime
    state: SessionState = SessionState.HELD
    release: ReleaseReason | None = None
    basis: Basis | None = None
    prepaid_cents: int = 0
    granted: int = 0
    answered: int = 0
    overdue: bool = False
    refunded_cents: int = 0
    provider: str | None = None
    insured: bool = False
    cover: str | None = None
    withdrawal: WithdrawalReason | None = None
    withdrawn: int = 0
    refunding_cents: int = 0
    cancelled_by: By | None = None
    fee_cents: int = 0
    foretold: int = 0

    @property
    def withdrawal_open(self) -> bool:
        """Whether booking owes the answer to a withdrawal."""
        return self.withdrawal is not None and self.withdrawn == self.granted

    @property
    def may_be_withdrawn(self) -> bool:
        """Whether its grant can be withdrawn: not under way yet, the session not begun, and booking has not refused."""
        still_ahead = self.state in (SessionState.HELD, SessionState.CONFIRMED, SessionState.RELEASED)
        return self.basis is not None and self.withdrawal is None and still_ahead and self.withdrawn < self.granted

    @property
    def unanswered(self) -> bool:
        """Whether booking still owes the answer to a grant or a withdrawal; until then its money does not move."""
        return self.granted > self.answered or self.withdrawal_open

    @property
    def awaits_deadline(self) -> bool:
        """Held, not satisfied, and not yet published as overdue."""
        return self.basis is None and self.state is SessionState.HELD and not self.overdue

    @property
    def owing(self) -> bool:
        """The treatment was given and nothing has paid for it."""
        return self.basis is None and self.state is SessionState.COMPLETED

    def wants(self, now: datetime) -> bool:
        """Whether money would still be put to use here: a live session, or one whose place may be had again."""
        confirmed_before = self.state in PLACED and self.foretold > self.granted
        retriable = self.state is SessionState.RELEASED and self.release in RETRIABLE
        still_possible = self.state is SessionState.HELD or retriable or confirmed_before
        return self.basis is None and still_possible and self.starts_at > now

    def may_be_paid(self, now: datetime) -> bool:
        """Whether money can satisfy it, or pays for what was given; an insured one must be covered first."""
        return (self.owing or self.wants(now)) and (not self.insured or self.cover is not None)

    def is_open(self, now: datetime) -> bool:
        """Whether the session may still take place, or an answer about it is still to come."""
        return self.unanswered or self.wants(now) or self.owing or self.state in PLACED
