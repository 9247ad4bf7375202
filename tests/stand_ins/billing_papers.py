"""A patient's course at Albany whose papers are kept on PostgreSQL."""

from datetime import date, timedelta
from typing import Any

import orjson

from shared.contract.register import EventData
from tests.facts.booking import at_albany, course_accepted, session_completed
from tests.facts.clinic import patient_updated
from tests.facts.course import COURSE, HOUR, session_id, start
from tests.stand_ins.billing_rig import Billing

NAME = "Canary Q. Patient"
DIAGNOSIS = "F33.2"
ROBIN = patient_updated(name=NAME, born_on=date(1980, 2, 29), diagnoses=(DIAGNOSIS,))
ESTIMATE = f"/v1/estimates/{COURSE}"
SUPERBILL, RECEIPT = f"/v1/superbills/{session_id(1)}", f"/v1/receipts/{session_id(1)}"


def course(of: int = 2, **more: Any) -> EventData:
    """The story's course at Albany, with a provider of its profile."""
    sessions = course_accepted(of).sessions
    known = tuple(session.model_copy(update={"provider": "provider-1"}) for session in sessions)
    return at_albany(of, sessions=known, **more)


def given(number: int = 1, minutes: int = 40) -> EventData:
    begun = start(number) + HOUR / 4
    times = {"started_at": begun, "ended_at": begun + timedelta(minutes=minutes)}
    return session_completed(number, provider="provider-1", **times)


async def papers(billing: Billing) -> list[tuple[str, str, int]]:
    """Kind, id and version of every paper."""
    found = await billing.query("SELECT kind, paper_id, version FROM papers ORDER BY kind, paper_id, version")
    return [(row.kind, str(row.paper_id), row.version) for row in found]


async def events_of(billing: Billing, kind: str) -> list[dict[str, Any]]:
    """The data of the events of one type, in order."""
    found = await billing.query("SELECT convert_from(headers, 'UTF8') AS headers, value FROM outbox ORDER BY id")
    return [orjson.loads(row.value) for row in found if f'"billing.{kind}.v1"' in row.headers]


async def asked(billing: Billing) -> list[tuple[str, str]]:
    found = await billing.query("SELECT kind, subject FROM attention ORDER BY kind, subject")
    return [(row.kind, row.subject) for row in found]
