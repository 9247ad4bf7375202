"""What texts must be, said once more and apart from the rules: slow, plain, and by what was told alone.

It shares no code with the rules: hours are looked up minute by minute, consent is a walk through what was said, and a
text that must have gone out is looked for among those that did.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from services.reminders.people.messages import ConsentRecorded
from services.reminders.text.clinic import Places
from services.reminders.text.provider import Accepted, Unknown
from shared.contract.billing import PrepaymentOverdue, PrepaymentRequired, PrepaymentSatisfied
from shared.contract.booking import CourseAccepted, SessionEvent
from shared.contract.clinic import ContactUpdated
from shared.contract.closed_sets import Needs
from shared.contract.internal import PersonErased
from shared.contract.reminders import TextFailed, TextSent
from tests.stand_ins.reminders_world import Sent, World

MINUTE: Final = timedelta(minutes=1)
ANSWERS: Final = ("opt_out_confirmed", "help", "unmonitored_reply")
LISTS: Final = ("booked", "companion_notice")
BEFORE: Final = ("preparation", "day_before", "day_of")

EIGHT_TO_EIGHT: Final = ("FL", "OK", "MD", "MS", "NJ", "OR")


def lawful(at: datetime, zone: ZoneInfo, region: str | None, of_location: str) -> bool:
    """Whether a person in a zone and region may get a text at an instant."""
    local = at.astimezone(zone)
    hour, weekday = local.hour, local.weekday()
    if region is None:
        return 9 <= hour < 20 and lawful(at, zone, of_location, of_location)
    state = region.removeprefix("US-")
    if state in EIGHT_TO_EIGHT:
        return 8 <= hour < 20
    if state == "CT":
        return 9 <= hour < 20
    if state == "TX":
        return (12 if weekday == 6 else 9) <= hour < 21
    if state == "RI":
        return 10 <= hour < 17 if weekday >= 5 else 9 <= hour < 18
    return 8 <= hour < 21


class Person:
    """A contact, from the first so many messages that were told."""

    def __init__(self, world: World, contact_id: str, heard: int) -> None:
        self.phone: str | None = None
        self.zone: ZoneInfo | None = None
        self.region: str | None = None
        said: list[tuple[datetime, bool, int, tuple[Any, ...]]] = []
        numbers = 0
        for when, data in world.told[:heard]:
            if getattr(data, "contact_id", getattr(data, "person_id", None)) != contact_id:
                continue
            match data:
                case ContactUpdated(texting=texting):
                    numbers += data.phone != self.phone
                    self.phone, self.zone, self.region = data.phone, ZoneInfo(data.time_zone), data.region
                    record = (texting.allowed, texting.wording, texting.source, texting.recorded_at)
                    if record != self._latest(said):  # the same form again says nothing about another number
                        said.append((min(when, texting.recorded_at), not texting.allowed, numbers, record))
                case ConsentRecorded():
                    record = (data.allowed, data.wording, data.source, data.recorded_at)
                    if data.phone in (None, self.phone) and record != self._latest(said):
                        said.append((min(when, data.recorded_at), not data.allowed, numbers, record))
                case PersonErased():
                    self.phone = None
        newest = self._newest(said)
        self.allowed = self.phone is not None and newest is not None and not newest[1] and newest[2] == numbers
        self.refused = newest is not None and newest[1]

    @staticmethod
    def _newest(said: list[Any]) -> Any:
        best = None
        for one in said:
            if best is None or (one[0], one[1]) > (best[0], best[1]):
                best = one
        return best

    def _latest(self, said: list[Any]) -> Any:
        newest = self._newest(said)
        return newest[3] if newest else None


class Knowledge:
    """A course, from the first so many messages that were told; `since` is when a session became as it is."""

    def __init__(self, world: World, course_id: UUID, heard: int) -> None:
        self.sessions: dict[UUID, Any] = {}
        self.since: dict[UUID, datetime] = {}
        self.demanded: list[datetime] = []
        self.people: set[str] = set()
        self.patient = self.location = ""
        owed: set[UUID] = set()
        for when, data in world.told[:heard]:
            if getattr(data, "course_id", None) != course_id:
                continue
            if isinstance(data, CourseAccepted | SessionEvent):
                told = data.sessions if isinstance(data, CourseAccepted) else (data,)
                news = [s for s in told if s.version >= self._version(s.session_id)]
                if news:
                    self.people, self.location = {data.patient_id, *data.companions}, data.location
                    self.patient = data.patient_id
                for session in news:
                    if session.version > self._version(session.session_id):
                        self.since[session.session_id] = when
                    self.sessions[session.session_id] = session
                continue
            if isinstance(data, PrepaymentRequired) and data.needs is Needs.MONEY:
                self.demanded.append(when)
            if isinstance(data, PrepaymentRequired) and data.needs is Needs.MONEY:
                owed.add(data.session_id)
            elif isinstance(data, PrepaymentSatisfied | PrepaymentOverdue | PrepaymentRequired):
                owed.discard(data.session_id)
        live = {id for id, session in self.sessions.items() if session.state in ("held", "confirmed", "checked_in")}
        self.owes = bool(owed & live)
        self.over = not live and any(session.state == "completed" for session in self.sessions.values())

    def _version(self, session_id: UUID) -> int:
        known = self.sessions.get(session_id)
        return known.version if known is not None else 0


def known_of(world: World, course_id: UUID, heard: int) -> Knowledge:
    """A course, from the first so many messages; what was told does not change."""
    key = (course_id, heard)
    if key not in world.remembered:
        world.remembered[key] = Knowledge(world, course_id, heard)
    known: Knowledge = world.remembered[key]
    return known


def faults(world: World) -> Iterator[str]:
    """Everything that is wrong with what went out, and with what did not."""
    yield from _each(world)
    yield from _twice(world)
    yield from _missing(world)


def astray(world: World) -> Iterator[str]:
    """What is wrong with the ladder as it stands, whoever may be texted: what waits must be true, and what is due to
    come must stand there.
    """
    for course_id, course in world.courses.items():
        known = known_of(world, course_id, len(world.told))
        if not known.people:
            continue
        for text in course.texts:
            if text.state == "scheduled" and not (text.contact_id in known.people and _true(text, known, BEGINNING)):
                yield f"{text.kind} to {text.contact_id} waits, and is not true (any more)"
        yield from _unplanned(world, known, course.texts)


BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


def _unplanned(world: World, known: Knowledge, texts: Any) -> Iterator[str]:
    place = world.places[known.location]
    there = {(str(t.kind), t.session_id, t.session_version) for t in texts if t.reason != "superseded"}
    gone = {(str(t.kind), t.session_id, t.nominal_at) for t in texts if t.state not in ("scheduled", "suppressed")}
    days = {t.occasion: t for t in texts if t.kind == "payment_due"}
    for at in known.demanded:
        if place.location.local(at).date() not in days:
            yield f"no payment text for the demand of {at}"
    last_at, last = world.told[-1]
    today = place.location.local(last_at).date()
    if isinstance(last, PrepaymentRequired) and last_at in known.demanded and known.owes:
        asked = any(t.sent_on == today for t in days.values())
        if days[today].reason == "superseded" and not asked:
            yield f"the payment text of {today} is not wanted again"
    for id, session in known.sessions.items():
        if session.state == "completed" and not {("after_care", id, None), ("next_day", id, None)} <= there:
            yield f"nothing follows the treatment {id}"
        for kind in BEFORE if session.state == "confirmed" else ():
            nominal_at = session.starts_at - getattr(place.profile.ladder, kind).before
            if nominal_at >= known.since[id] and not (
                (kind, id, session.version) in there or (kind, id, nominal_at) in gone
            ):
                yield f"no {kind} of session {id}, version {session.version}"


def _each(world: World) -> Iterator[str]:
    """What is wrong with each text by itself, at the moment at which it went out."""
    for one in world.sent:
        found = [*_unasked(world, one), *_body(one, world.places)]
        if str(one.text.kind) not in ANSWERS:
            found += _untimely(world, one)
        yield from (f"{one.text.kind} of {one.course_id} to {one.contact_id} at {one.at}: {fault}" for fault in found)


def _unasked(world: World, one: Sent) -> Iterator[str]:
    person = Person(world, one.contact_id, one.heard)
    if person.phone != one.outgoing.to:
        yield "to a number that is not theirs"
    if one.text.kind == "opt_out_confirmed":
        if not person.refused:
            yield "nobody opted out"
    elif not person.allowed:
        yield "without consent"
    paused = world.paused[one.paused - 1] if one.paused else None
    if paused and (paused.everything or one.contact_id in paused.contacts or one.outgoing.clinic in paused.clinics):
        yield "paused"


def _untimely(world: World, one: Sent) -> Iterator[str]:
    assert one.course_id is not None
    known = known_of(world, one.course_id, one.heard)
    location, person = world.places[known.location].location, Person(world, one.contact_id, one.heard)
    ends = one.at + one.outgoing.valid_for - timedelta(seconds=1)
    for instant in (one.at, ends):
        if not lawful(instant, person.zone or location.tz, person.region, location.region):
            yield f"in quiet hours at {instant}"
    if one.contact_id not in known.people:
        yield "does not concern them"
    session = known.sessions.get(one.text.session_id)
    if str(one.text.kind) in BEFORE and session is not None:
        useless_at = session.starts_at - getattr(world.places[known.location].profile.ladder, one.text.kind).until
        if one.at >= useless_at or ends > useless_at:
            yield "useless by then"
    if not _true(one.text, known, one.at):
        yield "not true (any more)"


def _true(text: Any, known: Knowledge, at: datetime) -> bool:
    kind = str(text.kind)
    session = known.sessions.get(text.session_id)
    confirmed = [s for s in known.sessions.values() if s.state == "confirmed"]
    if kind in LISTS:
        return bool(confirmed)
    if kind == "payment_due":
        return known.owes
    if kind in (*BEFORE, "moved"):
        return session in confirmed and session.version == text.session_version and at < session.starts_at
    if kind in ("cancelled", "released"):
        return any(known.sessions[told.session_id].state == kind for told in text.tells)
    if kind in ("after_care", "next_day"):
        return session is not None and session.state == "completed"
    return known.over


_NEVER = re.compile(
    r"ketamin|infus|spravato|\btms\b|\bsgb\b|treatment|tratamiento|[$€]|depress|patient-|\+1\d{10}", re.I
)


def _body(one: Sent, places: Places) -> Iterator[str]:
    body = one.outgoing.body
    if found := _NEVER.search(body):
        yield f"says {found[0]!r}"
    phones = {
        f"{p.location.phone[2:5]}-{p.location.phone[5:8]}-{p.location.phone[8:]}"
        for p in places.values()
        if p.clinic == one.outgoing.clinic
    }
    if not any(phone in body for phone in phones):
        yield "does not give the clinic's phone"
    if len(body) > 306:
        yield "is too long"


def _twice(world: World) -> Iterator[str]:
    taken = [one for one in world.sent if isinstance(one.outcome, Accepted | Unknown)]
    seen: set[Any] = set()
    for one in taken:
        if one.text.text_id in seen:
            yield f"{one.text.kind} of {one.course_id}: taken twice by the provider"
        seen.add(one.text.text_id)
    yield from _confirmed_twice(world, taken)
    days: set[Any] = set()
    starts: dict[Any, UUID] = {}
    for one in taken:
        if one.course_id is None:
            continue
        known = known_of(world, one.course_id, one.heard)
        if one.text.kind == "payment_due":
            day = (one.course_id, one.at.astimezone(world.places[known.location].location.tz).date())
            if day in days:
                yield f"two payment texts of {day}"
            days.add(day)
        elif str(one.text.kind) in BEFORE:
            about = (one.text.kind, one.contact_id, one.text.session_id, known.sessions[one.text.session_id].starts_at)
            if about in starts and not _was_lost_before(world, starts[about], one.text.text_id):
                yield f"{about}: told twice"
            starts[about] = one.text.text_id


def _was_lost_before(world: World, earlier: UUID, later: UUID) -> bool:
    """Whether the provider had told that a text did not arrive before another went out: nobody has read it."""
    told = [(type(event), getattr(event, "text_id", None)) for event in world.events]
    lost, went_out = (TextFailed, earlier), (TextSent, later)
    return lost in told and (went_out not in told or told.index(lost) < told.index(went_out))


def _confirmed_twice(world: World, taken: list[Sent]) -> Iterator[str]:
    """Each opt-out of somebody who could be texted is confirmed once, at most."""
    confirmed = sum(str(one.text.kind) == "opt_out_confirmed" for one in taken)
    if confirmed:
        stops = [(n, d) for n, (_, d) in enumerate(world.told) if isinstance(d, ConsentRecorded) and not d.allowed]
        ended = sum(Person(world, data.contact_id, n).allowed for n, data in stops)
        if confirmed > ended:
            yield f"{ended} opt-outs were confirmed {confirmed} times"


def _missing(world: World) -> Iterator[str]:
    """Texts before a visit that nothing forbade, and that did not go out; only where the provider took everything."""
    if not all(isinstance(one.outcome, Accepted) for one in world.sent):
        return
    went = {(str(one.text.kind), one.contact_id, one.text.session_id, one.text.session_version) for one in world.sent}
    for course_id, course in world.courses.items():
        changes = [n for n, (_, data) in enumerate(world.told) if getattr(data, "course_id", None) == course_id]
        for session in course.sessions:
            yield from _missing_of(world, course, session, changes, went)


def _missing_of(world: World, course: Any, session: Any, changes: list[int], went: set[Any]) -> Iterator[str]:
    confirmed_at, before = None, None
    for change in changes:
        when = world.told[change][0]
        now = known_of(world, course.course_id, change + 1).sessions.get(session.session_id)
        if now is not None and now.state == "confirmed" and (before is None or now.version != before.version):
            confirmed_at, before = when, now
        elif before is not None and now is not None and now.state != "confirmed" and now.starts_at > when:
            return  # it did not stay confirmed; what went out is judged by the other checks
    if confirmed_at is None or before is None:
        return
    place = world.places[course.location]
    for kind in BEFORE:
        step = getattr(place.profile.ladder, kind)
        nominal, deadline = before.starts_at - step.before, before.starts_at - step.until
        if nominal < confirmed_at or deadline > world.now or world.paused:
            continue
        told = {when for when, data in world.told if getattr(data, "contact_id", "") == course.patient_id}
        if any(nominal - timedelta(days=2) < when < deadline for when in told):
            continue  # their number, place or wish changed on the way
        person = Person(world, course.patient_id, sum(when <= nominal for when, _ in world.told))
        if not person.allowed:
            continue
        minutes = int((deadline - nominal) / MINUTE)
        zone, region = person.zone or place.location.tz, person.region
        possible = any(lawful(nominal + n * MINUTE, zone, region, place.location.region) for n in range(0, minutes, 5))
        if possible and (kind, course.patient_id, session.session_id, before.version) not in went:
            yield f"{kind} of session {session.session_id} ({before.starts_at}) did not go out"
