"""SQL of papers and of what they are made of: rows with personal data."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from services.billing.account.account import Account
from services.billing.account.records import Given
from services.billing.papers.folder import Folder, Issued, Kind, Paper
from services.billing.store.patients import PERSON
from shared.contract.clinic import PatientUpdated, Service
from shared.postgres.query import rows
from shared.postgres.values import Connection
from shared.postgres.writes import Writes

SERVICES: Final = TypeAdapter(tuple[Service, ...])


async def folders(connection: Connection, accounts: Sequence[Account]) -> list[Folder]:
    """The papers of these courses, and what they are made of."""
    ids = [account.course_id for account in accounts]
    given = await rows(
        connection,
        """SELECT course_id, session_id, provider, started_at, ended_at, CAST(services AS text) AS services
           FROM given WHERE course_id = ANY(CAST(:ids AS uuid[])) ORDER BY started_at, session_id""",
        ids=ids,
    )
    issued = await _issued(connection, ids)
    people = await rows(
        connection,
        f"SELECT {', '.join(PERSON)} FROM patients WHERE patient_id = ANY(CAST(:ids AS text[]))",
        ids=[account.patient_id for account in accounts],
    )
    known = {row.patient_id: PatientUpdated.model_validate(dict(row)) for row in people}
    return [
        Folder(
            course_id=account.course_id,
            account=account,
            given=tuple(_given(row) for row in given if row.course_id == account.course_id),
            patient=known.get(account.patient_id or ""),
            issued=tuple(paper for course_id, paper in issued if course_id == account.course_id),
        )
        for account in accounts
    ]


def _given(row: Any) -> Given:
    services = None if row.services is None else SERVICES.validate_json(row.services)
    return Given(row.session_id, row.provider, row.started_at, row.ended_at, services)


async def _issued(connection: Connection, course_ids: Iterable[UUID]) -> list[tuple[UUID, Issued]]:
    found = await rows(
        connection,
        """SELECT DISTINCT ON (kind, paper_id) course_id, kind, paper_id, version, digest
           FROM papers WHERE course_id = ANY(CAST(:ids AS uuid[])) ORDER BY kind, paper_id, version DESC""",
        ids=list(course_ids),
    )
    return [(of, Issued(Kind(kind), paper_id, version, digest)) for of, kind, paper_id, version, digest in found]


async def papers_of(connection: Connection, course_id: UUID) -> list[Issued]:
    """The newest version of each of a course's papers."""
    return [paper for _, paper in await _issued(connection, [course_id])]


def save_folders(writes: Writes, changed: Iterable[Folder]) -> None:
    """Keep papers as they are issued; a version that another has issued meanwhile is refused."""
    fresh = (paper._asdict() for folder in changed for paper in folder.fresh)
    writes.insert("papers", Paper._fields, fresh)


async def read_paper(connection: Connection, kind: Kind, paper_id: UUID, version: int | None) -> Any | None:
    """A paper as it was issued: `version`, `html` (None: its person was erased); the newest where none is named."""
    found = await rows(
        connection,
        """SELECT version, html FROM papers
           WHERE kind = :kind AND paper_id = :id AND version = coalesce(CAST(:version AS int), version)
           ORDER BY version DESC LIMIT 1""",
        kind=kind,
        id=paper_id,
        version=version,
    )
    return found[0] if found else None
