"""Billing's tables: load many, save many. The only SQL of the service besides its migrations."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.billing.account import (
    Account,
    Patient,
    Payment,
    Payments,
    Refund,
    RefundedPart,
    Reversal,
    Share,
    Stage,
    State,
)
from services.billing.ledger import EntryKind, Line
from services.billing.profile import Due, MissedPolicy
from services.billing.rules import PATIENT, aggregate_of
from shared.batch import Loaded
from shared.contract import (
    Basis,
    Method,
    PatientUpdated,
    Payer,
    PaymentCaptured,
    RefundReason,
    ReleaseReason,
    ReversalReason,
    SessionState,
)
from shared.database import Writes, nested, rows, take
from shared.envelope import Message

HELD_ELSEWHERE: Final = {"due", "shares", "payments", "refunds", "reversals", "unposted", "touched", "parts", "lines"}
"""What stands in tables or columns of its own. Every other field of a value is the column of that name."""


def _columns(kind: Any) -> tuple[str, ...]:
    return tuple(name for name in kind._fields if name not in HELD_ELSEWHERE)


ACCOUNT: Final = (*_columns(Account), "lead_hours", "grace_hours")
SHARE: Final = ("course_id", *_columns(Share))
PAYMENT: Final = _columns(Payment)
REFUND: Final = ("course_id", *_columns(Refund))
PART: Final = ("refund_id", *_columns(RefundedPart))
REVERSAL: Final = ("course_id", *_columns(Reversal))
ENTRY: Final = ("id", "course_id", "kind", "cause", "booked_at")
LINE: Final = ("entry_id", "number", *_columns(Line))
PERSON: Final = ("patient_id", "name", "born_on", "address", "member_id", "diagnoses", "no_claims")


async def load(connection: AsyncConnection, messages: Sequence[Message]) -> Loaded[State, Payments]:
    """The accounts that a batch names, locked, and every payment whose id it names, whosever it is.

    An account that is not there yet is begun first: so two transactions about one new course wait for each other.
    """
    ids = sorted({a for m in messages if not (a := aggregate_of(m)).startswith(PATIENT)})
    named = {m.data.payment_id for m in messages if isinstance(m.data, PaymentCaptured)}
    if not ids:
        return Loaded({}, {})
    await take(connection, "accounts", "course_id", ids, "uuid")
    accounts = await _accounts(connection, ids)
    known = await _payments(connection, named) if named else {}
    return Loaded({str(account.course_id): account for account in accounts}, known)


async def _payments(connection: AsyncConnection, ids: Iterable[str]) -> Payments:
    found = await rows(
        connection,
        f"SELECT {', '.join(PAYMENT)} FROM payments WHERE payment_id = ANY(CAST(:ids AS text[]))",
        ids=list(ids),
    )
    return {row.payment_id: _value(Payment, PAYMENT, row) for row in found}


async def read_account(connection: AsyncConnection, course_id: UUID) -> Account | None:
    """One account as it stands; None where nothing was ever heard of the course."""
    found = await _accounts(connection, [str(course_id)])
    return found[0] if found else None


async def read_payment(connection: AsyncConnection, payment_id: str) -> Payment | None:
    """One payment, of whichever course."""
    return (await _payments(connection, [payment_id])).get(payment_id)


def save(writes: Writes, loaded: Mapping[str, State], changed: Mapping[str, State], known: Payments) -> None:
    """Write what differs, a statement a table; ledger entries are only ever added."""
    accounts = [state for state in changed.values() if isinstance(state, Account)]
    touched = [(account, account.touched) for account in accounts]
    shares = [(a, s) for a, ids in touched for s in a.shares if s.session_id in ids]
    refunds = [(a, r) for a, ids in touched for r in a.refunds if r.refund_id in ids]
    entries = [entry for account in accounts for entry in account.unposted]
    writes.insert("accounts", ACCOUNT, (_account_row(a) for a in accounts), ("course_id",))
    writes.insert("shares", SHARE, _of_course(SHARE, shares), ("course_id", "session_id"))
    captured = {line.payment_id for e in entries if e.kind is EntryKind.CAPTURED for line in e.lines}
    fresh = ((a, p) for a in accounts for p in a.payments if p.payment_id in captured)
    older = ((a, p) for a, ids in touched for p in a.payments if p.payment_id in ids - captured)
    writes.insert("payments", PAYMENT, _of_course(PAYMENT, fresh))  # an id taken meanwhile is refused
    writes.insert("payments", PAYMENT, _of_course(PAYMENT, older), ("payment_id",))
    writes.insert("refunds", REFUND, _of_course(REFUND, refunds), ("course_id", "number"))
    parts = ({"refund_id": r.refund_id, **_fields(PART[1:], part)} for _, r in refunds for part in r.parts)
    writes.insert("refund_parts", PART, parts, ("refund_id", "payment_id"))
    reversals = ((a, r) for a, ids in touched for r in a.reversals if r.reversal_id in ids)
    writes.insert("reversals", REVERSAL, _of_course(REVERSAL, reversals), ("course_id", "reversal_id"))
    writes.insert("entries", ENTRY, (_fields(ENTRY, entry) for entry in entries))
    lines = (
        {"entry_id": entry.id, "number": number, **_fields(LINE[2:], line)}
        for entry in entries
        for number, line in enumerate(entry.lines, start=1)
    )
    writes.insert("lines", LINE, lines)
    _save_patients(writes, [state for state in changed.values() if isinstance(state, Patient)])


def _save_patients(writes: Writes, patients: Sequence[Patient]) -> None:
    kept = (_fields(PERSON, patient.papers) for patient in patients if patient.papers is not None)
    writes.insert("patients", PERSON, kept, ("patient_id",))
    if erased := [patient.patient_id for patient in patients if patient.papers is None]:
        writes.add("DELETE FROM patients WHERE patient_id = ANY(CAST(:ids AS text[]))", ids=erased)


async def read_patient(connection: AsyncConnection, patient_id: str) -> PatientUpdated | None:
    """What papers say of a person; None where we know nobody, or no longer."""
    found = await rows(connection, "SELECT * FROM patients WHERE patient_id = :id", id=patient_id)
    return PatientUpdated.model_validate(dict(found[0]._mapping)) if found else None


def _fields(columns: Sequence[str], item: object) -> dict[str, Any]:
    return dict(zip(columns, _values(*columns)(item), strict=True))


@cache
def _values(*columns: str) -> Callable[[object], tuple[Any, ...]]:
    return attrgetter(*columns)  # of two columns or more it gives a tuple


def _of_course(columns: Sequence[str], items: Iterable[tuple[Account, object]]) -> Iterable[dict[str, Any]]:
    own = [column for column in columns if column != "course_id"]
    return ({"course_id": account.course_id, **_fields(own, item)} for account, item in items)


def _account_row(account: Account) -> dict[str, Any]:
    hours = account.due.model_dump() if account.due else {}
    return _fields(_columns(Account), account) | hours


async def _accounts(connection: AsyncConnection, ids: Sequence[str]) -> list[Account]:
    here = "course_id = accounts.course_id"
    found = await rows(
        connection,
        f"""SELECT {", ".join(_columns(Account))}, lead_hours, grace_hours,
                   {nested("shares", SHARE[1:], here, "number")} AS shares,
                   {nested("payments", PAYMENT, here, "heard_at, payment_id")} AS payments,
                   {nested("refunds", REFUND[1:], here, "number")} AS refunds,
                   {nested("refund_parts", PART, f"refund_id IN (SELECT refund_id FROM refunds WHERE {here})", PART[1])}
                       AS parts,
                   {nested("reversals", REVERSAL[1:], here, "reversal_id")} AS reversals
            FROM accounts WHERE course_id = ANY(CAST(:ids AS uuid[]))""",
        ids=ids,
    )
    return [_account(row) for row in found]


def _account(row: Any) -> Account:
    *own, lead_hours, grace_hours, shares, payments, refunds, parts, reversals = row
    account: Account = _value(
        Account,
        _columns(Account),
        own,
        due=None if lead_hours is None else Due(lead_hours=lead_hours, grace_hours=grace_hours),
        shares=tuple(_value(Share, SHARE[1:], share) for share in shares),
        payments=tuple(_value(Payment, PAYMENT, payment) for payment in payments),
        refunds=tuple(
            _value(
                Refund, REFUND[1:], refund, parts=tuple(RefundedPart(*part) for of, *part in parts if of == refund[0])
            )
            for refund in refunds
        ),
        reversals=tuple(_value(Reversal, REVERSAL[1:], reversal) for reversal in reversals),
    )
    return account


CLOSED_SETS: Final[Mapping[Any, Mapping[str, Any]]] = {
    Account: {"stage": Stage, "payer": Payer, "missed": MissedPolicy},
    Share: {"state": SessionState, "release": ReleaseReason, "basis": Basis},
    Payment: {"method": Method},
    Refund: {"reason": RefundReason},
    Reversal: {"reason": ReversalReason},
}
"""Which columns hold a name of a closed set."""


def _value(kind: Any, columns: Sequence[str], values: Iterable[Any], **parts: Any) -> Any:
    fields = dict(zip(columns, values, strict=True))
    for name, closed_set in CLOSED_SETS[kind].items():
        if (text := fields[name]) is not None:
            fields[name] = closed_set(text)
    return kind(**fields, **parts)
