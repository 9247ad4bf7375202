"""The ladder of texts: which ones an event plans, for whom and for when. Pure.

What is planned is looked at once more when it is due (`last_look`).
"""

from collections.abc import Iterator
from datetime import date, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from services.reminders.people.contact import Contact, Contacts
from services.reminders.rules.course import Course, Session
from services.reminders.text.clinic import After, Audience, Step, TextingPlace
from services.reminders.text.quiet_hours import Window, fit, hours_in, narrower
from services.reminders.text.text import ATTEMPTED, GIVEN_UP, KnownAppointment, Text, TextState
from shared.contract.closed_sets import SessionState, SuppressedReason, TextKind
from shared.contract.reminders import TextSuppressed
from shared.decision.message import derived_id

UNCHANGING: Final = frozenset({TextKind.AFTER_CARE, TextKind.NEXT_DAY})
"""Texts of a session that do not belong to one version of its appointment."""

UPDATES: Final = frozenset({TextKind.MOVED, TextKind.CANCELLED, TextKind.RELEASED})
"""Texts that correct what a person was told before."""

AFTER_COURSE: Final = frozenset({TextKind.EVALUATION, TextKind.BOOSTER_DUE})
"""Texts that count from the end of a course, which may come a second time."""

FIRST: Final = {Audience.PATIENT: TextKind.BOOKED, Audience.COMPANIONS: TextKind.COMPANION_NOTICE}
"""By which text each of them learns of the appointments."""


class View(NamedTuple):
    """What planning stands on: a course, its clinic, its people as far as they are known, our clock, and the trace of
    what is being decided about.
    """

    course: Course
    place: TextingPlace
    contacts: Contacts
    now: datetime
    traceparent: str


def window_of(contact: Contact | None, place: TextingPlace) -> Window:
    """When a person may be texted; of somebody unknown the location tells the zone."""
    return _window(contact.zone, contact.region, place) if contact else _window(None, None, place)


@lru_cache(4096)
def _window(zone: ZoneInfo | None, region: str | None, place: TextingPlace) -> Window:
    hours = hours_in(region if zone else None, place.location.region)
    if region is not None and zone is None:  # the wall there may show another time: the state's hours come on top
        hours = narrower(hours, hours_in(region, place.location.region))
    if place.profile.quiet_hours is not None:
        hours = narrower(hours, place.profile.quiet_hours.hours)
    return Window(zone or place.location.tz, hours)


def on_confirmation(view: View, session: Session) -> Iterator[Text]:
    """The list of dates, once for each person, and the texts that lead to this appointment."""
    yield from on_companions(view)
    yield from _after(view, TextKind.BOOKED, None, view.now)
    yield from _before_visit(view, session)


def on_companions(view: View) -> Iterator[Text]:
    """The list of dates for those who come along, once something is confirmed."""
    if any(s.state is SessionState.CONFIRMED for s in view.course.sessions):
        yield from _after(view, TextKind.COMPANION_NOTICE, None, view.now)


def _before_visit(view: View, session: Session) -> Iterator[Text]:
    """Of the texts whose time has passed already the last one, if it is still of use: it makes up for the others."""
    steps = view.place.profile.ladder.before_visit.items()
    late = [kind for kind, step in steps if session.starts_at - step.before < view.now]
    for kind, step in steps:
        nominal_at, deadline_at = session.starts_at - step.before, session.starts_at - step.until
        if deadline_at > view.now and kind not in late[:-1]:
            for person in _people(view, step):
                yield _text(view, kind, session, person, nominal_at, deadline_at)


def on_move(view: View, session: Session, previous: datetime) -> Iterator[Text]:
    """The new time, for those who know of another; who waits for the list of dates finds it there."""
    for text in _after(view, TextKind.MOVED, session, view.now, before=session.starts_at):
        if not _first(view, text.contact_id, TextState.SCHEDULED):
            known_at = _believed(view, text, session, previous)
            yield text._replace(tells=(KnownAppointment(session.session_id, known_at),))


def on_end(view: View, kind: TextKind, session: Session, previous: datetime) -> Iterator[Text]:
    """An appointment is cancelled or released; as long as it has not gone out, one text tells of several."""
    for text in _after(view, kind, session, view.now, before=previous):
        of = (kind, text.contact_id, TextState.SCHEDULED)
        waiting = next((t for t in view.course.texts if (t.kind, t.contact_id, t.state) == of), None)
        known_at = _believed(view, text, session, previous)
        notice = waiting or text
        yield notice._replace(tells=(*notice.tells, KnownAppointment(session.session_id, known_at)))


def _believed(view: View, text: Text, session: Session, previous: datetime) -> datetime:
    """When a person believes an appointment to be: what a move told that has not gone out yet, they do not know."""
    unsent = (TextKind.MOVED, session.session_id, text.contact_id, TextState.SCHEDULED)
    found = (t for t in view.course.texts if (t.kind, t.session_id, t.contact_id, t.state) == unsent)
    return next((t.tells[0].at for t in found), previous)


def after_visit(view: View, session: Session) -> Iterator[Text]:
    """The texts after a treatment, and after the last one of a course."""
    assert session.ended_at is not None
    for kind in (TextKind.AFTER_CARE, TextKind.NEXT_DAY):
        yield from _after(view, kind, session, session.ended_at)


def after_course(view: View) -> Iterator[Text]:
    """What follows when the last session of a course is over."""
    if view.course.finished:
        ended_at = max(s.ended_at for s in view.course.sessions if s.ended_at is not None)
        for kind in sorted(AFTER_COURSE):
            yield from _after(view, kind, None, ended_at)


def on_demand(view: View) -> Iterator[Text]:
    """The payment text of the day on which billing demanded money, on the clinic's calendar."""
    return _after(view, TextKind.PAYMENT_DUE, None, view.now, view.place.location.local(view.now).date())


def _after(
    view: View,
    kind: TextKind,
    session: Session | None,
    since: datetime,
    occasion: date | None = None,
    before: datetime | None = None,
) -> Iterator[Text]:
    """One text for each person whom it concerns, none where it would be useless at once: from `before` on, too."""
    step: After | None = getattr(view.place.profile.ladder, kind.value)
    if step is None:
        return
    nominal_at, deadline_at = since + step.after, since + step.until
    if before is not None:
        deadline_at = min(deadline_at, before)
    if nominal_at < deadline_at:
        for person in _people(view, step):
            if kind not in UPDATES or _knows(view, person):
                yield _text(view, kind, session, person, nominal_at, deadline_at, occasion)


def _people(view: View, step: Step) -> Iterator[str]:
    """Whom a step is for, in this course."""
    course = view.course
    assert course.patient_id is not None
    if step.treatments is not None and course.treatment not in step.treatments:
        return
    if Audience.PATIENT in step.audience:
        yield course.patient_id
    if Audience.COMPANIONS in step.audience:
        yield from (person for person in course.companions if person != course.patient_id)


def _knows(view: View, person: str) -> bool:
    """Whether a correction is for somebody: a patient knows the dates anyhow, a companion only by our notice."""
    return person == view.course.patient_id or any(_first(view, person, state) for state in ATTEMPTED)


def _first(view: View, person: str, state: TextState) -> bool:
    """Whether the list of dates for a person stands in a state."""
    kind = FIRST[Audience.PATIENT if person == view.course.patient_id else Audience.COMPANIONS]
    return any((t.kind, t.contact_id, t.state) == (kind, person, state) for t in view.course.texts)


def _text(
    view: View,
    kind: TextKind,
    session: Session | None,
    person: str,
    nominal_at: datetime,
    deadline_at: datetime,
    occasion: date | None = None,
) -> Text:
    course, now = view.course, view.now
    version = session.version if session and kind not in UNCHANGING else None
    subject = f"{session.session_id if session else ''}/{version or ''}/{occasion or ''}"
    window = window_of(view.contacts.get(person), view.place)
    due_at = fit(window, nominal_at, deadline_at, now) or max(nominal_at, now)
    return Text(
        text_id=derived_id(f"text/{course.course_id}/{subject}/{kind}/{person}"),
        contact_id=person,
        kind=kind,
        session_id=session.session_id if session and kind not in GIVEN_UP else None,
        session_version=version if kind not in GIVEN_UP else None,
        occasion=occasion,
        nominal_at=nominal_at,
        due_at=due_at,
        look_at=due_at,
        deadline_at=deadline_at,
        traceparent=view.traceparent,
    )


def superseded(text: Text) -> Text:
    """A waiting text that is no longer wanted."""
    return text._replace(state=TextState.SUPPRESSED, reason=SuppressedReason.SUPERSEDED)


def suppressed(course_id: UUID | None, text: Text, reason: SuppressedReason) -> TextSuppressed:
    """The event of a text that never went out."""
    return TextSuppressed(
        text_id=text.text_id,
        contact_id=text.contact_id,
        course_id=course_id,
        session_id=text.session_id,
        kind=text.kind,
        due_at=text.due_at,
        reason=reason,
    )
