"""How many payments billing applies in a second, in batches: beside its SQL alone, and with a long ledger behind it.

    python -m tests.benchmarks.ledger

The contenders work on copies of one database with accepted courses, each waiting for one payment. The floor is the SQL
of the same work, statement by statement, sent by bare asyncpg: what is above it is ours to spend or to save. The long
ledger has a million entries of other courses.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import methodcaller
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import asyncpg

from deploy.local.postgres import EmbeddedPostgres
from deploy.preparing.databases import provision
from services.billing.main import build
from services.billing.settings import BillingSettings
from shared.configuration.settings import read_settings
from shared.contract.booking import CourseAccepted
from shared.contract.clinic import PaymentCaptured
from shared.contract.register import EventData
from shared.decision.clock import WallClock
from shared.decision.message import Record, headers_of
from shared.postgres import writes
from shared.postgres.pool import Database, read_json
from shared.postgres.values import Connection
from shared.postgres.writes import Rows
from tests.benchmarks.servers import REPOSITORY, fresh_databases
from tests.facts.booking import booked_session, course_accepted
from tests.facts.clinic import payment_captured

BATCH = 500
SESSIONS = 6
NOW = datetime.now(UTC)
START = NOW + timedelta(days=30)

OTHERS = """
INSERT INTO accounts (course_id) SELECT md5('course ' || n)::uuid FROM generate_series(1, {0} / 10) AS n;
INSERT INTO payments SELECT 'other-' || n, md5('course ' || n)::uuid, 100, 'card', now(), now(), 0
    FROM generate_series(1, {0} / 10) AS n;
INSERT INTO entries SELECT md5('entry ' || n)::uuid, md5('course ' || 1 + n % ({0} / 10))::uuid, 'captured', 'm-' || n,
    now() FROM generate_series(1, {0}) AS n;
INSERT INTO lines SELECT md5('entry ' || n)::uuid, k, CASE k WHEN 1 THEN 'cash:card' ELSE 'balance' END,
    CASE k WHEN 1 THEN 100 ELSE -100 END, NULL, 'other-' || 1 + n % ({0} / 10)
    FROM generate_series(1, {0}) AS n, generate_series(1, 2) AS k;
"""


Sent = Callable[[asyncpg.Connection], Awaitable[Any]]
"""Something that is sent to PostgreSQL, once more."""


@dataclass
class Recording:
    """What a run sends, transaction by transaction."""

    transactions: list[list[Sent]] = field(default_factory=list)

    @contextmanager
    def of(self, database: Database) -> Iterator[None]:
        """Write down what is sent in transactions of this database meanwhile."""
        begin, copy = database.begin, writes.copy

        @asynccontextmanager
        async def begin_listening() -> AsyncIterator[Connection]:
            async with begin() as connection:
                self.transactions.append([])
                connection.add_query_logger(self._statement)
                yield connection
                connection.remove_query_logger(self._statement)

        async def copy_listening(connection: Connection, table: str, columns: Sequence[str], new: Rows) -> None:
            rows = [tuple(row[column] for column in columns) for row in new]
            self.transactions[-1].append(methodcaller("copy_records_to_table", table, columns=columns, records=rows))
            await copy(connection, table, columns, new)

        with patch.object(database, "begin", begin_listening), patch("shared.postgres.writes.copy", copy_listening):
            yield

    def _statement(self, query: Any) -> None:
        self.transactions[-1].append(methodcaller("fetch", query.query, *query.args))


def accepted(number: int) -> CourseAccepted:
    """A course of six that waits for its money."""
    sessions = tuple(
        booked_session(
            n,
            SESSIONS,
            session_id=UUID(int=number * 100 + n),
            starts_at=START + timedelta(days=3 * n),
            chair="chair-1",
            provider="provider-1",
        )
        for n in range(1, SESSIONS + 1)
    )
    return course_accepted(
        SESSIONS,
        course_id=UUID(int=number),
        patient_id=f"patient-{number}",
        package="induction",
        hold_expires_at=START,
        sessions=sessions,
    )


def captured(number: int) -> PaymentCaptured:
    """All of its money."""
    return payment_captured(347500, f"pay-{number}", NOW, course_id=UUID(int=number))


def records(events: Sequence[EventData]) -> list[Record]:
    """Events as they stand on Kafka."""
    at = int(NOW.timestamp() * 1000)
    return [
        Record(
            e.topic,
            0,
            offset,
            at,
            e.key.encode(),
            e.model_dump_json(exclude_none=True).encode(),
            tuple(headers_of(e, f"{e.type}-{e.key}", "bench", NOW, None)),
        )
        for offset, e in enumerate(events)
    ]


async def carry(url: str, heard: Sequence[Record], recording: Recording | None = None) -> float:
    """Take records through billing in batches; returns the seconds."""
    settings = read_settings(
        BillingSettings, kafka="127.0.0.1:1", billing_database=url, profiles=REPOSITORY / "deploy" / "clinics"
    )
    service = build(settings, WallClock()).state.service
    try:
        await service.worker.on_records([])  # connects
        began = time.perf_counter()
        with recording.of(service.database) if recording is not None else nullcontext():
            for start in range(0, len(heard), BATCH):
                await service.worker.on_records(heard[start : start + BATCH])
        return time.perf_counter() - began
    finally:
        await service.stop()


async def replay(url: str, recording: Recording) -> float:
    """Send the same by bare asyncpg; returns the seconds."""
    connection = await asyncpg.connect(url, server_settings={"jit": "off"})
    await read_json(connection)
    try:
        began = time.perf_counter()
        for steps in recording.transactions:
            async with connection.transaction():
                for again in steps:
                    await again(connection)
        return time.perf_counter() - began
    finally:
        await connection.close()


async def fill(admin_url: str, entries: int) -> None:
    """Give the ledger a past."""
    connection = await asyncpg.connect(admin_url, timeout=600)
    try:
        await connection.execute(OTHERS.format(entries), timeout=600)
        await connection.execute("VACUUM ANALYZE", timeout=600)
    finally:
        await connection.close()


def main() -> None:
    """Run all contenders in turns, and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ledger", description=__doc__)
    parser.add_argument("--payments", type=int, default=5000, help="of one trial (default: %(default)s)")
    parser.add_argument("--entries", type=int, default=1_000_000, help="in the long ledger (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many counts (default: %(default)s)")
    wanted = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="chairtime-ledger-"))
    best: dict[str, float] = {}

    def count(name: str, seconds: float) -> None:
        best[name] = max(best.get(name, 0), wanted.payments / seconds)
        sys.stderr.write(f"{name}: {wanted.payments / seconds:.0f} payments a second\n")

    try:
        with EmbeddedPostgres(home / "postgres") as admin:
            empty = {"billing": provision(admin, suffix="_empty")["billing"]}
            asyncio.run(carry(empty["billing"], records([accepted(n) for n in range(1, wanted.payments + 1)])))
            with fresh_databases(admin, empty) as long:
                asyncio.run(fill(long["billing"].replace("//billing@", "//postgres@"), wanted.entries))
                money = records([captured(n) for n in range(1, wanted.payments + 1)])
                for _ in range(wanted.rounds):
                    recording = Recording()
                    with fresh_databases(admin, empty) as copy:
                        count("billing, recorded", asyncio.run(carry(copy["billing"], money, recording)))
                    with fresh_databases(admin, empty) as copy:
                        count("its SQL alone", asyncio.run(replay(copy["billing"], recording)))
                    with fresh_databases(admin, empty) as copy:
                        count("billing", asyncio.run(carry(copy["billing"], money)))
                    with fresh_databases(admin, long) as copy:
                        count("billing, long ledger", asyncio.run(carry(copy["billing"], money)))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    of_floor, of_empty = best["billing"] / best["its SQL alone"], best["billing, long ledger"] / best["billing"]
    sys.stdout.write(
        f"billing: {best['billing']:.0f} payments a second, {of_floor:.2f} of its SQL alone;"
        f" with {wanted.entries} entries behind it {of_empty:.2f} of that\n"
    )


if __name__ == "__main__":
    main()
