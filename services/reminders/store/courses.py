"""Courses with their sessions and texts: load many, save many. What sending needs stands in `queue`.

Locks are taken in one order, courses before contacts, each by id. A course's row stands for its sessions and texts.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from services.reminders.people.contact import Contact, Contacts
from services.reminders.people.conversation import Conversation
from services.reminders.rules.course import Course, Session
from services.reminders.rules.decide import State, aggregate_of
from services.reminders.store import conversations
from services.reminders.store.contacts import load_contacts, save_contacts
from services.reminders.store.texts import READ, SOONER, TEXT, row_from_text, text_from_row
from services.reminders.text.aggregates import CONTACT, COURSE
from shared.contract.clinic import ContactUpdated
from shared.decision.message import Message, from_stored, to_stored
from shared.postgres.query import nested, rows, run, take
from shared.postgres.row_values import reader
from shared.postgres.values import Connection
from shared.postgres.writes import Writes
from shared.worker.service_rules import Loaded

_HEAD: Final = ("course_id", "patient_id", "location", "treatment", "companions", "owed", "waiting")
_SESSION: Final = ("course_id", *Session._fields)

_read_session: Final = reader(Session)


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
        others |= await load_contacts(connection, await conversations.stopped_on(connection, numbers, own))
    if talks := await conversations.load(connection, messages):
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
        conversations.save(writes, talks)
    if erased := [contact.contact_id for contact in people if contact.phone is None]:
        conversations.forget(writes, erased)
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
            sessions=tuple(map(_read_session, row.sessions)),
            owed=frozenset(row.owed),
            texts=tuple(text_from_row(columns) for columns in row.texts),
            waiting=tuple(from_stored(stored) for stored in row.waiting),
        )
        for row in await rows(
            connection,
            f"""SELECT course_id, patient_id, location, treatment, companions, owed, waiting,
                       {nested("sessions o", Session._fields, of_course, "starts_at, session_id")} AS sessions,
                       {nested("texts o", READ, f"{of_course} {which}", "nominal_at, text_id")} AS texts
                FROM courses WHERE course_id = ANY(CAST(:ids AS uuid[]))""",
            ids=list(ids),
        )
    }


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
                (booked if known is None else moved).append({"course_id": course.course_id, **session._asdict()})
        there = {text.text_id for text in before.texts}
        for text in course.texts:
            if text.text_id in course.unsaved:
                row = {"course_id": course.course_id, **row_from_text(text)}
                (texts if text.text_id in there else planned).append(row)
    writes.update("courses", _HEAD, heads, key=("course_id",))
    writes.update("sessions", _SESSION, moved, key=("session_id",))
    writes.insert("sessions", _SESSION, booked, key=("session_id",))
    writes.insert("texts", ("course_id", *TEXT), texts, key=("text_id",), unless=SOONER)
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
