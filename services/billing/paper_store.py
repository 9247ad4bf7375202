"""SQL of people, of the papers that name them, and of who asked for what: rows with personal data stand here alone."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from services.billing.account import Account
from services.billing.folder import Folder, Issued, Kind, Paper, Patient
from services.billing.papers import LOOK
from services.billing.records import Given
from shared.contract import PatientUpdated, Payer, Service
from shared.database import Connection, Writes, rows, to_json

PERSON: Final = ("patient_id", "name", "born_on", "address", "member_id", "diagnoses", "no_claims")
SERVICES: Final = TypeAdapter(tuple[Service, ...])


# Folders -------------------------------------------------------------------------------------------------------------


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


# People --------------------------------------------------------------------------------------------------------------


def save_patients(writes: Writes, patients: Sequence[Patient]) -> None:
    """Keep what is told of people, have the papers of their courses looked at, and forget who is erased."""
    known = [patient for patient in patients if patient.papers is not None]
    if known:
        people = [{name: getattr(patient.papers, name) for name in PERSON} for patient in known]
        writes.insert("patients", PERSON, people, ("patient_id",))
        writes.add(
            """INSERT INTO timers (aggregate, kind, subject, due_at)
               SELECT CAST(a.course_id AS text), CAST(:kind AS text), 'patient', CAST(:at AS timestamptz)
               FROM json_populate_recordset(NULL::patients, CAST(:people AS json)) AS n
               JOIN accounts a ON a.patient_id = n.patient_id AND a.stage = 'priced'
               LEFT JOIN patients p ON p.patient_id = n.patient_id
               WHERE p IS DISTINCT FROM n
               ON CONFLICT (aggregate, kind, subject) DO UPDATE SET due_at = excluded.due_at, id = excluded.id""",
            kind=LOOK,
            at=max(patient.heard_at for patient in known),
            people=to_json(people).decode(),
        )
    if erased := [patient.patient_id for patient in patients if patient.papers is None]:
        writes.add("DELETE FROM patients WHERE patient_id = ANY(CAST(:ids AS text[]))", ids=erased)
        writes.add(
            """UPDATE papers SET html = NULL, digest = NULL
               WHERE patient_id = ANY(CAST(:ids AS text[])) AND html IS NOT NULL""",
            ids=erased,
        )


def wake_papers(writes: Writes, accepted: Iterable[Account], patients: Sequence[Patient]) -> None:
    """Have the papers of courses looked at whose patient is known already, or became known in the same batch.

    Of course and patient the one that comes later wakes the papers. Two transactions that do not see each other, in
    two processes, wake nobody: then the first look, which every estimate has, comes upon them.
    """
    own = [account for account in accepted if account.payer is Payer.SELF_PAY and account.shares]
    if own:
        writes.add(
            """INSERT INTO timers (aggregate, kind, subject, due_at)
               SELECT course_id, CAST(:kind AS text), 'patient', at
               FROM unnest(CAST(:courses AS text[]), CAST(:people AS text[]), CAST(:at AS timestamptz[]))
                    AS a (course_id, patient_id, at)
               WHERE patient_id = ANY(CAST(:told AS text[])) OR EXISTS (
                   SELECT FROM patients p WHERE p.patient_id = a.patient_id)
               ON CONFLICT (aggregate, kind, subject) DO UPDATE SET due_at = excluded.due_at, id = excluded.id""",
            kind=LOOK,
            courses=[str(account.course_id) for account in own],
            people=[account.patient_id for account in own],
            at=[account.shares[0].asked_at for account in own],
            told=[patient.patient_id for patient in patients if patient.papers is not None],
        )


async def read_patient(connection: Connection, patient_id: str) -> PatientUpdated | None:
    """What papers say of a person; None where we know nobody, or no longer."""
    found = await rows(connection, f"SELECT {', '.join(PERSON)} FROM patients WHERE patient_id = :id", id=patient_id)
    return PatientUpdated.model_validate(dict(found[0])) if found else None


# What is shown, and to whom ------------------------------------------------------------------------------------------


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
