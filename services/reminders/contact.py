"""A person who may be texted, and the ledger of their consent. Pure.

The latest entry counts, by the time at which it was recorded; an opt-out wins a tie. It counts only for the number
that it was given for: a new number needs new consent, and an old "allowed" never undoes a later opt-out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from shared.contract import ConsentChanged, ContactUpdated, PersonErased, Texting
from shared.decision import Attention, Decision
from shared.envelope import NAMESPACE, Message

CARRIER: Final = "carrier"
"""Source of an opt-out that a send brought to light: the carrier blocks the number at the person's own wish."""

ERASED: Final = "erased"
NEW_NUMBER: Final = "new_number"


@dataclass(frozen=True, slots=True)
class Consent:
    """One entry of the ledger. `phone_version` says for which of a contact's numbers, never the number itself."""

    contact_id: str
    allowed: bool
    wording: str
    source: str
    recorded_at: datetime
    heard_at: datetime
    phone_version: int

    @property
    def consent_id(self) -> UUID:
        """The same for the same record, however often it is told, and for whichever number."""
        what = f"{self.contact_id}/{self.allowed}/{self.wording}/{self.source}/{self.recorded_at.isoformat()}"
        return uuid5(NAMESPACE, f"consent/{what}")


@dataclass(frozen=True, slots=True)
class Contact:
    """How a person may be texted; without a number nothing was told yet, or the person was erased.

    `consent` is the ledger's latest entry. `unsaved` and `looked_at` are for the store only: entries that the ledger
    does not have yet, and since when waiting texts must be planned anew.
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


def decide_contact(known: Contact | None, message: Message, contacts: Contacts) -> Decision[Contact, Contacts]:
    """What a contact's record, or its erasure, changes."""
    data, now = message.data, message.arrived_at
    attention: tuple[Attention, ...] = ()
    match data:
        case ContactUpdated():
            before = known or Contact(data.contact_id)
            after = _updated(before, data, now)
            source = data.texting.source if after.consent is not before.consent else NEW_NUMBER
            if after.zone is None:
                attention = (Attention("unknown_time_zone", data.contact_id, "the location's zone is used instead"),)
        case PersonErased():
            before = known or Contact(data.person_id)
            after = replace(before, phone=None, kind=None, locale=None, time_zone=None, region=None, look_at=now)
            source = ERASED
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


def consent_events(before: Contact, after: Contact, source: str) -> tuple[ConsentChanged, ...]:
    """What is told when somebody may be texted from now on, or not any more."""
    if after.allowed == before.allowed:
        return ()
    return (ConsentChanged(contact_id=after.contact_id, allowed=after.allowed, source=source),)


def opt_out(contact: Contact, wording: str, source: str, at: datetime) -> Contact:
    """The person does not want to be texted any more, from `at` on."""
    return _recorded(contact, Texting(allowed=False, wording=wording, source=source, recorded_at=at), at, asked=True)


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
    )
    return _recorded(contact, told.texting, now)


def _recorded(contact: Contact, told: Texting, now: datetime, asked: bool = False) -> Contact:
    """The contact with one more entry; what is older than the latest is kept for the record only."""
    latest = contact.consent
    entry = Consent(
        contact.contact_id, told.allowed, told.wording, told.source, told.recorded_at, now, contact.phone_version
    )
    if latest is not None and entry.consent_id == latest.consent_id:
        return contact
    contact = replace(contact, unsaved=(*contact.unsaved, entry))
    if latest is not None and (entry.recorded_at, not entry.allowed) <= (latest.recorded_at, not latest.allowed):
        return contact
    withdrawn = asked or contact.opted_out or (latest is not None and latest.allowed)
    return replace(contact, consent=entry, opted_out=not entry.allowed and withdrawn)
