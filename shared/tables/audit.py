"""Who asked for what over HTTP. Only ever added to: a service that keeps it has a table `audit` of its own.

Source: HIPAA wants unique users and a trail of what they did, kept for six years.
"""

from datetime import datetime

from shared.postgres.query import rows, run
from shared.postgres.values import Connection


async def keep(
    connection: Connection, request_id: str, caller: str, action: str, subject: str, detail: str, now: datetime
) -> None:
    """Keep who asked for what; the same request again is one row.

    Args:
        subject: ids only.
    """
    await run(
        connection,
        """INSERT INTO audit (request_id, caller, action, subject, detail, at)
           VALUES (:request_id, :caller, :action, :subject, :detail, :at) ON CONFLICT DO NOTHING""",
        request_id=request_id,
        caller=caller,
        action=action,
        subject=subject,
        detail=detail,
        at=now,
    )


async def asked_at(connection: Connection, request_id: str) -> datetime:
    """When a request that was kept came first."""
    found = await rows(connection, "SELECT at FROM audit WHERE request_id = :id", id=request_id)
    at: datetime = found[0].at
    return at
