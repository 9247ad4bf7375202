"""Billing by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import asyncpg

from tests.benchmarks.floor.road import Heard, Told, event_id, main
from tests.benchmarks.story import PRICE_CENTS

LEAD, GRACE = timedelta(hours=48), timedelta(hours=24)


async def handle(connection: asyncpg.Connection, heard: list[Heard]) -> list[Told]:
    """Ask for each session's money, put a payment to use, take booking's answers."""
    told: list[Told] = []
    if accepted := [(id, data) for id, name, data in heard if name == "booking.course.accepted.v1"]:
        told += await ask(connection, accepted)
    if captured := [(id, data) for id, name, data in heard if name == "clinic.payment.captured.v1"]:
        told += await allocate(connection, captured)
    if confirmed := [data for _, name, data in heard if name == "booking.session.confirmed.v1"]:
        await connection.execute(
            """UPDATE shares SET answered = w.g FROM unnest($1::uuid[], $2::int[]) AS w (id, g)
               WHERE session_id = w.id""",
            [UUID(data["session_id"]) for data in confirmed],
            [data["grant"] for data in confirmed],
        )
    return told


async def ask(connection: asyncpg.Connection, accepted: list[tuple[str, dict[str, Any]]]) -> list[Told]:
    """Split the package's price, and ask for each share."""
    now = datetime.now(UTC)
    shares: list[tuple[Any, ...]] = []
    told: list[Told] = []
    for id, data in accepted:
        price, larger = divmod(PRICE_CENTS, len(data["sessions"]))
        course_id = UUID(data["course_id"])
        for n, session in enumerate(data["sessions"]):
            starts_at = datetime.fromisoformat(session["starts_at"])
            due_at = min(starts_at, max(starts_at - LEAD, now + GRACE))
            cents = price + (n < larger)
            shares.append((UUID(session["session_id"]), course_id, session["number"], cents, due_at))
            required = {
                "course_id": data["course_id"],
                "session_id": session["session_id"],
                "patient_id": data["patient_id"],
                "needs": "money",
                "amount_cents": cents,
                "currency": "USD",
                "due_at": due_at,
            }
            told.append(_told(id, n, "billing.prepayment.required.v1", required))
    await connection.execute(
        "INSERT INTO accounts SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[])",
        [UUID(data["course_id"]) for _, data in accepted],
        [data["patient_id"] for _, data in accepted],
        [data["package"] for _, data in accepted],
    )
    await connection.execute(
        """INSERT INTO shares (session_id, course_id, number, price_cents, due_at)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::timestamptz[])""",
        *map(list, zip(*shares, strict=True)),
    )
    return told


async def allocate(connection: asyncpg.Connection, captured: list[tuple[str, dict[str, Any]]]) -> list[Told]:
    """Book the money, and give whole shares in order."""
    ids = [UUID(data["course_id"]) for _, data in captured]
    await connection.execute(
        "SELECT FROM accounts WHERE course_id = ANY($1::uuid[]) ORDER BY course_id FOR UPDATE", ids
    )
    shares: dict[UUID, list[Any]] = {}
    for row in await connection.fetch(
        """SELECT course_id, session_id, number, price_cents, granted FROM shares
           WHERE course_id = ANY($1::uuid[]) AND NOT satisfied ORDER BY number""",
        ids,
    ):
        shares.setdefault(row[0], []).append(row)
    entries: list[tuple[Any, ...]] = []
    lines: list[tuple[Any, ...]] = []
    balances: list[tuple[UUID, int]] = []
    paid: list[UUID] = []
    told: list[Told] = []
    for id, data in captured:
        course_id, left, payment_id = UUID(data["course_id"]), data["amount_cents"], data["payment_id"]
        entry = uuid5(course_id, payment_id)
        entries.append((entry, course_id, "captured"))
        lines += [(entry, 1, "cash:card", left, None, payment_id), (entry, 2, "balance", -left, None, payment_id)]
        granted: list[Told] = []
        for _, session_id, number, price, grants in shares.get(course_id, ()):
            if price > left:
                break
            left -= price
            paid.append(session_id)
            entry = uuid5(session_id, payment_id)
            entries.append((entry, course_id, "allocated"))
            lines += [(entry, 1, "balance", price, session_id, None), (entry, 2, "prepaid", -price, session_id, None)]
            satisfied = {
                "course_id": data["course_id"],
                "session_id": str(session_id),
                "grant": grants + 1,
                "basis": "paid",
                "amount_cents": price,
            }
            granted.append(_told(id, number, "billing.prepayment.satisfied.v1", satisfied))
        recorded = {
            "payment_id": payment_id,
            "course_id": data["course_id"],
            "amount_cents": data["amount_cents"],
            "unallocated_cents": left,
        }
        told += [_told(id, 0, "billing.payment.recorded.v1", recorded), *granted]
        balances.append((course_id, left))
    await connection.execute(
        "INSERT INTO payments SELECT * FROM unnest($1::text[], $2::uuid[], $3::int[], $4::timestamptz[])",
        [data["payment_id"] for _, data in captured],
        ids,
        [data["amount_cents"] for _, data in captured],
        [datetime.fromisoformat(data["captured_at"]) for _, data in captured],
    )
    await connection.execute(
        "INSERT INTO entries (id, course_id, kind) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[])",
        *map(list, zip(*entries, strict=True)),
    )
    await connection.execute(
        "INSERT INTO lines SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::uuid[], $6::text[])",
        *map(list, zip(*lines, strict=True)),
    )
    await connection.execute(
        "UPDATE shares SET satisfied = true, granted = granted + 1 WHERE session_id = ANY($1::uuid[])", paid
    )
    await connection.execute(
        """UPDATE accounts SET balance_cents = balance_cents + w.b FROM unnest($1::uuid[], $2::bigint[]) AS w (id, b)
           WHERE course_id = w.id AND w.b <> 0""",
        *map(list, zip(*balances, strict=True)),
    )
    return told


def _told(cause: str, number: int, type_name: str, data: dict[str, Any]) -> Told:
    return event_id(cause, number), "billing.events", type_name, data["course_id"], data


if __name__ == "__main__":
    heard = {
        "clinic.payments": {b"clinic.payment.captured.v1"},
        "booking.events": {b"booking.course.accepted.v1", b"booking.session.confirmed.v1"},
    }
    main("billing", heard, handle)
