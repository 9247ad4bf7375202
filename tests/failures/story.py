"""One course on its way through all three services, and all that it has caused: to be compared with another's."""

import asyncio
import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from shared.contract.clinic import ContactUpdated, PaymentCaptured
from shared.contract.reminders import TextSent, TextSuppressed
from shared.tables.outbox import unpack
from tests.failures.processes import SERVICES, Processes
from tests.journeys.conftest import CHICAGO, Course

PRICE: Final = 45000
"""Of a session, in cents."""

HOURS: Final = 10
CHAIRS: Final = 4


def course(number: int, sessions: int = 2) -> Course:
    """A course of its own hour and chair; there is room for several hundred of them.

    Args:
        number: no other test course on the same database has it.
    """
    today = datetime.now(CHICAGO).date()
    monday = today + timedelta(days=14 - today.weekday() + 7 * (number // (HOURS * CHAIRS)))
    days = [monday + timedelta(days=3 * n) for n in range(sessions)]
    starts = [datetime(d.year, d.month, d.day, 8 + number % HOURS, tzinfo=CHICAGO) for d in days]
    return Course(starts)


def contact(course: Course) -> ContactUpdated:
    """The patient may be texted, and is where it is noon now, so that no quiet hours keep a text back."""
    now = datetime.now(UTC)
    east = (12 - now.hour + 11) % 24 - 11
    return course.contact(now).model_copy(
        update={"time_zone": f"Etc/GMT{-east:+d}" if east else "Etc/GMT", "region": None, "phone": phone(course)}
    )


def phone(course: Course) -> str:
    """The patient's own number."""
    return f"+1630{int(hashlib.sha256(course.patient_id.encode()).hexdigest(), 16) % 10_000_000:07d}"


def paid(course: Course) -> PaymentCaptured:
    """The whole price."""
    return course.paid(datetime.now(UTC), PRICE * len(course.starts))


async def effects(running: Processes, course_id: UUID) -> Counter[tuple[Any, ...]]:
    """Every event about a course that stands in an outbox, without what differs from course to course."""
    told: Counter[tuple[Any, ...]] = Counter()
    numbers: dict[str, int] = {}
    for service in SERVICES:
        for row in await running.rows(
            service,
            "SELECT topic, value, headers FROM outbox WHERE key = :key ORDER BY id",
            key=str(course_id).encode(),
        ):
            data, name = orjson.loads(row.value), (dict(unpack(row.headers))["ce_type"] or b"").decode()
            if name == TextSent.type:
                continue  # of a text whose sender died nobody can say whether it was
            if name == TextSuppressed.type:
                continue  # when it was looked at, and so why it was not sent, depends on the crashes and on quiet hours
            numbers |= {s["session_id"]: s["number"] for s in data.get("sessions", ())}
            kept = {name: data[name] for name in KEPT if name in data}
            told[(row.topic, name, numbers.get(data.get("session_id", "")), *sorted(kept.items()))] += 1
    return told


KEPT: Final = ("state", "version", "grant", "reason", "basis", "kind", "needs", "amount_cents", "unallocated_cents")


async def state(running: Processes, course_id: UUID) -> dict[str, list[tuple[Any, ...]]]:
    """What the three databases hold of a course, without what differs from course to course."""
    queries = {
        "sessions": (
            "booking",
            'SELECT number, state, version, "grant" FROM sessions WHERE course_id = :id ORDER BY 1',
        ),
        "shares": (
            "billing",
            "SELECT number, state, basis, prepaid_cents, granted FROM shares WHERE course_id = :id ORDER BY number",
        ),
        "ledger": (
            "billing",
            """SELECT kind, account, sum(amount_cents)::int, count(*) FROM entries e JOIN lines ON entry_id = e.id
               WHERE course_id = :id GROUP BY 1, 2 ORDER BY 1, 2""",
        ),
        "ladder": (
            "reminders",
            """SELECT kind, replace(state, 'unknown', 'sent'), attempts, count(*) FROM texts
               WHERE course_id = :id AND kind <> 'released'  -- which comes a minute later, perhaps after the test
               GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
        ),
    }
    answers = await asyncio.gather(*(running.rows(s, sql, id=course_id) for s, sql in queries.values()))
    return {name: [tuple(row) for row in found] for name, found in zip(queries, answers, strict=True)}
