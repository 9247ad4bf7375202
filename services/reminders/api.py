"""Reminders' routes: what a course's texts say and what became of them, and what a person has agreed to."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from jinja2 import TemplateError

from services.reminders import pauses, store
from services.reminders.attempt import Due
from services.reminders.contact import Contact
from services.reminders.course import Course, Text, TextState
from services.reminders.last_look import wording_of
from services.reminders.profile import Places
from services.reminders.trace import trace_of
from shared.contract import Id
from shared.http import Problem, Role, caller, service_of

Desk = Annotated[str, Depends(caller(Role.FRONT_DESK, Role.OPERATOR))]


def routes(places: Places) -> APIRouter:
    """The routes of reminders."""
    router = APIRouter(tags=["reminders"])

    @router.get("/v1/texts")
    async def list_texts(request: Request, by: Desk, course_id: Annotated[UUID, Query()]) -> list[dict[str, Any]]:
        """A course's texts in order of time; one that has not gone out yet with the body that it would have now."""
        async with service_of(request).database.begin() as connection:
            course = (await store.load_courses(connection, [course_id])).get(course_id)
            if course is None or course.patient_id is None:
                raise Problem(404, "not_found", "there is no such course")
            contacts = await store.load_contacts(connection, [course.patient_id, *course.companions])
            record = await store.texts_on_record(connection, course_id)
            paused = await pauses.in_force(connection)
        now = service_of(request).clock.now()
        place = places.get(course.location or "")
        shown = []
        for text in course.texts:
            sent, contact = record[text.text_id], contacts.get(text.contact_id)
            story = trace_of(Due(text, course, contact, place, 0), sent, paused, now) if place else []
            shown.append(_shown(course, text, sent, contact, places) | {"trace": [step._asdict() for step in story]})
        return shown

    @router.get("/v1/contacts/{contact_id}/consent")
    async def get_consent(request: Request, by: Desk, contact_id: Id) -> dict[str, Any]:
        """Whether a person may be texted, and every entry of the ledger about them; never their number."""
        async with service_of(request).database.begin() as connection:
            contact = (await store.load_contacts(connection, [contact_id])).get(contact_id)
            if contact is None:
                raise Problem(404, "not_found", "there is no such contact")
            ledger = await store.consent_ledger(connection, contact_id)
        return {
            "contact_id": contact_id,
            "allowed": contact.allowed,
            "opted_out": contact.opted_out,
            "entries": [
                {k: v for k, v in entry.items() if k != "phone_version"}
                | {"for_current_number": entry["phone_version"] == contact.phone_version and contact.phone is not None}
                for entry in ledger
            ],
        }

    return router


def _shown(course: Course, text: Text, record: store.Sent, contact: Contact | None, places: Places) -> dict[str, Any]:
    return {
        "text_id": text.text_id,
        "contact_id": text.contact_id,
        "session_id": text.session_id,
        "session_version": text.session_version,
        "kind": text.kind,
        "state": text.state,
        "reason": text.reason,
        "nominal_at": text.nominal_at,
        "due_at": text.due_at,
        "deadline_at": text.deadline_at,
        "body": _preview(course, text, contact, places) if text.state is TextState.SCHEDULED else record.body,
        "segments": record.segments,
        "attempts": record.attempts,
        "sent_at": record.sent_at,
        "code": record.code,
    }


def _preview(course: Course, text: Text, contact: Contact | None, places: Places) -> str | None:
    place = places.get(course.location or "")
    try:
        return wording_of(text, course, contact, place) if place else None
    except TemplateError:
        return None
