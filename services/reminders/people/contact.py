"""A person who may be texted, and the ledger of their consent. Pure.

The latest entry counts, by the time at which it was recorded; an opt-out wins a tie. It counts only for the number
that it was given for: a new number needs new consent, and an old "allowed" never undoes a later opt-out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from services.reminders.people.consent import BY_TEXT, CARRIER, ERASED, NEW_NUMBER, Consent
from services.reminders.people.messages import AnswerWanted, ConsentRecorded
from services.reminders.text.clinic import After, Places
from services.reminders.text.text import Text
from shared.contract.clinic import ContactUpdated, Texting
from shared.contract.closed_sets import TextKind
from shared.contract.internal import PersonErased
from shared.contract.reminders import ConsentChanged
from shared.decision.decision import Attention, Decision
from shared.decision.message import Message, derived_id


@dataclass(frozen=True, slots=True)
class Contact:
    """How a person may be texted; without a number nothing was told yet, or the person was erased.

    `consent` is the ledger's latest entry. The last four are for the store only: entries that the ledger does not have
    yet, since when waiting texts must be planned anew, since when the number is another, and answers to be sent.
    """

    contact_id: str
    phone: str | None = None
    phone_version: int = 0
    kind: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    region: str | None = None
    consent: Consent | None = None
    opted_out: bool = False
    unsaved: tuple[Consent, ...] = ()
    look_at: datetime | None = None
    renumbered_at: datetime | None = None
    answers: tuple[Text, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether this person, at this number, has agreed to be texted."""
        consent = self.consent
        return (
            self.phone is not None
            and consent is not None
            and consent.allowed
            and consent.phone_version == self.phone_version
        )

    @property
    def zone(self) -> ZoneInfo | None:
        """Where the person's clock stands; None where it is not known."""
        try:
            return ZoneInfo(self.time_zone) if self.time_zone else None
        except (KeyError, ValueError, OSError):
            return None


Contacts = Mapping[str, Contact]


def decide_contact(
    places: Places, known: Contact | None, message: Message, contacts: Contacts
) -> Decision[Contact, Contacts]:
    """What a contact's record, its erasure, or what the person says changes."""
    data, now = message.data, message.arrived_at
    before = contacts.get(data.key) or known or Contact(data.key)
    after, source = before, ""
    attention: tuple[Attention, ...] = ()
    match data:
        case ContactUpdated():
            after = _updated(before, data, now)
            source = data.texting.source if after.consent is not before.consent else NEW_NUMBER
            if (stop := _stopped(after, contacts)) is not None:
                said = Texting(allowed=False, wording=stop.wording, source=stop.source, recorded_at=stop.recorded_at)
                after = recorded(after, said, now, asked=True)
            if after.zone is None:
                attention = (Attention("unknown_time_zone", data.contact_id, "the location's zone is used instead"),)
        case ConsentRecorded():
            source = data.source
            if data.phone is None or data.phone == before.phone:
                said = Texting(
                    allowed=data.allowed, wording=data.wording, source=data.source, recorded_at=data.recorded_at
                )
                after = recorded(before, said, now, asked=True)
                if data.answer_for and before.allowed and after.opted_out:
                    after = _answered(places, after, TextKind.OPT_OUT_CONFIRMED, data.answer_for, message)
        case ConsentChanged(source=said_by):  # our own words, before our database was set back: nothing is told again
            after = opt_out(before, data.type, said_by, message.time)
            return Decision(after, context={**contacts, after.contact_id: after})
        case AnswerWanted(kind=kind, location=location):
            if data.phone is None or data.phone == before.phone:
                after = _answered(places, before, kind, location, message)
        case PersonErased():
            gone = replace(before, phone=None, kind=None, locale=None, time_zone=None, region=None, look_at=now)
            after, source = replace(gone, renumbered_at=now), ERASED
        case _:
            raise TypeError(f"not about a contact: {message.type}")
    if after == before:
        return Decision(before, attention=attention)
    return Decision(
        after,
        consent_events(before, after, source),
        attention=attention,
        context={**contacts, after.contact_id: after},
    )


def _answered(places: Places, contact: Contact, kind: TextKind, location: str, message: Message) -> Contact:
    """The contact with an answer that is to go out in the name of a location; an unknown location answers nothing."""
    place, now = places.get(location), message.arrived_at
    if place is None:
        return contact
    step: After = getattr(place.profile.ladder, kind.value)
    text = Text(
        text_id=derived_id(f"answer/{message.id}/{kind}"),
        contact_id=contact.contact_id,
        kind=kind,
        session_id=None,
        session_version=None,
        occasion=None,
        nominal_at=now + step.after,
        due_at=now + step.after,
        look_at=now + step.after,
        deadline_at=now + step.until,
        location=location,
        traceparent=message.trace,
    )
    return replace(contact, answers=(*contact.answers, text))


def consent_events(before: Contact, after: Contact, source: str) -> tuple[ConsentChanged, ...]:
    """What is told when somebody may be texted from now on, or not any more."""
    if after.allowed == before.allowed:
        return ()
    return (ConsentChanged(contact_id=after.contact_id, allowed=after.allowed, source=source),)


def opt_out(contact: Contact, wording: str, source: str, at: datetime) -> Contact:
    """The person does not want to be texted any more, from `at` on."""
    return recorded(contact, Texting(allowed=False, wording=wording, source=source, recorded_at=at), at, asked=True)


def _stopped(contact: Contact, contacts: Contacts) -> Consent | None:
    """The opt-out that somebody else wrote from this phone, if it is later than this person's consent."""
    said = (
        other.consent
        for other in contacts.values()
        if other.contact_id != contact.contact_id and other.phone == contact.phone and other.opted_out and other.consent
    )
    stop = max((c for c in said if c.source in (BY_TEXT, CARRIER)), key=lambda c: c.rank, default=None)
    return stop if stop is not None and (contact.consent is None or stop.rank > contact.consent.rank) else None


def _updated(contact: Contact, told: ContactUpdated, now: datetime) -> Contact:
    moved = (told.time_zone, told.region) != (contact.time_zone, contact.region)
    contact = replace(
        contact,
        phone=told.phone,
        phone_version=contact.phone_version + (told.phone != contact.phone),
        kind=told.kind.value,
        locale=told.locale,
        time_zone=told.time_zone,
        region=told.region,
        look_at=now if moved else contact.look_at,
        renumbered_at=now if told.phone != contact.phone else contact.renumbered_at,
    )
    return recorded(contact, told.texting, now)


def recorded(contact: Contact, told: Texting, now: datetime, asked: bool = False) -> Contact:
    """The contact with one more entry; what is older than the latest is kept for the record only."""
    latest = contact.consent
    entry = Consent(
        contact.contact_id, told.allowed, told.wording, told.source, told.recorded_at, now, contact.phone_version
    )
    if latest is not None and entry.consent_id == latest.consent_id:
        return contact
    contact = replace(contact, unsaved=(*contact.unsaved, entry))
    if latest is not None and entry.rank <= latest.rank:
        return contact
    withdrawn = asked or contact.opted_out or (latest is not None and latest.allowed)
    return replace(contact, consent=entry, opted_out=not entry.allowed and withdrawn)
