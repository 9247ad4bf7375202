"""Reminders' tables, as the rules and the routes need them; what sending needs stands in `queue`.

Locks are taken in one order, courses before contacts, each by id. A course's row stands for its sessions and texts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from services.reminders import phones
from services.reminders.contact import Consent, Contact, Contacts, Number, allowed_at
from services.reminders.conversation import Conversation
from services.reminders.course import Course, Session, Text, TextState, Told
from services.reminders.rules import CONTACT, COURSE, State, aggregate_of
from shared.batch import Loaded
from shared.contract import ContactUpdated, SessionState, SuppressedReason, TextKind
from shared.database import Connection, Writes, nested, rows, run, take, to_json
from shared.envelope import Message, from_stored, to_stored

TEXT: Final = (
    "text_id", "contact_id", "kind", "session_id", "session_version", "occasion",
    "nominal_at", "due_at", "look_at", "deadline_at", "state", "reason", "sent_on", "location", "traceparent",
    "recalled_at", "tells",
)  # fmt: skip
READ: Final = (*TEXT[:-1], "tells::text")
"""The same as they are read: JSON inside a row comes as text."""

_SOONER: Final = {
    "look_at": """CASE WHEN texts.state = 'scheduled' AND excluded.state = 'scheduled'
                  THEN least(texts.look_at, excluded.look_at) ELSE excluded.look_at END"""
}
"""Of a waiting text that is to be looked at sooner meanwhile, because a pause ended or a person moved, that counts."""

_HEAD: Final = ("course_id", "patient_id", "location", "treatment", "companions", "owed", "waiting")
_OWN_SESSION: Final = ("session_id", "version", "state", "starts_at", "ended_at")
_SESSION: Final = ("course_id", *_OWN_SESSION)
_CONTACT: Final = (
    "contact_id", "phone", "phone_version", "kind", "locale", "time_zone", "region", "consent_id", "opted_out",
)  # fmt: skip

# The road -------------------------------------------------------------------------------------------------------------


async def load(connection: Connection, messages: Sequence[Message]) -> Loaded[State, Contacts]:
    """The courses and contacts that a batch is about, made where missing and locked, and its courses' contacts."""
    about = {aggregate_of(message) for message in messages}
    course_ids = sorted(UUID(a.removeprefix(COURSE)) for a in about if a.startswith(COURSE))
    contact_ids = sorted(a.removeprefix(CONTACT) for a in about if a.startswith(CONTACT))
    courses: dict[UUID, Course] = {}
    if course_ids:
        await take(connection, "courses", "course_id", course_ids, "uuid")
        courses = await load_courses(connection, course_ids)
    own: dict[str, Contact] = {}
    if contact_ids:
        await take(connection, "contacts", "contact_id", contact_ids, "text")
        own = await load_contacts(connection, contact_ids)
    people = {person for course in courses.values() for person in (course.patient_id, *course.companions) if person}
    for message in messages:
        if (patient := getattr(message.data, "patient_id", None)) is not None:
            people |= {patient, *getattr(message.data, "companions", ())}
    others = await load_contacts(connection, sorted(people - set(own))) if people - set(own) else {}
    states: dict[str, State] = {f"{COURSE}{id}": course for id, course in courses.items()}
    states |= {f"{CONTACT}{id}": contact for id, contact in own.items()}
    if numbers := [m.data.phone for m in messages if isinstance(m.data, ContactUpdated)]:
        others |= await load_contacts(connection, await phones.stopped_on(connection, numbers, own))
    if talks := await phones.load(connection, messages):
        states |= talks
        others |= await load_contacts(connection, [id for talk in talks.values() for id in talk.people])
    return Loaded(states, {**others, **own})


def save(writes: Writes, loaded: Mapping[str, State], changed: Mapping[str, State], contacts: Contacts) -> None:
    """Write what changed; waiting texts of a contact who is somewhere else now are looked at again."""
    people = [state for state in changed.values() if isinstance(state, Contact)]
    spoken_for = {contact.contact_id for contact in people}  # the others were changed by what somebody else was told
    people += [c for c in contacts.values() if (c.unsaved or c.answers) and c.contact_id not in spoken_for]
    save_contacts(writes, people)
    _save_courses(writes, loaded, [state for state in changed.values() if isinstance(state, Course)])
    if talks := [state for state in changed.values() if isinstance(state, Conversation)]:
        phones.save(writes, talks)
    if erased := [contact.contact_id for contact in people if contact.phone is None]:
        phones.forget(writes, erased)
    if moved := [contact for contact in people if contact.look_at is not None]:
        writes.then()  # texts may have been written just now
        writes.add(
            """UPDATE texts SET look_at = least(texts.look_at, m.look_at)
               FROM unnest(CAST(:ids AS text[]), CAST(:instants AS timestamptz[])) AS m (contact_id, look_at)
               WHERE texts.contact_id = m.contact_id AND texts.state = 'scheduled'""",
            ids=[contact.contact_id for contact in moved],
            instants=[contact.look_at for contact in moved],
        )


async def lock_courses(connection: Connection, ids: Iterable[UUID]) -> None:
    """Wait until these courses are ours for the rest of the transaction."""
    await run(
        connection,
        "SELECT FROM courses WHERE course_id = ANY(CAST(:ids AS uuid[])) ORDER BY course_id FOR UPDATE",
        ids=sorted(ids),
    )


async def load_courses(connection: Connection, ids: Iterable[UUID], which: str = "") -> dict[UUID, Course]:
    """Courses with their sessions and texts.

    Args:
        which: SQL that leaves out texts, `o`.
    """
    of_course = "o.course_id = courses.course_id"
    return {
        row.course_id: Course(
            course_id=row.course_id,
            patient_id=row.patient_id,
            location=row.location,
            treatment=row.treatment,
            companions=tuple(row.companions),
            sessions=tuple(Session(id, n, SessionState(state), *more) for id, n, state, *more in row.sessions),
            owed=frozenset(row.owed),
            texts=tuple(text_of(columns) for columns in row.texts),
            waiting=tuple(from_stored(stored) for stored in row.waiting),
        )
        for row in await rows(
            connection,
            f"""SELECT course_id, patient_id, location, treatment, companions, owed, waiting,
                       {nested("sessions o", _OWN_SESSION, of_course, "starts_at, session_id")} AS sessions,
                       {nested("texts o", READ, f"{of_course} {which}", "nominal_at, text_id")} AS texts
                FROM courses WHERE course_id = ANY(CAST(:ids AS uuid[]))""",
            ids=list(ids),
        )
    }


def text_of(columns: Iterable[Any]) -> Text:
    """A text of its columns, in the order of `READ`."""
    *plan, tells = columns
    text = Text(*plan)
    return text._replace(
        kind=TextKind(text.kind),
        state=TextState(text.state),
        reason=SuppressedReason(text.reason) if text.reason else None,
        tells=()
        if tells == "[]"
        else tuple(Told(UUID(id), datetime.fromisoformat(at)) for id, at in orjson.loads(tells)),
    )


def _row_of(text: Text) -> dict[str, Any]:
    row = text._asdict()  # its fields are TEXT
    if text.tells:
        row["tells"] = [tuple(told) for told in text.tells]
    return row


def _save_courses(writes: Writes, loaded: Mapping[str, State], courses: Sequence[Course]) -> None:
    heads: list[dict[str, Any]] = []
    booked: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    planned: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    for course in courses:
        before = loaded[f"{COURSE}{course.course_id}"]
        assert isinstance(before, Course)
        if (head := _head(course)) != _head(before):
            heads.append(head)
        sessions = {session.session_id.int: session for session in before.sessions}
        for session in course.sessions:
            if session is not (known := sessions.get(session.session_id.int)):
                (booked if known is None else moved).append(_session_row(course, session))
        there = {text.text_id for text in before.texts}
        for text in course.texts:
            if text.text_id in course.unsaved:
                row = {"course_id": course.course_id, **_row_of(text)}
                (texts if text.text_id in there else planned).append(row)
    writes.update("courses", _HEAD, heads, key=("course_id",))
    writes.update("sessions", _SESSION, moved, key=("session_id",))
    writes.insert("sessions", _SESSION, booked, key=("session_id",))
    writes.insert("texts", ("course_id", *TEXT), texts, key=("text_id",), unless=_SOONER)
    writes.append("texts", ("course_id", *TEXT), planned)


def _head(course: Course) -> dict[str, Any]:
    return {
        "course_id": course.course_id,
        "patient_id": course.patient_id,
        "location": course.location,
        "treatment": course.treatment,
        "companions": course.companions,
        "owed": sorted(course.owed),
        "waiting": [to_stored(message) for message in course.waiting],
    }


def _session_row(course: Course, session: Session) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "course_id": course.course_id,
        "version": session.version,
        "state": session.state,
        "starts_at": session.starts_at,
        "ended_at": session.ended_at,
    }


# Contacts and the ledger ----------------------------------------------------------------------------------------------


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
    writes.insert("texts", TEXT, [_row_of(text) for contact in contacts for text in contact.answers])


async def consent_ledger(connection: Connection, contact_id: str) -> list[dict[str, Any]]:
    """Every entry about one contact, by the time at which it was recorded."""
    found = await rows(
        connection,
        """SELECT allowed, wording, source, recorded_at, heard_at, phone_version FROM consents
           WHERE contact_id = :id ORDER BY recorded_at, heard_at, consent_id""",
        id=contact_id,
    )
    return [dict(row) for row in found]


async def allowed_then(connection: Connection, contact_id: str, instant: datetime) -> Consent | None:
    """The entry of the ledger that allowed texts to a contact at a past instant, or None."""
    numbers = await rows(
        connection, "SELECT phone_version, since, erased FROM numbers WHERE contact_id = :id", id=contact_id
    )
    entries = await consent_ledger(connection, contact_id)
    return allowed_at((Consent(contact_id, **entry) for entry in entries), (Number(*row) for row in numbers), instant)


# What people ask ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sent:
    """What is on record of one text besides its plan.

    Attributes:
        code: the provider's, of the last attempt that failed.
        provider_status: the provider's last word.
        wording, source: of the consent that allowed it.
    """

    body: str | None
    segments: int | None
    attempts: int
    attempted_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    code: str | None
    provider_status: str | None
    wording: str | None
    source: str | None
    recorded_at: datetime | None
    provider_sid: str | None = None


async def load_answers(connection: Connection, contact_id: str) -> list[Text]:
    """The texts that answered what a person wrote: they belong to no course."""
    found = await rows(
        connection,
        f"SELECT {', '.join(READ)} FROM texts WHERE contact_id = :id AND course_id IS NULL",
        id=contact_id,
    )
    return [text_of(row) for row in found]


async def texts_on_record(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Sent]:
    """Bodies and outcomes of texts."""
    found = await rows(
        connection,
        """SELECT text_id, body, segments, attempts, attempted_at, sent_at, delivered_at, code, provider_status,
                  wording, source, recorded_at, provider_sid
           FROM texts LEFT JOIN consents USING (consent_id) WHERE text_id = ANY(CAST(:ids AS uuid[]))""",
        ids=list(ids),
    )
    return {row.text_id: Sent(*row[1:]) for row in found}
