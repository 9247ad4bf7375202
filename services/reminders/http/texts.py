"""Routes to texts, with what became of each and why, and to what people wrote back."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from jinja2 import TemplateError

from services.reminders.http.consent_and_pauses import Desk
from services.reminders.http.shapes import CONTACT_ID, COURSE_ID, SID, TEXT_ID, ShownReply, ShownText
from services.reminders.people.contact import Contact, Contacts
from services.reminders.rules.course import Course
from services.reminders.rules.judging import Due
from services.reminders.rules.last_look import Pauses, wording_of
from services.reminders.rules.why import trace_of
from services.reminders.store import conversations, pauses
from services.reminders.store.contacts import load_contacts
from services.reminders.store.courses import load_courses
from services.reminders.store.texts import load_answers, texts_on_record
from services.reminders.text.clinic import Places, TextingPlace
from services.reminders.text.provider import Sent
from services.reminders.text.text import Text, TextState
from shared.contract.fields import Id
from shared.decision import trace
from shared.http.callers import service_of
from shared.http.problem import READ, Problem
from shared.postgres.values import Connection

Limit = Annotated[int, Query(ge=1, le=500, examples=[200])]


def routes(places: Places) -> APIRouter:
    """The routes to texts and replies. Where there are more, the header `Link` leads to the next page (RFC 8288)."""
    router = APIRouter(tags=["reminders"])

    @router.get("/v1/texts", responses=READ)
    async def list_texts(
        request: Request,
        response: Response,
        by: Desk,
        course_id: Annotated[UUID | None, Query(examples=[COURSE_ID])] = None,
        contact_id: Annotated[Id | None, Query(description="for what answered a person", examples=[CONTACT_ID])] = None,
        limit: Limit = 200,
        after: Annotated[UUID | None, Query(description="the last text of the page before", examples=[TEXT_ID])] = None,
    ) -> list[ShownText]:
        """A course's texts in order of time, or those that answered what a person wrote and belong to no course.

        One that has not gone out yet has the body that it would have now.
        """
        if (course_id is None) == (contact_id is None):
            raise Problem(422, "invalid", "query: either course_id or contact_id")
        async with service_of(request).database.begin() as connection:
            if course_id is not None:
                course, texts, contacts = await _of_course(connection, course_id)
            else:
                course, texts, contacts = await _of_contact(connection, contact_id or "")
            page = _page(texts, after, limit)
            record = await texts_on_record(connection, [text.text_id for text in page])
            paused = await pauses.in_force(connection)
        if page and page[-1] is not max(texts, key=_order):
            what = {"course_id": course_id} if course_id is not None else {"contact_id": contact_id}
            _link(request, response, **what, limit=limit, after=page[-1].text_id)
        now = service_of(request).clock.now()
        return [
            _shown(
                text,
                course,
                contacts.get(text.contact_id),
                places.get((course.location if course else text.location) or ""),
                record[text.text_id],
                paused,
                now,
            )
            for text in page
        ]

    @router.get("/v1/replies", responses=READ)
    async def list_replies(
        request: Request,
        response: Response,
        by: Desk,
        contact_id: Annotated[Id | None, Query(examples=[CONTACT_ID])] = None,
        limit: Limit = 200,
        before: Annotated[Id | None, Query(description="the last reply of the page before", examples=[SID])] = None,
    ) -> list[ShownReply]:
        """What people wrote back, or one person, the newest first."""
        async with service_of(request).database.begin() as connection:
            found = await conversations.replies(connection, contact_id, before, limit + 1)
        if len(found) > limit:
            what = {} if contact_id is None else {"contact_id": contact_id}
            _link(request, response, **what, limit=limit, before=found[limit - 1]["sid"])
        return [ShownReply(**reply) for reply in found[:limit]]

    @router.get("/v1/replies/{sid}", responses=READ)
    async def get_reply(request: Request, by: Desk, sid: Annotated[Id, Path(examples=[SID])]) -> ShownReply:
        """One reply, by the id that a matter for attention names."""
        async with service_of(request).database.begin() as connection:
            found = await conversations.reply(connection, sid)
        if found is None:
            raise Problem(404, "not_found", "there is no such reply")
        return ShownReply(**found)

    return router


Listed = tuple[Course | None, list[Text], Contacts]


async def _of_course(connection: Connection, course_id: UUID) -> Listed:
    course = (await load_courses(connection, [course_id])).get(course_id)
    if course is None or course.patient_id is None:
        raise Problem(404, "not_found", "there is no such course")
    return course, list(course.texts), await load_contacts(connection, [course.patient_id, *course.companions])


async def _of_contact(connection: Connection, contact_id: str) -> Listed:
    contacts = await load_contacts(connection, [contact_id])
    if not contacts:
        raise Problem(404, "not_found", "there is no such contact")
    return None, await load_answers(connection, contact_id), contacts


def _order(text: Text) -> tuple[datetime, UUID]:
    return text.nominal_at, text.text_id


def _page(texts: list[Text], after: UUID | None, limit: int) -> list[Text]:
    in_order = sorted(texts, key=_order)
    if after is None:
        return in_order[:limit]
    place = next((number for number, text in enumerate(in_order, 1) if text.text_id == after), None)
    if place is None:
        raise Problem(422, "invalid", "query.after: is none of these texts")
    return in_order[place : place + limit]


def _link(request: Request, response: Response, **query: object) -> None:
    response.headers["Link"] = f'<{request.url.path}?{urlencode(query)}>; rel="next"'


def _shown(
    text: Text,
    course: Course | None,
    contact: Contact | None,
    place: TextingPlace | None,
    record: Sent,
    paused: Pauses,
    now: datetime,
) -> ShownText:
    """A text with its story; of a location that is served no more there is only what is on record."""
    told: dict[str, Any] = text._asdict() | {name: getattr(record, name) for name in Sent.__slots__}
    told["trace_id"] = trace.id_of(text.traceparent) if text.traceparent else None
    if place is not None:
        told["trace"] = [step._asdict() for step in trace_of(Due(text, course, contact, place, 0), record, paused, now)]
        if text.state is TextState.SCHEDULED:
            told["body"] = _preview(text, course, contact, place)
    return ShownText.model_validate(told | {"course_id": course.course_id if course else None})


def _preview(text: Text, course: Course | None, contact: Contact | None, place: TextingPlace) -> str | None:
    try:
        return wording_of(text, course, contact, place)
    except TemplateError:
        return None
