"""Double entry in integer cents. Pure: entries are made here, kept append-only by the store.

A positive amount debits an account, a negative one credits it, and every entry sums to zero. Money that came in rests
in `balance` (the patient's, for no session yet), moves to `prepaid` (a session's share), and from there to `revenue`
when the session was given, to `fees` where the clinic keeps of it for a session that was missed or cancelled late, or
back to `balance`. What goes back to the patient waits in `refunds_due`. Money that left by itself, as by a chargeback,
while it rested at sessions is missing in `disputed` until the sessions give it back or other money makes up for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from shared.contract.closed_sets import Method
from shared.decision.message import derived_id

BALANCE: Final = "balance"
PREPAID: Final = "prepaid"
REVENUE: Final = "revenue"
FEES: Final = "fees"
REFUNDS_DUE: Final = "refunds_due"
DISPUTED: Final = "disputed"


def cash(method: Method) -> str:
    """The account of money that came in this way."""
    return f"cash:{method}"


class EntryKind(StrEnum):
    """What kind of movement an entry is; `docs/refunds.md` shows between which accounts."""

    CAPTURED = "captured"
    ALLOCATED = "allocated"
    RETURNED = "returned"
    RECOGNIZED = "recognized"
    KEPT = "kept"
    REFUND_DUE = "refund_due"
    REFUND_SETTLED = "refund_settled"
    REVERSED = "reversed"
    RECOVERED = "recovered"


class Posting(NamedTuple):
    """One account's part in an entry, and the session or payment that it is about. The table of them is `lines`."""

    account: str
    amount_cents: int
    session_id: UUID | None = None
    payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement of a course's money. `cause` is the id of the message that it follows from.

    Raises:
        ValueError: the postings do not sum to zero, or one of them moves nothing.
    """

    id: UUID
    course_id: UUID
    kind: EntryKind
    cause: str
    booked_at: datetime
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        amounts = [posting.amount_cents for posting in self.postings]
        if sum(amounts) != 0:
            raise ValueError(f"a ledger entry ({self.kind}) that does not sum to zero")
        if 0 in amounts:
            raise ValueError(f"a ledger entry ({self.kind}) with an empty posting")


def entry_id(cause: str, number: int) -> UUID:
    """The id of the `number`th entry that follows from a cause: the same whenever it is done again."""
    return derived_id(f"ledger/{cause}/{number}")


def move(from_account: str, to_account: str, amount_cents: int, session_id: UUID) -> tuple[Posting, Posting]:
    """Two postings that take a session's money from one account to another."""
    return (
        Posting(from_account, amount_cents, session_id=session_id),
        Posting(to_account, -amount_cents, session_id=session_id),
    )


def credit(entries: Iterable[Entry], account: str) -> int:
    """What rests in an account that owes: the sum of its postings, positive when in credit."""
    return -sum(p.amount_cents for entry in entries for p in entry.postings if p.account == account)
