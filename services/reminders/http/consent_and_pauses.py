"""Routes of the desk: what a person agreed to, and which texts must wait. Each change is kept with whose key it was."""

from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request

from services.reminders.http.shapes import (
    CONSENT_EXAMPLES,
    CONTACT_ID,
    PAUSE_EXAMPLES,
    RESUME_EXAMPLES,
    ConsentGiven,
    Pause,
    ShownConsent,
    Stretch,
)
from services.reminders.people.messages import ConsentRecorded
from services.reminders.store import pauses
from services.reminders.store.contacts import consent_ledger, load_contacts
from services.reminders.text.clinic import Places
from shared.configuration.api_keys import Role
from shared.contract.fields import Id
from shared.http.callers import RequiresRole, service_of
from shared.http.problem import READ, WRITE, Problem
from shared.http.requests import IdempotencyKey, body_schema, read_body, request_id, submit
from shared.postgres.values import Connection
from shared.tables import audit, inbox

Desk = Annotated[str, Depends(RequiresRole(Role.FRONT_DESK, Role.OPERATOR))]
ContactId = Annotated[Id, Path(examples=[CONTACT_ID])]

BY_STAFF: Final = "staff"
"""Source of a consent that the desk wrote down: whose key it was stands in the audit, and travels nowhere."""


def routes(places: Places) -> APIRouter:
    """The routes of consent and pauses."""
    router = APIRouter(tags=["reminders"])
    clinics = {place.clinic for place in places.values()}

    @router.get("/v1/contacts/{contact_id}/consent", responses=READ)
    async def get_consent(request: Request, by: Desk, contact_id: ContactId) -> ShownConsent:
        """Whether a person may be texted, and every entry of the ledger about them; never their number."""
        async with service_of(request).database.begin() as connection:
            return await _consent(connection, contact_id)

    @router.post(
        "/v1/contacts/{contact_id}/consent",
        responses=WRITE,
        openapi_extra=body_schema(ConsentGiven, **CONSENT_EXAMPLES),
    )
    async def record_consent(request: Request, by: Desk, contact_id: ContactId, key: IdempotencyKey) -> ShownConsent:
        """Write down what a person told the desk; the newest word counts, and an older one never undoes it."""
        given = await read_body(request, ConsentGiven)
        database, now = service_of(request).database, service_of(request).clock.now()
        if given.recorded_at is not None and given.recorded_at > now:
            raise Problem(422, "invalid", "recorded_at: is still to come")
        async with database.begin() as connection:
            await _consent(connection, contact_id)
            detail = "allowed" if given.allowed else "declined"
            id = request_id(request, by, key)
            await audit.keep(connection, id, by, "consent", contact_id, detail, now)
            asked_at = await audit.asked_at(connection, id)
        said = ConsentRecorded(
            contact_id=contact_id,
            allowed=given.allowed,
            wording=given.wording,
            source=BY_STAFF,
            recorded_at=given.recorded_at or asked_at,
        )
        await submit(request, by, key, said)
        async with database.begin() as connection:
            return await _consent(connection, contact_id)

    @router.get("/v1/pauses", responses=READ)
    async def list_pauses(request: Request, by: Desk) -> list[Pause]:
        """What is paused now, since when, by whom and why."""
        async with service_of(request).database.begin() as connection:
            return await _paused(connection)

    @router.post("/v1/pause", responses=WRITE, openapi_extra=body_schema(Stretch, **PAUSE_EXAMPLES))
    async def pause(request: Request, by: Desk, key: IdempotencyKey) -> list[Pause]:
        """Stop all texts, a clinic's or a contact's, at once; answers with all that is paused then."""
        return await _move(request, by, key, await read_body(request, Stretch), clinics, "pause")

    @router.post("/v1/resume", responses=WRITE, openapi_extra=body_schema(Stretch, **RESUME_EXAMPLES))
    async def resume(request: Request, by: Desk, key: IdempotencyKey) -> list[Pause]:
        """Let paused texts go again; answers with all that is still paused."""
        return await _move(request, by, key, await read_body(request, Stretch), clinics, "resume")

    return router


async def _move(request: Request, by: str, key: str, what: Stretch, clinics: set[str], action: str) -> list[Pause]:
    """Pause or resume, once for one request."""
    service, id = service_of(request), request_id(request, by, key)
    now = service.clock.now()
    if what.clinic is not None and what.clinic not in clinics:
        raise Problem(404, "not_found", "there is no such clinic")
    async with service.database.begin() as connection:
        if what.contact_id is not None and not await load_contacts(connection, [what.contact_id]):
            raise Problem(404, "not_found", "there is no such contact")
        if await _first_time(connection, id, what, now):
            if action == "pause":
                await pauses.pause(connection, what.scope, what.subject, by, what.reason, now)
            else:
                await pauses.resume(connection, what.scope, what.subject, by, now)
            await audit.keep(connection, id, by, action, what.subject or what.scope, what.reason, now)
        paused = await _paused(connection)
    service.ring()
    return paused


async def _first_time(connection: Connection, id: str, body: Stretch, now: datetime) -> bool:
    """Whether a request comes for the first time; a repeat has had its effect."""
    digest = blake2b(body.model_dump_json().encode(), digest_size=16).digest()
    claim = await inbox.claim(connection, [(id, digest, "chairtime.texts.paused")], (), now)
    if claim.conflicting:
        raise Problem(422, "idempotency_key_reused", "this Idempotency-Key came before with another body")
    return bool(claim.new)


async def _paused(connection: Connection) -> list[Pause]:
    return [Pause(**pause) for pause in await pauses.listed(connection)]


async def _consent(connection: Connection, contact_id: str) -> ShownConsent:
    contact = (await load_contacts(connection, [contact_id])).get(contact_id)
    if contact is None:
        raise Problem(404, "not_found", "there is no such contact")
    entries = [
        {**entry, "for_current_number": contact.phone is not None and entry["phone_version"] == contact.phone_version}
        for entry in await consent_ledger(connection, contact_id)
    ]
    told: dict[str, Any] = {"contact_id": contact_id, "allowed": contact.allowed, "opted_out": contact.opted_out}
    return ShownConsent.model_validate(told | {"entries": entries})
