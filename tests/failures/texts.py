"""What must be true of texts: I5. Each goes out once, wanted and allowed by what reminders knew, at a lawful hour.

What reminders knew at an attempt are the messages in its inbox by then. Of those that came in the last moments before
it nobody can tell whether they were committed first, so an attempt is right if some state of knowledge allows it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise, product
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from deploy.preparing.profiles import PROFILES
from services.reminders.profile import read_places
from services.reminders.text.clinic import Places
from services.reminders.text.provider import OutgoingText
from services.reminders.text.quiet_hours import Window, hours_in, narrower
from services.reminders.text.text import ATTEMPTED
from shared.contract.billing import PrepaymentOverdue, PrepaymentRequired, PrepaymentSatisfied
from shared.contract.booking import BookedSession, CourseAccepted, SessionEvent
from shared.contract.clinic import ContactUpdated
from shared.contract.closed_sets import Needs, SessionState
from shared.contract.internal import PersonErased
from shared.contract.register import CourseEvent
from shared.contract.reminders import TextFailed, TextSent
from tests.failures.evidence import Evidence

S = SessionState

MOMENT: Final = timedelta(seconds=1)
"""Within this, the order of two transactions cannot be read from the clock."""

OVER: Final = frozenset({S.COMPLETED, S.MISSED, S.CANCELLED, S.RELEASED})


@dataclass(frozen=True, slots=True)
class Known:
    """Something that reminders knew, from an instant of its clock on."""

    at: datetime
    data: Any


def texts(evidence: Evidence, sent: Sequence[OutgoingText] = ()) -> Iterator[str]:
    """I5, over every text that was ever attempted."""
    yield from _handed_over_once(evidence, sent)
    booking, billing, contacts = _knowledge(evidence)
    consents = defaultdict(list)
    for row in sorted(evidence.rows("reminders", "consents"), key=lambda row: row["heard_at"]):
        consents[row["contact_id"]].append(Known(row["heard_at"], row))
    locations = {row["course_id"]: row["location"] for row in evidence.rows("reminders", "courses")}
    attempted = [row for row in evidence.rows("reminders", "texts") if row["attempted_at"] is not None]
    paid_days: Counter[tuple[Any, Any]] = Counter()
    for text in attempted:
        at, course, contact = text["attempted_at"], str(text["course_id"]), text["contact_id"]
        answer = text["course_id"] is None
        named = f"I5 text {text['text_id']} ({text['kind']}) of course {course}"
        if at >= text["deadline_at"]:
            yield f"{named}: attempted after its deadline"
        place = places().get(text["location"] if answer else locations[text["course_id"]])
        if place is not None and not answer:  # what a person has just written is answered at any hour
            if text["kind"] == "payment_due" and text["state"] in ATTEMPTED:
                paid_days[course, at.astimezone(place.location.tz).date()] += 1
            lawful = [_window(person, place).allows(at) for person in _last(contacts[contact], at)]
            if not any(lawful):
                yield f"{named}: attempted at {at}, in quiet hours or without a number"
        if not any(_allows(*k, text) for k in product(_states(consents[contact], at), _states(contacts[contact], at))):
            yield f"{named}: attempted at {at}, without consent"
        if not answer and not any(
            _wanted(*known, text) for known in product(_states(booking[course], at), _states(billing[course], at))
        ):
            yield f"{named}: attempted at {at}, though what it says was no longer true"
    for (course, day), times in paid_days.items():
        if times > 1:
            yield f"I5 course {course}: {times} payment texts on {day}"


def _handed_over_once(evidence: Evidence, sent: Sequence[OutgoingText]) -> Iterator[str]:
    """The provider accepted each text at most once, and what we tell of it is what we have on record."""
    handed = Counter(one.attempt_id for one in sent)
    yield from (f"I5 attempt {id}: handed to the provider {times} times" for id, times in handed.items() if times > 1)
    told = Counter(one.data.text_id for one in evidence.told("reminders") if isinstance(one.data, TextSent))
    failed = {one.data.text_id for one in evidence.told("reminders") if isinstance(one.data, TextFailed)}
    on_record = {row["attempt_id"] for row in evidence.rows("reminders", "texts")}
    if evidence.rows("reminders", "texts"):
        yield from (f"I5 attempt {id}: handed over, and nothing on record" for id in handed if id not in on_record)
    for row in evidence.rows("reminders", "texts"):
        wanted = 1 if row["state"] in ("sent", "delivered") and row["recalled_at"] is None else 0
        if told[row["text_id"]] != wanted and row["text_id"] not in failed:
            yield f"I5 text {row['text_id']}: is {row['state']}, and told as sent {told[row['text_id']]} times"


def _knowledge(evidence: Evidence) -> tuple[dict[str, list[Known]], ...]:
    """What reminders heard of booking and of billing by course, and of a person by contact."""
    booking, billing, contacts = (defaultdict[str, list[Known]](list) for _ in range(3))
    for heard in evidence.heard("reminders"):
        data = heard.message.data
        if isinstance(data, ContactUpdated | PersonErased):
            contacts[data.key].append(Known(heard.at, data))
        elif isinstance(data, CourseAccepted | SessionEvent):
            booking[data.key].append(Known(heard.at, data))
        elif isinstance(data, CourseEvent):
            billing[data.key].append(Known(heard.at, data))
    return booking, billing, contacts


def _states(history: Sequence[Known], at: datetime) -> Iterator[Sequence[Known]]:
    """All that may have been known at an instant: what came up to a moment before, and more of what came since."""
    sure = sum(known.at <= at - MOMENT for known in history)
    perhaps = sum(known.at <= at + MOMENT for known in history)
    yield from (history[:count] for count in range(sure, perhaps + 1))


def _last(history: Sequence[Known], at: datetime) -> Iterator[ContactUpdated]:
    for known in _states(history, at):
        if known and isinstance(known[-1].data, ContactUpdated):
            yield known[-1].data


def _window(person: ContactUpdated, place: Any) -> Window:
    own = place.profile.quiet_hours
    hours = hours_in(person.region, place.location.region)
    return Window(ZoneInfo(person.time_zone), narrower(hours, own.hours) if own else hours)


def _allows(consents: Sequence[Known], contact: Sequence[Known], text: Any) -> bool:
    """Whether the latest entry of the ledger allows texts to this number, and is the one on which this text stands.

    The one confirmation of an opt-out stands on the opt-out.
    """
    latest = max((k.data for k in consents), key=_rank, default=None)
    numbers = [None, *(getattr(known.data, "phone", None) for known in contact)]
    changes = sum(now is not None and now != before for before, now in pairwise(numbers))
    stands_on = (text["kind"] != "opt_out_confirmed", text["consent_id"], changes)
    return latest is not None and (latest["allowed"], latest["consent_id"], latest["phone_version"]) == stands_on


def _rank(entry: Any) -> tuple[datetime, bool]:
    """The later entry counts, an opt-out before a consent of the same instant; nobody says anything in the future."""
    return min(entry["recorded_at"], entry["heard_at"]), not entry["allowed"]


def _wanted(booking: Sequence[Known], billing: Sequence[Known], text: Any) -> bool:
    """Whether a text says something true of the sessions and the money that were known."""
    sessions: dict[Any, BookedSession] = {}
    people: set[str] = set()
    for known in booking:
        people = {known.data.patient_id, *known.data.companions}
        for told in known.data.sessions if isinstance(known.data, CourseAccepted) else (known.data,):
            if told.session_id not in sessions or told.version >= sessions[told.session_id].version:
                sessions[told.session_id] = told
    session = sessions.get(text["session_id"])
    if text["contact_id"] not in people:
        return False
    match text["kind"]:
        case "booked" | "companion_notice":
            return any(s.state is S.CONFIRMED for s in sessions.values())
        case "payment_due":
            return any(id in sessions and sessions[id].state not in OVER for id in _owed(billing))
        case "after_care" | "next_day":
            return session is not None and session.state is S.COMPLETED
        case "cancelled" | "released":
            told_of = {UUID(id) for id, _ in json.loads(text["tells"])}
            return any(s.session_id in told_of and s.state == text["kind"] for s in sessions.values())
        case "evaluation" | "booster_due":
            states = {s.state for s in sessions.values()}
            return S.COMPLETED in states and states <= OVER
        case _:
            return session is not None and (session.state, session.version) == (S.CONFIRMED, text["session_version"])


def _owed(billing: Sequence[Known]) -> set[Any]:
    owed: set[Any] = set()
    for known in billing:
        match known.data:
            case PrepaymentRequired(needs=Needs.MONEY, session_id=id):
                owed.add(id)
            case (
                PrepaymentRequired(session_id=id)
                | PrepaymentSatisfied(session_id=id)
                | PrepaymentOverdue(session_id=id)
            ):
                owed.discard(id)
    return owed


@cache
def places() -> Places:
    """Every shipped location."""
    return read_places(PROFILES, None)
