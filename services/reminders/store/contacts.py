"""SQL of persons who may be texted, and of the ledger of their consent."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from services.reminders.people.consent import Consent
from services.reminders.people.contact import Contact
from services.reminders.store.texts import TEXT, row_from_text
from shared.postgres.query import rows
from shared.postgres.values import Connection, to_json
from shared.postgres.writes import Writes

_CONTACT: Final = (
    "contact_id", "phone", "phone_version", "kind", "locale", "time_zone", "region", "consent_id", "opted_out",
)  # fmt: skip


async def load_contacts(connection: Connection, ids: Sequence[str], lock: str = "") -> dict[str, Contact]:
    """Contacts with the latest entry of their ledger.

    Args:
        lock: what PostgreSQL shall lock, such as FOR UPDATE OF contacts.
    """
    return {
        row.contact_id: Contact(
            contact_id=row.contact_id,
            phone=row.phone,
            phone_version=row.phone_version,
            kind=row.kind,
            locale=row.locale,
            time_zone=row.time_zone,
            region=row.region,
            consent=Consent(
                row.contact_id, row.allowed, row.wording, row.source, row.recorded_at, row.heard_at, row.consent_phone
            )
            if row.consent_id
            else None,
            opted_out=row.opted_out,
        )
        for row in await rows(
            connection,
            f"""SELECT contacts.contact_id, phone, contacts.phone_version, kind, locale, time_zone, region,
                       contacts.consent_id, opted_out, allowed, wording, source, recorded_at, heard_at,
                       consents.phone_version AS consent_phone
                FROM contacts LEFT JOIN consents USING (consent_id)
                WHERE contacts.contact_id = ANY(CAST(:ids AS text[])) ORDER BY contacts.contact_id {lock}""",
            ids=list(ids),
        )
    }


def save_contacts(writes: Writes, contacts: Sequence[Contact]) -> None:
    """Add to the ledger what it does not have, and write the contacts."""
    entries = [asdict(e) | {"consent_id": e.consent_id} for contact in contacts for e in contact.unsaved]
    if entries:
        writes.add(
            """INSERT INTO consents SELECT * FROM json_populate_recordset(NULL::consents, CAST(:entries AS json))
               ON CONFLICT DO NOTHING""",
            entries=to_json(entries).decode(),
        )
    numbers = [
        {
            "contact_id": c.contact_id,
            "phone_version": c.phone_version,
            "since": c.renumbered_at,
            "erased": c.phone is None,
        }
        for c in contacts
        if c.renumbered_at is not None
    ]
    writes.insert("numbers", ("contact_id", "phone_version", "since", "erased"), numbers)
    people = [
        {name: getattr(contact, name) for name in _CONTACT if name != "consent_id"}
        | {"consent_id": contact.consent.consent_id if contact.consent else None}
        for contact in contacts
    ]
    writes.insert("contacts", _CONTACT, people, key=("contact_id",))
    writes.insert("texts", TEXT, [row_from_text(text) for contact in contacts for text in contact.answers])


async def lock_phone_of(connection: Connection, contact_id: str, phone: str | None = None) -> dict[str, Contact]:
    """Everybody who has the same number as a contact, the contact too, locked.

    Args:
        phone: nobody, unless this is the contact's number now.
    """
    found = await rows(
        connection,
        """SELECT o.contact_id FROM contacts c JOIN contacts o USING (phone)
           WHERE c.contact_id = :id AND (CAST(:phone AS text) IS NULL OR c.phone = :phone)""",
        id=contact_id,
        phone=phone,
    )
    return await load_contacts(connection, [row.contact_id for row in found], "FOR UPDATE OF contacts")


async def consent_ledger(connection: Connection, contact_id: str) -> list[dict[str, Any]]:
    """Every entry about one contact, by the time at which it was recorded."""
    found = await rows(
        connection,
        """SELECT allowed, wording, source, recorded_at, heard_at, phone_version FROM consents
           WHERE contact_id = :id ORDER BY recorded_at, heard_at, consent_id""",
        id=contact_id,
    )
    return [dict(row) for row in found]
