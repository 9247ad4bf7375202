"""What the outcome of an attempt, or a later report of the provider, makes of a text: columns and events. Pure.

A status never goes back, whatever order and however often reports come; what is unknown is settled only by the
provider's own word.
"""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, assert_never
from uuid import UUID

from services.reminders.text.provider import Accepted, Barred, Outcome, ProviderRefused, Unknown, Unsent
from services.reminders.text.text import Text, TextState
from shared.contract.register import EventData
from shared.contract.reminders import TextDelivered, TextFailed, TextSent

FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=15)
"""Back-off after an attempt that was proven not to have sent anything; doubled each time."""

SEARCHES: Final = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60, 180, 360, 720, 1430))
"""When, after an attempt of unknown outcome, the provider's list of messages is looked through: it may lag by hours."""

GIVE_UP: Final = timedelta(hours=24)
"""What is still unknown then goes to a person."""

_ON_THE_WAY: Final = ("accepted", "scheduled", "queued", "sending", "sent")
_ARRIVED: Final = frozenset({"delivered", "read"})
_LOST: Final = frozenset({"undelivered", "failed", "canceled"})

OVER: Final = frozenset({TextState.DELIVERED, TextState.FAILED})


class Attempted(NamedTuple):
    """A text's latest attempt, as it is on record."""

    course_id: UUID | None
    text: Text
    attempt_id: UUID
    number: int
    attempted_at: datetime
    segments: int
    sent_on: Any = None
    sid: str | None = None
    status: str | None = None


class Report(NamedTuple):
    """What the provider says of a message; `attempt_id` is ours, as its status callback carries it."""

    attempt_id: UUID | None
    sid: str
    status: str
    code: str | None = None


class Settled(NamedTuple):
    """What is to be written down of a text, and what is told."""

    columns: dict[str, Any]
    events: tuple[EventData, ...] = ()


def from_outcome(attempt: Attempted, outcome: Outcome, now: datetime, traceable: bool) -> Settled:
    """The end of a call to the provider.

    Args:
        traceable: whether the provider can still be asked what became of it.
    """
    match outcome:
        case Accepted(sid=sid):
            return _accepted(attempt, sid)
        case ProviderRefused(code=code):
            return Settled(_columns(attempt, TextState.FAILED, code=code), (_failed(attempt, code, None),))
        case Unsent(code=code):
            pause = back_off(attempt.number)
            again = _columns(attempt, TextState.SCHEDULED, code=code)
            return Settled(again | {"look_at": now + pause, "sent_on": None})
        case Barred(code=code):  # later than others: should it be this text after all, the next try is by another
            again = _columns(attempt, TextState.SCHEDULED, code=code)
            return Settled(again | {"look_at": now + back_off(attempt.number), "sent_on": None})
        case Unknown(code=code):
            search_at = next_search(attempt.attempted_at, now) if traceable else None
            return Settled(_columns(attempt, TextState.UNKNOWN, code=code) | {"search_at": search_at})
        case _:
            assert_never(outcome)


def back_off(tries: int) -> timedelta:
    """How long to wait after so many tries that were proven not to have sent anything."""
    doubled: int = 2 ** min(tries - 1, 10)
    return min(FIRST_PAUSE * doubled, LONGEST_PAUSE)


def from_report(attempt: Attempted, report: Report, now: datetime) -> Settled | None:
    """What a report changes; None where it changes nothing."""
    state = attempt.text.state
    if attempt.sid not in (None, report.sid) or state in (TextState.SCHEDULED, TextState.SUPPRESSED):
        return None  # of an attempt that was settled otherwise
    if state in OVER or (attempt.sid is not None and not _is_news(attempt.status, report.status)):
        return None
    columns, events = _accepted(attempt, report.sid)
    if attempt.sid is not None:
        events = ()
    columns["provider_status"] = report.status
    if report.status in _ARRIVED:
        columns |= {"state": TextState.DELIVERED, "delivered_at": now}
        events += (TextDelivered(**_event_fields(attempt), sent_at=attempt.attempted_at, segments=attempt.segments),)
    elif report.status in _LOST:
        code = report.code or report.status
        columns |= {"state": TextState.FAILED, "code": code}
        events += (_failed(attempt, code, attempt.attempted_at),)
    return Settled(columns, events)


def next_search(attempted_at: datetime, now: datetime) -> datetime:
    """When to look for an attempt next, at last to give it up."""
    return next((attempted_at + after for after in SEARCHES if attempted_at + after > now), attempted_at + GIVE_UP)


def _is_news(known: str | None, status: str) -> bool:
    """Whether a status is a step on; what is no known status is none."""
    if status in _ARRIVED | _LOST:
        return True
    so_far = _ON_THE_WAY.index(known) if known in _ON_THE_WAY else -1
    return status in _ON_THE_WAY and _ON_THE_WAY.index(status) > so_far


def _accepted(attempt: Attempted, sid: str) -> Settled:
    columns = _columns(attempt, TextState.SENT) | {"sent_at": attempt.attempted_at, "provider_sid": sid}
    sent = TextSent(**_event_fields(attempt), sent_at=attempt.attempted_at, segments=attempt.segments)
    return Settled(columns, (sent,))


def _columns(attempt: Attempted, state: TextState, code: str | None = None) -> dict[str, Any]:
    """Every column that an outcome sets."""
    return {
        "text_id": attempt.text.text_id,
        "state": state,
        "look_at": attempt.text.look_at,
        "lease_until": None,
        "search_at": None,
        "sent_on": attempt.sent_on,
        "sent_at": None,
        "delivered_at": None,
        "provider_sid": None,
        "provider_status": attempt.status,
        "code": code,
    }


def _failed(attempt: Attempted, code: str, sent_at: datetime | None) -> TextFailed:
    return TextFailed(**_event_fields(attempt), sent_at=sent_at, segments=attempt.segments, code=code)


def _event_fields(attempt: Attempted) -> dict[str, Any]:
    text = attempt.text
    return {
        "text_id": text.text_id,
        "contact_id": text.contact_id,
        "course_id": attempt.course_id,
        "session_id": text.session_id,
        "kind": text.kind,
        "due_at": text.due_at,
    }
