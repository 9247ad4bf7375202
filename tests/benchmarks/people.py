"""Patients for the benchmark of texts: each has agreed to be texted, and has a course of six sessions."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from shared.contract.booking import CourseAccepted, SessionConfirmed
from shared.contract.clinic import ContactUpdated, Texting
from shared.contract.closed_sets import ContactKind
from shared.contract.register import EventData
from shared.decision.message import Record, headers_of
from tests.facts.booking import booked_session, course_accepted, session_confirmed
from tests.facts.clinic import contact_updated

SESSIONS: Final = 6
NOW: Final = datetime.now(UTC).replace(microsecond=0)
ZONE: Final = f"Etc/GMT{NOW.hour - 12:+}"
"""Where it is noon: the benchmark may run at any hour."""
START: Final = NOW + timedelta(days=30)


def contact(number: int) -> ContactUpdated:
    """Somebody who has agreed."""
    said = Texting(allowed=True, wording="form-1", source="intake", recorded_at=NOW)
    return contact_updated(
        contact_id=f"patient-{number}",
        kind=ContactKind.PATIENT,
        phone=f"+1312{number:07}",
        time_zone=ZONE,
        texting=said,
        region=None,
    )


def _about(number: int) -> dict[str, Any]:
    return {"course_id": UUID(int=number), "patient_id": f"patient-{number}"}


def _booked(number: int, n: int) -> dict[str, Any]:
    return {"session_id": UUID(int=number * 100 + n), "starts_at": START + timedelta(days=3 * n, minutes=number % 120)}


def accepted(number: int) -> CourseAccepted:
    """A course whose sessions are held."""
    held = (booked_session(n, SESSIONS, **_booked(number, n)) for n in range(1, SESSIONS + 1))
    return course_accepted(SESSIONS, **_about(number), hold_expires_at=START, sessions=tuple(held))


def confirmed(number: int) -> Iterator[SessionConfirmed]:
    """Its sessions, each confirmed."""
    for n in range(1, SESSIONS + 1):
        yield session_confirmed(n, of=SESSIONS, **_about(number), **_booked(number, n))


def records(events: Sequence[EventData]) -> list[Record]:
    """Events as they stand on Kafka."""
    at = int(NOW.timestamp() * 1000)
    return [
        Record(
            event.topic,
            0,
            offset,
            at,
            event.key.encode(),
            event.model_dump_json(exclude_none=True).encode(),
            tuple(headers_of(event, f"{event.type}-{offset}", "bench", NOW, None)),
        )
        for offset, event in enumerate(events)
    ]
