"""Patients for the benchmark of texts: each has agreed to be texted, and has a course of six sessions."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from shared.contract.booking import BookedSession, CourseAccepted, SessionConfirmed
from shared.contract.clinic import ContactUpdated, Texting
from shared.contract.closed_sets import ContactKind, Payer, SessionState
from shared.contract.register import EventData
from shared.decision.message import Record, headers_of

SESSIONS: Final = 6
LOCATION: Final = "stella"
NOW: Final = datetime.now(UTC).replace(microsecond=0)
ZONE: Final = f"Etc/GMT{NOW.hour - 12:+}"
"""Where it is noon: the benchmark may run at any hour."""
START: Final = NOW + timedelta(days=30)


def contact(number: int) -> ContactUpdated:
    """Somebody who has agreed."""
    said = Texting(allowed=True, wording="form-1", source="intake", recorded_at=NOW)
    return ContactUpdated(
        contact_id=f"patient-{number}",
        kind=ContactKind.PATIENT,
        phone=f"+1312{number:07}",
        locale="en-US",
        time_zone=ZONE,
        texting=said,
    )


@lru_cache(maxsize=1)
def _about(number: int) -> dict[str, Any]:
    return {
        "course_id": UUID(int=number),
        "patient_id": f"patient-{number}",
        "companions": (),
        "location": LOCATION,
        "treatment": "ketamine_induction",
    }


def _booked(number: int, n: int, state: SessionState, version: int) -> dict[str, Any]:
    starts_at = START + timedelta(days=3 * n, minutes=number % 120)
    return {
        "session_id": UUID(int=number * 100 + n),
        "number": n,
        "of": SESSIONS,
        "state": state,
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(hours=2),
        "time_zone": "America/Chicago",
        "chair": "A",
        "provider": "Kim",
        "version": version,
    }


def accepted(number: int) -> CourseAccepted:
    """A course whose sessions are held."""
    held = (BookedSession(**_booked(number, n, SessionState.HELD, 1)) for n in range(1, SESSIONS + 1))
    return CourseAccepted(**_about(number), payer=Payer.SELF_PAY, hold_expires_at=START, sessions=tuple(held))


def confirmed(number: int) -> Iterator[SessionConfirmed]:
    """Its sessions, each confirmed."""
    for n in range(1, SESSIONS + 1):
        yield SessionConfirmed(**_about(number), **_booked(number, n, SessionState.CONFIRMED, 2), grant=1)


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
