"""Billing's tables: load many, save many. The only SQL of the service besides its migrations."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
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
from services.billing.ledger import Entry, EntryKind, Line
from services.billing.profile import Due, MissedPolicy
from services.billing.rules import PATIENT, aggregate_of
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
from shared.database import rows, run, write
from shared.envelope import Message
from shared.worker import Loaded

HELD_ELSEWHERE: Final = {"due", "shares", "payments", "refunds", "reversals", "unposted", "touched", "parts", "lines"}
"""What stands in tables or columns of its own. Every other field of a value is the column of that name."""


def _columns(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name not in HELD_ELSEWHERE)


ACCOUNT: Final = (*_columns(Account), "lead_hours", "grace_hours")
SHARE: Final = ("course_id", *_columns(Share))
PAYMENT: Final = _columns(Payment)
REFUND: Final = ("course_id", *_columns(Refund))
PART: Final = ("refund_id", *_columns(RefundedPart))
REVERSAL: Final = ("course_id", *_columns(Reversal))
ENTRY: Final = _columns(Entry)
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
    await run(
        connection,
        """INSERT INTO accounts (course_id) SELECT id FROM unnest(CAST(:ids AS uuid[])) AS wanted (id)
           WHERE NOT EXISTS (SELECT FROM accounts WHERE course_id = id) ORDER BY id ON CONFLICT DO NOTHING""",
        ids=ids,
    )
    accounts = await _accounts(connection, ids, "FOR UPDATE")
    known = await _payments(connection, named) if named else {}
    return Loaded({str(account.course_id): account for account in accounts}, known)


async def _payments(connection: AsyncConnection, ids: Iterable[str]) -> Payments:
    found = await rows(connection, "SELECT * FROM payments WHERE payment_id = ANY(CAST(:ids AS text[]))", ids=[*ids])
    return {row.payment_id: _payment(row) for row in found}


async def read_account(connection: AsyncConnection, course_id: UUID) -> Account | None:
    """One account as it stands; None where nothing was ever heard of the course."""
    found = await _accounts(connection, [str(course_id)])
    return found[0] if found else None


async def read_payment(connection: AsyncConnection, payment_id: str) -> Payment | None:
    """One payment, of whichever course."""
    found = await rows(connection, "SELECT * FROM payments WHERE payment_id = :id", id=payment_id)
    return _payment(found[0]) if found else None


async def save(
    connection: AsyncConnection, loaded: Mapping[str, State], changed: Mapping[str, State], known: Payments
) -> None:
    """Write what differs, a statement a table; ledger entries are only ever added."""
    accounts = [state for state in changed.values() if isinstance(state, Account)]
    touched = [(account, account.touched) for account in accounts]
    shares = [(a, s) for a, ids in touched for s in a.shares if s.session_id in ids]
    refunds = [(a, r) for a, ids in touched for r in a.refunds if r.refund_id in ids]
    entries = [entry for account in accounts for entry in account.unposted]
    await _write(connection, "accounts", ACCOUNT, (_account_row(a) for a in accounts), ("course_id",))
    await _write(connection, "shares", SHARE, _of_course(SHARE, shares), ("course_id", "session_id"))
    captured = {line.payment_id for e in entries if e.kind is EntryKind.CAPTURED for line in e.lines}
    fresh = ((a, p) for a in accounts for p in a.payments if p.payment_id in captured)
    older = ((a, p) for a, ids in touched for p in a.payments if p.payment_id in ids - captured)
    await _write(connection, "payments", PAYMENT, _of_course(PAYMENT, fresh))  # an id taken meanwhile is refused
    await _write(connection, "payments", PAYMENT, _of_course(PAYMENT, older), ("payment_id",))
    await _write(connection, "refunds", REFUND, _of_course(REFUND, refunds), ("course_id", "number"))
    parts = ({"refund_id": r.refund_id, **_fields(PART[1:], part)} for _, r in refunds for part in r.parts)
    await _write(connection, "refund_parts", PART, parts, ("refund_id", "payment_id"))
    reversals = ((a, r) for a, ids in touched for r in a.reversals if r.reversal_id in ids)
    await _write(connection, "reversals", REVERSAL, _of_course(REVERSAL, reversals), ("course_id", "reversal_id"))
    await _write(connection, "entries", ENTRY, (_fields(ENTRY, entry) for entry in entries))
    lines = (
        {"entry_id": entry.id, "number": number, **_fields(LINE[2:], line)}
        for entry in entries
        for number, line in enumerate(entry.lines, start=1)
    )
    await _write(connection, "lines", LINE, lines)
    await _save_patients(connection, [state for state in changed.values() if isinstance(state, Patient)])


async def _save_patients(connection: AsyncConnection, patients: Sequence[Patient]) -> None:
    kept = (_fields(PERSON, patient.papers) for patient in patients if patient.papers is not None)
    await _write(connection, "patients", PERSON, kept, ("patient_id",))
    if erased := [patient.patient_id for patient in patients if patient.papers is None]:
        await run(connection, "DELETE FROM patients WHERE patient_id = ANY(CAST(:ids AS text[]))", ids=erased)


async def read_patient(connection: AsyncConnection, patient_id: str) -> PatientUpdated | None:
    """What papers say of a person; None where we know nobody, or no longer."""
    found = await rows(connection, "SELECT * FROM patients WHERE patient_id = :id", id=patient_id)
    return PatientUpdated.model_validate(dict(found[0]._mapping)) if found else None


async def _write(
    connection: AsyncConnection,
    table: str,
    columns: Sequence[str],
    records: Iterable[Mapping[str, Any]],
    key: Sequence[str] = (),
) -> None:
    await write(connection, table, columns, list(records), key)


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


async def _accounts(connection: AsyncConnection, ids: Sequence[str], lock: str = "") -> list[Account]:
    of_courses = "WHERE course_id = ANY(CAST(:ids AS uuid[]))"
    heads = await rows(connection, f"SELECT * FROM accounts {of_courses} ORDER BY course_id {lock}", ids=ids)
    shares: dict[UUID, list[Share]] = defaultdict(list)
    payments: dict[UUID, list[Payment]] = defaultdict(list)
    refunds: dict[UUID, list[Refund]] = defaultdict(list)
    reversals: dict[UUID, list[Reversal]] = defaultdict(list)
    for row in await rows(connection, f"SELECT * FROM shares {of_courses} ORDER BY number", ids=ids):
        shares[row.course_id].append(_share(row))
    for row in await rows(connection, f"SELECT * FROM payments {of_courses} ORDER BY heard_at, payment_id", ids=ids):
        payments[row.course_id].append(_payment(row))
    for row in await rows(
        connection,
        f"""SELECT r.*, p.parts FROM refunds r CROSS JOIN LATERAL (
                SELECT json_agg(json_build_array(payment_id, amount_cents, settled_cents) ORDER BY payment_id) AS parts
                FROM refund_parts WHERE refund_id = r.refund_id) p {of_courses} ORDER BY number""",
        ids=ids,
    ):
        parts = tuple(RefundedPart(*part) for part in row.parts)
        refund = Refund(row.refund_id, row.number, row.amount_cents, RefundReason(row.reason), parts)
        refunds[row.course_id].append(refund)
    for row in await rows(connection, f"SELECT * FROM reversals {of_courses} ORDER BY reversal_id", ids=ids):
        reversal = _fields(REVERSAL[1:], row) | {"reason": ReversalReason(row.reason)}
        reversals[row.course_id].append(Reversal(**reversal))
    return [
        _account(
            row,
            shares=tuple(shares[row.course_id]),
            payments=tuple(payments[row.course_id]),
            refunds=tuple(refunds[row.course_id]),
            reversals=tuple(reversals[row.course_id]),
        )
        for row in heads
    ]


def _account(row: Any, **parts: Any) -> Account:
    due = None if row.lead_hours is None else Due(lead_hours=row.lead_hours, grace_hours=row.grace_hours)
    typed = {
        "stage": Stage(row.stage),
        "payer": row.payer and Payer(row.payer),
        "missed": row.missed and MissedPolicy(row.missed),
    }
    return Account(**(_fields(_columns(Account), row) | typed), due=due, **parts)


def _share(row: Any) -> Share:
    typed = {
        "state": SessionState(row.state),
        "release": row.release and ReleaseReason(row.release),
        "basis": row.basis and Basis(row.basis),
    }
    return Share(**(_fields(SHARE[1:], row) | typed))


def _payment(row: Any) -> Payment:
    return Payment(**(_fields(PAYMENT, row) | {"method": Method(row.method)}))
