"""What software must not decide: rows that a person resolves, with a metric."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.decision.decision import Attention
from shared.decision.message import derived_id
from shared.postgres.query import rows, run
from shared.postgres.values import Connection
from shared.postgres.writes import Writes


def add(writes: Writes, raised: Sequence[tuple[str, Attention]], now: datetime) -> None:
    """Raise each once, however often it comes.

    Args:
        raised: aggregate and what is up with it.
    """
    if raised:
        writes.add(
            """INSERT INTO attention (id, kind, aggregate, subject, detail, raised_at)
               SELECT *, :now FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:aggregates AS text[]),
                                          CAST(:subjects AS text[]), CAST(:details AS text[]))
               ON CONFLICT (id) DO NOTHING""",
            ids=[derived_id(f"{aggregate}/{item.kind}/{item.subject}") for aggregate, item in raised],
            kinds=[item.kind for _, item in raised],
            aggregates=[aggregate for aggregate, _ in raised],
            subjects=[item.subject for _, item in raised],
            details=[item.detail for _, item in raised],
            now=now,
        )


async def open_rows(connection: Connection, limit: int = 200) -> list[dict[str, Any]]:
    """What waits for a person, oldest first."""
    found = await rows(
        connection,
        """SELECT id, kind, aggregate, subject, detail, raised_at FROM attention
           WHERE resolved_at IS NULL ORDER BY raised_at LIMIT :limit""",
        limit=limit,
    )
    return [dict(row) for row in found]


async def open_by_kind(connection: Connection) -> dict[str, tuple[int, datetime]]:
    """How many rows wait for a person, and since when the oldest does, of each kind that there is."""
    found = await rows(
        connection,
        "SELECT kind, count(*) AS n, min(raised_at) AS oldest FROM attention WHERE resolved_at IS NULL GROUP BY kind",
    )
    return {row.kind: (row.n, row.oldest) for row in found}


async def resolve(connection: Connection, id: UUID, by: str, resolution: str, now: datetime) -> bool:
    """Close one row; False where there is none open."""
    done = await run(
        connection,
        """UPDATE attention SET resolved_at = :now, resolved_by = :by, resolution = :resolution
           WHERE id = :id AND resolved_at IS NULL""",
        id=id,
        by=by,
        resolution=resolution,
        now=now,
    )
    return done == 1


async def of_course(connection: Connection, course_id: UUID) -> Sequence[Any]:
    """What waits for a person, or waited, of one course, oldest first: id, kind, subject, raised_at, resolved_at."""
    return await rows(
        connection,
        """SELECT id, kind, subject, raised_at, resolved_at FROM attention
           WHERE aggregate LIKE '%' || :course ORDER BY raised_at""",
        course=str(course_id),
    )
