"""The last look at a text that is due: send it, wait, or never, and why; and what it says. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from services.reminders.people.contact import Contact
from services.reminders.rules.course import Course
from services.reminders.rules.ladder import window_of
from services.reminders.text.clinic import TextingPlace
from services.reminders.text.quiet_hours import fit
from services.reminders.text.text import ANSWERS, Text
from services.reminders.text.wording import compose
from shared.contract.closed_sets import SuppressedReason, TextKind


class Pauses(NamedTuple):
    """The pauses in force."""

    everything: bool = False
    clinics: frozenset[str] = frozenset()
    contacts: frozenset[str] = frozenset()

    def stop(self, clinic: str, contact_id: str) -> bool:
        """Whether a text of a clinic for a person must wait."""
        return self.everything or clinic in self.clinics or contact_id in self.contacts


NONE: Final = Pauses()


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
class Paused:
    """Not while somebody has paused it; looked at again when that ends, or `until` it is useless."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Suppress:
    """Never, and why."""

    reason: SuppressedReason


Verdict = Send | Wait | Paused | Suppress

_NOBODY: Final = frozenset[str]()


def judge(
    text: Text,
    course: Course,
    contact: Contact | None,
    place: TextingPlace,
    now: datetime,
    pauses: Pauses = NONE,
    expected: frozenset[str] = _NOBODY,
) -> Verdict:
    """The last look at a course's text, by what is known now. Consent is judged only when it would go out at once.

    Args:
        expected: patients who have appointments in another course.
    """
    if not course.wants(text) or (text.kind is TextKind.BOOSTER_DUE and text.contact_id in expected):
        return Suppress(SuppressedReason.SUPERSEDED)
    if text.kind is TextKind.PAYMENT_DUE and _sent_today(course, place, now):
        return Suppress(SuppressedReason.SUPERSEDED)
    paused = pauses.stop(place.clinic, text.contact_id)
    if now >= text.deadline_at:
        return Suppress(SuppressedReason.PAUSED if paused else SuppressedReason.TOO_LATE)
    window = window_of(contact, place)
    at = fit(window, text.nominal_at, text.deadline_at, now)
    if at is None:
        return Suppress(SuppressedReason.QUIET_HOURS_TOO_LATE)
    if at > now:
        return Wait(at)
    if paused:
        return Paused(text.deadline_at)
    if contact is None or contact.phone is None:
        return Suppress(SuppressedReason.NO_NUMBER)
    if not contact.allowed:
        return Suppress(SuppressedReason.OPTED_OUT if contact.opted_out else SuppressedReason.NO_CONSENT)
    return Send(contact, min(window.closes_after(now), text.deadline_at))


def judge_answer(
    text: Text, contact: Contact | None, place: TextingPlace, now: datetime, pauses: Pauses = NONE
) -> Verdict:
    """The last look at an answer: it goes out at any hour, because the person has written just now, or not at all.

    The one confirmation of an opt-out stands on that very opt-out; every other answer needs consent.
    """
    paused = pauses.stop(place.clinic, text.contact_id)
    if now >= text.deadline_at:
        return Suppress(SuppressedReason.PAUSED if paused else SuppressedReason.TOO_LATE)
    if paused:
        return Paused(text.deadline_at)
    if contact is None or contact.phone is None:
        return Suppress(SuppressedReason.NO_NUMBER)
    if text.kind is TextKind.OPT_OUT_CONFIRMED:
        if contact.allowed:  # the person has come back meanwhile
            return Suppress(SuppressedReason.SUPERSEDED)
        if not contact.opted_out or contact.consent is None or contact.consent.phone_version != contact.phone_version:
            return Suppress(SuppressedReason.NO_CONSENT)
    elif not contact.allowed:
        return Suppress(SuppressedReason.OPTED_OUT if contact.opted_out else SuppressedReason.NO_CONSENT)
    return Send(contact, text.deadline_at)


def _sent_today(course: Course, place: TextingPlace, now: datetime) -> bool:
    """Whether a payment text of this course has gone out today already (contract rule 6: one a course and day)."""
    today = place.location.local(now).date()
    return any(t.kind is TextKind.PAYMENT_DUE and t.sent_on == today for t in course.texts)


def wording_of(text: Text, course: Course | None, contact: Contact | None, place: TextingPlace) -> str:
    """What a text says, as of now.

    Args:
        course: None for an answer.

    Raises:
        TemplateError: the clinic's wording does not work for it.
    """
    assert (course is None) == (text.kind in ANSWERS)
    language = place.language(contact.locale if contact else None)
    return compose(
        place.templates[language, text.kind],
        text.kind,
        language,
        place.profile.sender,
        place.location,
        course.starts_for(text) if course else (),
        text.tells[0].at if text.kind is TextKind.MOVED else None,
        course is not None and course.treatment in place.profile.drivers,
    )
