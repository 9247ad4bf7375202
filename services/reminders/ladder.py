"""The ladder of texts: which ones an event plans, for when, and the last look at one that is due. Pure."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import uuid5

from services.reminders.contact import Contact
from services.reminders.course import Course, Session, Text, TextState
from services.reminders.profile import After, Place
from services.reminders.quiet_hours import Window, fit, hours_in, narrower
from services.reminders.wording import compose
from shared.contract import SuppressedReason, TextKind
from shared.envelope import NAMESPACE

UNCHANGING: Final = frozenset({TextKind.AFTER_CARE})
"""Texts of a session that do not belong to one version of its appointment."""


def window_of(contact: Contact | None, place: Place) -> Window:
    """When a person may be texted; of somebody unknown the location tells the zone."""
    zone = contact.zone if contact else None
    hours = hours_in(contact.region if contact and zone else None, place.location.region)
    if place.profile.quiet_hours is not None:
        hours = narrower(hours, place.profile.quiet_hours.hours)
    return Window(zone or place.location.tz, hours)


# Planning -------------------------------------------------------------------------------------------------------------


def before_visit(course: Course, session: Session, place: Place, contact: Contact | None, now: datetime) -> list[Text]:
    """The texts that lead to an appointment; those whose time has passed when it is confirmed are left out."""
    return [
        _text(
            course, kind, session, session.starts_at - step.before, session.starts_at - step.until, place, contact, now
        )
        for kind, step in place.profile.ladder.before_visit.items()
        if session.starts_at - step.before >= now
    ]


def after_visit(course: Course, session: Session, place: Place, contact: Contact | None, now: datetime) -> list[Text]:
    """The text after a treatment."""
    if session.ended_at is None:
        return []
    return _after(course, TextKind.AFTER_CARE, session, session.ended_at, place, contact, now)


def on_first_confirmation(course: Course, place: Place, contact: Contact | None, now: datetime) -> list[Text]:
    """The one text that lists the appointments."""
    return _after(course, TextKind.BOOKED, None, now, place, contact, now)


def on_demand(course: Course, place: Place, contact: Contact | None, now: datetime) -> list[Text]:
    """The payment text of the day on which billing demanded money, on the clinic's calendar."""
    return _after(course, TextKind.PAYMENT_DUE, None, now, place, contact, now, place.location.local(now).date())


def _after(
    course: Course,
    kind: TextKind,
    session: Session | None,
    since: datetime,
    place: Place,
    contact: Contact | None,
    now: datetime,
    occasion: date | None = None,
) -> list[Text]:
    step: After | None = getattr(place.profile.ladder, kind.value)
    if step is None:
        return []
    return [_text(course, kind, session, since + step.after, since + step.until, place, contact, now, occasion)]


def _text(
    course: Course,
    kind: TextKind,
    session: Session | None,
    nominal_at: datetime,
    deadline_at: datetime,
    place: Place,
    contact: Contact | None,
    now: datetime,
    occasion: date | None = None,
) -> Text:
    assert course.patient_id is not None
    version = session.version if session and kind not in UNCHANGING else None
    subject = f"{session.session_id if session else ''}/{version or ''}/{occasion or ''}"
    due_at = fit(window_of(contact, place), nominal_at, deadline_at, now) or max(nominal_at, now)
    return Text(
        text_id=uuid5(NAMESPACE, f"text/{course.course_id}/{subject}/{kind}/{course.patient_id}"),
        contact_id=course.patient_id,
        kind=kind,
        session_id=session.session_id if session else None,
        session_version=version,
        occasion=occasion,
        nominal_at=nominal_at,
        due_at=due_at,
        look_at=due_at,
        deadline_at=deadline_at,
    )


# The last look --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Now; the provider must not deliver it after `until`. `contact` is who gets it, number and consent included."""

    contact: Contact
    until: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet: the person's hours, or the ladder, say `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Suppress:
    """Never, and why."""

    reason: SuppressedReason


Verdict = Send | Wait | Suppress


def judge(text: Text, course: Course, contact: Contact | None, place: Place, now: datetime) -> Verdict:
    """The last look at a text, by what is known now. Consent is judged only when it would go out at once."""
    if not course.wants(text):
        return Suppress(SuppressedReason.SUPERSEDED)
    if text.kind is TextKind.PAYMENT_DUE and _told_today(course, place, now):
        return Suppress(SuppressedReason.SUPERSEDED)
    if now >= text.deadline_at:
        return Suppress(SuppressedReason.TOO_LATE)
    window = window_of(contact, place)
    at = fit(window, text.nominal_at, text.deadline_at, now)
    if at is None:
        return Suppress(SuppressedReason.QUIET_HOURS_TOO_LATE)
    if at > now:
        return Wait(at)
    if contact is None or contact.phone is None:
        return Suppress(SuppressedReason.NO_NUMBER)
    if not contact.allowed:
        return Suppress(SuppressedReason.OPTED_OUT if contact.opted_out else SuppressedReason.NO_CONSENT)
    return Send(contact, min(window.closes_after(now), text.deadline_at))


def _told_today(course: Course, place: Place, now: datetime) -> bool:
    """Whether a payment text of this course has gone out today already (contract rule 6: one a course and day)."""
    today = place.location.local(now).date()
    return any(t.kind is TextKind.PAYMENT_DUE and t.sent_on == today for t in course.texts)


def wording_of(text: Text, course: Course, contact: Contact | None, place: Place) -> str:
    """What a text says, as of now.

    Raises:
        TemplateError: the clinic's wording does not work for it.
    """
    language = place.language(contact.locale if contact else None)
    template = place.templates[language, text.kind]
    return compose(template, text.kind, language, place.profile.sender, place.location, course.starts_for(text))


def superseded(text: Text) -> Text:
    """A waiting text that is no longer wanted."""
    return text._replace(state=TextState.SUPPRESSED, reason=SuppressedReason.SUPERSEDED)
