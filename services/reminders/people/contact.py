"""A person who may be texted, and the ledger of their consent. Pure.

The latest entry counts, by the time at which it was recorded; an opt-out wins a tie. It counts only for the number
that it was given for: a new number needs new consent, and an old "allowed" never undoes a later opt-out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.reminders.people.consent import BY_TEXT, CARRIER, ERASED, NEW_NUMBER, Consent
from services.reminders.people.messages import AnswerWanted, ConsentRecorded
from services.reminders.text.clinic import After, Places
from services.reminders.text.text import Text
from shared.contract.clinic import ContactUpdated, Texting
from shared.contract.closed_sets import TextKind
from shared.contract.internal import PersonErased
from shared.contract.register import EventData
from shared.contract.reminders import ConsentChanged
from shared.decision.decision import Decision
from shared.decision.draft import Draft
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


class ContactDraft(Draft):
    """One decision about a contact in the making.

    Attributes:
        contacts: all that the batch knows, by id; others may have the same phone.
        contact: as it becomes.
        source: on what a change of `Contact.allowed` stands; None where that change was told before.
    """

    def __init__(self, places: Places, contact: Contact, message: Message, contacts: Contacts) -> None:
        super().__init__(message, message.arrived_at)
        self.places = places
        self.contacts = contacts
        self.contact = contact
        self.source: str | None = None

    def answer(self, kind: TextKind, location: str) -> None:
        """Plan an answer in the name of a location; none where the location is not served."""
        place = self.places.get(location)
        if place is None:
            return
        step: After = getattr(place.profile.ladder, kind.value)
        text = Text(
            text_id=derived_id(f"answer/{self.message.id}/{kind}"),
            contact_id=self.contact.contact_id,
            kind=kind,
            session_id=None,
            session_version=None,
            occasion=None,
            nominal_at=self.now + step.after,
            due_at=self.now + step.after,
            look_at=self.now + step.after,
            deadline_at=self.now + step.until,
            location=location,
            traceparent=self.message.trace,
        )
        self.contact = replace(self.contact, answers=(*self.contact.answers, text))


def decide_contact(
    places: Places, known: Contact | None, message: Message, contacts: Contacts
) -> Decision[Contact, Contacts]:
    """What a contact's record, its erasure, or what the person says changes."""
    data = message.data
    before = contacts.get(data.key) or known or Contact(data.key)
    draft = ContactDraft(places, before, message, contacts)
    ON_CONTACT[type(data)](draft, data)
    after = draft.contact
    if after == before:
        return draft.decided(before)
    if draft.source is not None:
        draft.events += consent_events(before, after, draft.source)
    return draft.decided(after, {**contacts, after.contact_id: after})


def on_updated(draft: ContactDraft, data: ContactUpdated) -> None:
    """The clinic's record of a contact; an opt-out that somebody wrote from the same phone counts for it, too."""
    before = draft.contact
    after = _updated(before, data, draft.now)
    draft.source = data.texting.source if after.consent is not before.consent else NEW_NUMBER
    if (stop := _stopped(after, draft.contacts)) is not None:
        said = Texting(allowed=False, wording=stop.wording, source=stop.source, recorded_at=stop.recorded_at)
        after = recorded(after, said, draft.now, asked=True)
    if after.zone is None:
        draft.raise_attention("unknown_time_zone", data.contact_id, "the location's zone is used instead")
    draft.contact = after


def on_consent_recorded(draft: ContactDraft, data: ConsentRecorded) -> None:
    """What the person said, by text or to staff; from another number than theirs it does not count."""
    before = draft.contact
    draft.source = data.source
    if data.phone is None or data.phone == before.phone:
        said = Texting(allowed=data.allowed, wording=data.wording, source=data.source, recorded_at=data.recorded_at)
        draft.contact = recorded(before, said, draft.now, asked=True)
        if data.answer_for and before.allowed and draft.contact.opted_out:
            draft.answer(TextKind.OPT_OUT_CONFIRMED, data.answer_for)


def on_consent_recalled(draft: ContactDraft, data: ConsentChanged) -> None:
    """An opt-out that we told before our database was set back: it counts, and is not told again."""
    draft.contact = opt_out(draft.contact, data.type, data.source, draft.message.time)


def on_answer_wanted(draft: ContactDraft, data: AnswerWanted) -> None:
    """The person wrote something that is answered at once, unless it came from another number than theirs."""
    if data.phone is None or data.phone == draft.contact.phone:
        draft.answer(data.kind, data.location)


def on_erased(draft: ContactDraft, data: PersonErased) -> None:
    """Nothing is left of the person but the ledger of their consent, which has no number."""
    gone = replace(draft.contact, phone=None, kind=None, locale=None, time_zone=None, region=None)
    draft.contact = replace(gone, look_at=draft.now, renumbered_at=draft.now)
    draft.source = ERASED


ON_CONTACT: Final[Mapping[type[EventData], Callable[[ContactDraft, Any], None]]] = {
    ContactUpdated: on_updated,
    PersonErased: on_erased,
    ConsentRecorded: on_consent_recorded,
    ConsentChanged: on_consent_recalled,
    AnswerWanted: on_answer_wanted,
}
"""Which fact about a contact goes to which rule."""


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


def _updated(contact: Contact, data: ContactUpdated, now: datetime) -> Contact:
    moved = (data.time_zone, data.region) != (contact.time_zone, contact.region)
    contact = replace(
        contact,
        phone=data.phone,
        phone_version=contact.phone_version + (data.phone != contact.phone),
        kind=data.kind.value,
        locale=data.locale,
        time_zone=data.time_zone,
        region=data.region,
        look_at=now if moved else contact.look_at,
        renumbered_at=now if data.phone != contact.phone else contact.renumbered_at,
    )
    return recorded(contact, data.texting, now)


def recorded(contact: Contact, texting: Texting, now: datetime, asked: bool = False) -> Contact:
    """The contact with one more entry; what is older than the latest is kept for the record only."""
    latest = contact.consent
    entry = Consent(
        contact.contact_id,
        texting.allowed,
        texting.wording,
        texting.source,
        texting.recorded_at,
        now,
        contact.phone_version,
    )
    if latest is not None and entry.consent_id == latest.consent_id:
        return contact
    contact = replace(contact, unsaved=(*contact.unsaved, entry))
    if latest is not None and entry.rank <= latest.rank:
        return contact
    withdrawn = asked or contact.opted_out or (latest is not None and latest.allowed)
    return replace(contact, consent=entry, opted_out=not entry.allowed and withdrawn)
