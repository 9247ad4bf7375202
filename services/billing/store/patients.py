"""SQL of people as papers name them: rows with personal data."""

from collections.abc import Iterable, Sequence
from typing import Final

from services.billing.account.account import Account
from services.billing.papers.decide import PapersTimer
from services.billing.papers.folder import Patient
from shared.contract.closed_sets import Payer
from shared.postgres.values import to_json
from shared.postgres.writes import Writes

PERSON: Final = ("patient_id", "name", "born_on", "address", "member_id", "diagnoses", "no_claims")


def save_patients(writes: Writes, patients: Sequence[Patient]) -> None:
    """Keep people's details, have the papers of their courses looked at, and forget who is erased."""
    known = [patient for patient in patients if patient.details is not None]
    if known:
        people = [{name: getattr(patient.details, name) for name in PERSON} for patient in known]
        writes.insert("patients", PERSON, people, ("patient_id",))
        writes.add(
            """INSERT INTO timers (aggregate, kind, subject, due_at)
               SELECT CAST(a.course_id AS text), CAST(:kind AS text), 'patient', CAST(:at AS timestamptz)
               FROM json_populate_recordset(NULL::patients, CAST(:people AS json)) AS n
               JOIN accounts a ON a.patient_id = n.patient_id AND a.stage = 'priced'
               LEFT JOIN patients p ON p.patient_id = n.patient_id
               WHERE p IS DISTINCT FROM n
               ON CONFLICT (aggregate, kind, subject) DO UPDATE SET due_at = excluded.due_at, id = excluded.id""",
            kind=PapersTimer.LOOK,
            at=max(patient.heard_at for patient in known),
            people=to_json(people).decode(),
        )
    if erased := [patient.patient_id for patient in patients if patient.details is None]:
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
               WHERE patient_id = ANY(CAST(:just_known AS text[])) OR EXISTS (
                   SELECT FROM patients p WHERE p.patient_id = a.patient_id)
               ON CONFLICT (aggregate, kind, subject) DO UPDATE SET due_at = excluded.due_at, id = excluded.id""",
            kind=PapersTimer.LOOK,
            courses=[str(account.course_id) for account in own],
            people=[account.patient_id for account in own],
            at=[account.shares[0].asked_at for account in own],
            just_known=[patient.patient_id for patient in patients if patient.details is not None],
        )
