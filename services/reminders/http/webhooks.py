"""Twilio's webhooks: what became of a text, and what people write back.

A request is Twilio's if it is signed with the account's token over the public URL that is configured; what a request
says of its own host counts for nothing. The signature covers names and values without anything between them, so each
field that is used has a strict form: cut in another place, one of them is wrong. It carries no time either: what comes
again has no second effect.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Self, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from twilio.request_validator import RequestValidator

from services.reminders.people.conversation import LONGEST, ReplyCame
from services.reminders.rules.outcome import Report
from services.reminders.sending.settling import OutcomeWriter
from services.reminders.sending.twilio import STATUS
from services.reminders.store import conversations
from shared.contract.fields import Phone
from shared.contract.register import EventData
from shared.decision import trace
from shared.decision.message import Message
from shared.http.callers import service_of
from shared.http.problem import Problem, problems
from shared.http.requests import receive
from shared.kafka.envelope import explain
from shared.tables.dead_letters import WEBHOOKS

INBOUND: Final = "/webhooks/twilio/inbound"

MAX_FORM: Final = 64 * 1024
"""Bytes of a form; Twilio's have some 2,000."""

MAX_FIELDS: Final = 200

ATTEMPT: Final = "1b671a64-40d5-591e-99b0-da01ff1f3341"
DENIED: Final = problems(400, 403, 413, 415, 503)
_KEPT: Final[dict[int | str, dict[str, Any]]] = {202: {"description": "It is about no text of ours; it is kept"}}

_FORM: Final = "application/x-www-form-urlencoded"
_NO_ANSWER: Final = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
"""TwiML that sends nothing: what we answer is a text like any other."""


class MessageStatus(StrEnum):
    """Every status of a message. Source: Twilio's OpenAPI document, message_enum_status."""

    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    CANCELED = "canceled"
    READ = "read"
    PARTIALLY_DELIVERED = "partially_delivered"
    RECEIVING = "receiving"
    RECEIVED = "received"


class _Form(BaseModel):
    """Fields that both have; Twilio may add others, which are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    MessageSid: Annotated[str, Field(pattern="^(SM|MM)[0-9a-fA-F]{32}$")]
    AccountSid: Annotated[str, Field(pattern="^AC[0-9a-fA-F]{32}$")]


class StatusForm(_Form):
    """What became of one text. `ErrorCode` is Twilio's, where it failed."""

    MessageStatus: MessageStatus
    ErrorCode: Annotated[str, Field(pattern="^[0-9]{1,6}$")] | None = None

    @field_validator("ErrorCode", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if value == "" else value

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if self.ErrorCode is None and self.MessageStatus in (MessageStatus.FAILED, MessageStatus.UNDELIVERED):
            raise ValueError("ErrorCode: a failure has one")  # else it could have been joined to another field
        return self


class InboundForm(_Form):
    """A text that somebody sent to one of our numbers."""

    From: Phone
    To: Phone
    Body: Annotated[str, Field(max_length=LONGEST)]

    @field_validator("Body")
    @classmethod
    def _storable(cls, value: str) -> str:
        return value.replace("\x00", "\N{REPLACEMENT CHARACTER}")


F = TypeVar("F", bound=_Form)


class TwiML(Response):
    """An answer in TwiML, which tells Twilio what to do next."""

    media_type = "text/xml"


class Account:
    """The account whose webhooks are heard; without one none is.

    Args:
        public_url: where Twilio reaches this service.
        numbers: each clinic's number.
    """

    def __init__(
        self, account_sid: str | None, auth_token: str | None, public_url: str | None, numbers: Mapping[str, str]
    ) -> None:
        self._account_sid = account_sid
        self._validator = RequestValidator(auth_token) if auth_token and public_url else None
        self._public_url = (public_url or "").rstrip("/")
        self.clinics = {number: clinic for clinic, number in numbers.items()}

    def signed(self, path: str, query: str, form: Mapping[str, str], signature: str) -> bool:
        """Whether the account's token has signed this form, for this path of ours."""
        if self._validator is None or not signature:
            return False
        url = f"{self._public_url}{path}" + (f"?{query}" if query else "")
        try:
            return bool(self._validator.validate(url, form, signature))
        except ValueError:  # a port or query that is none
            return False

    async def read(self, request: Request, path: str, model: type[F]) -> F:
        """A signed form of this account.

        Raises:
            Problem: 415 no form, 413 too large, 400 a field is missing or malformed, 403 not signed, or another's.
        """
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            raise Problem(415, "not_a_form", f"the body must be {_FORM}")
        fields = _fields(await receive(request, "form", MAX_FORM))
        query = request.scope["query_string"].decode("latin-1")
        if not self.signed(path, query, fields, request.headers.get("x-twilio-signature", "")):
            raise Problem(403, "bad_signature", "X-Twilio-Signature does not fit this account and this URL")
        if model is InboundForm and any("Body" < name < "From" for name in fields):
            # Free text is the one field that has no strict form: the rest of a cut Body would have such a name.
            raise Problem(403, "bad_signature", "an unknown field stands next to Body")
        try:
            form = model.model_validate(fields)
        except ValidationError as error:
            raise Problem(400, *explain(error)) from None
        if form.AccountSid != self._account_sid:
            raise Problem(403, "foreign_account", "AccountSid: is another account's")
        return form


def _fields(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Problem(400, "not_a_form", f"the body is no form of at most {MAX_FIELDS} fields") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Problem(400, "invalid", "a field stands there twice")
    return fields


def _attempt(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Problem(400, "invalid", "query.attempt: is no UUID") from None


_SID: Final = "SM" + "0123456789abcdef" * 2
_ACCOUNT: Final = "AC" + "0" * 32
REPORTS: Final[dict[str, dict[str, str]]] = {
    "delivered": {"MessageSid": _SID, "AccountSid": _ACCOUNT, "MessageStatus": "delivered"},
    "failed": {"MessageSid": _SID, "AccountSid": _ACCOUNT, "MessageStatus": "undelivered", "ErrorCode": "30003"},
}
REPLIES: Final[dict[str, dict[str, str]]] = {
    "confirmed": {
        "MessageSid": _SID,
        "AccountSid": _ACCOUNT,
        "From": "+13125550101",
        "To": "+15550100001",
        "Body": "C",
    }
}


def _form(model: type[_Form], examples: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """A form for the OpenAPI document."""
    schema = model.model_json_schema()
    schema = {**schema, "properties": {n: _plain(p, schema) for n, p in schema["properties"].items()}}
    schema.pop("$defs", None)
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {_FORM: {"schema": schema, "examples": shown}}}}


def _plain(part: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = whole["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
    return named


def routes(account: Account, writer: OutcomeWriter) -> APIRouter:
    """Both webhooks; they take no API key, since the signature says who calls."""
    router = APIRouter(tags=["webhooks"])

    @router.post(STATUS, status_code=204, responses=DENIED | _KEPT, openapi_extra=_form(StatusForm, REPORTS))
    async def status(
        request: Request,
        attempt: Annotated[str | None, Query(description="the id that we gave the attempt", examples=[ATTEMPT])] = None,
    ) -> Response:
        """What became of a text, in any order and however often; of one that is none of ours it is kept."""
        form = await account.read(request, STATUS, StatusForm)
        report = Report(_attempt(attempt), form.MessageSid, form.MessageStatus.value, form.ErrorCode)
        if await writer.report(report):
            return Response(status_code=204)
        async with service_of(request).database.begin() as connection:
            await conversations.keep_stray(connection, report, service_of(request).clock.now())
        return Response(status_code=202)

    @router.post(INBOUND, response_class=TwiML, responses=DENIED, openapi_extra=_form(InboundForm, REPLIES))
    async def inbound(request: Request) -> Response:
        """A text that somebody sent to a clinic's number; what we answer is sent as a text of its own."""
        form = await account.read(request, INBOUND, InboundForm)
        async with service_of(request).database.begin() as connection:
            conversation_id = await conversations.conversation_with(connection, form.From)
        clinic = account.clinics.get(form.To)
        said = ReplyCame(conversation_id=conversation_id, sid=form.MessageSid, body=form.Body, clinic=clinic)
        await service_of(request).worker.on_message(_message(request, form.MessageSid, said))
        return TwiML(_NO_ANSWER)

    return router


def _message(request: Request, sid: str, data: EventData) -> Message:
    now = service_of(request).clock.now()
    return Message(
        f"twilio-{sid}", data.type, WEBHOOKS, now, now, data, trace.given(request.headers.get("traceparent"))
    )
