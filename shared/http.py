"""HTTP as all three services speak it: API keys, problem details and request bodies.

Errors are RFC 9457 problem details. They name the field, never the value.
"""

import hashlib
import hmac
import logging
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from fastapi import Header, Request, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared import trace
from shared.batch import HTTP, Answer
from shared.contract import EventData
from shared.envelope import Message, explain
from shared.settings import Misconfigured
from shared.worker import HeldBack, InFlight, PayloadConflict

if TYPE_CHECKING:
    from shared.service import Service

log = logging.getLogger(__name__)

MAX_BODY: Final = 1024 * 1024
"""Bytes of a request's body."""

MAX_READ: Final = 16 * MAX_BODY
"""Bytes that are read of a body that is too large, so that its sender comes to read the answer."""

PROBLEM_JSON: Final = "application/problem+json"


class Problem(Exception):
    """An error as RFC 9457 has it. `code` is stable, `detail` is for people, both without personal data."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"type": f"urn:chairtime:{code}", "title": code, "status": status, "detail": detail} | more

    def response(self) -> JSONResponse:
        """The answer that the caller gets."""
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else None
        return JSONResponse(self.body, self.status, headers, media_type=PROBLEM_JSON)


def problems(*statuses: int, **more: Mapping[str, Any]) -> dict[int | str, dict[str, Any]]:
    """What can go wrong on a route, for the OpenAPI document (`responses`).

    Args:
        more: JSON Schemas of the members that a problem here may have besides the usual ones.
    """
    schema = {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string", "description": "a stable code"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "for people; names fields, never values"},
            **more,
        },
    }
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {PROBLEM_JSON: {"schema": schema}}}
        for status in statuses
    }


# Who calls -----------------------------------------------------------------------------------------------------------


class Role(StrEnum):
    """What a key's owner may do."""

    FRONT_DESK = "front_desk"
    TILL = "till"
    BILLER = "biller"
    OPERATOR = "operator"


class ApiKey(BaseModel):
    """One key in the file of keys: its SHA-256 in hexadecimal, never itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    roles: tuple[Role, ...]


class ApiKeys:
    """The keys that open this service, read again whenever their file changes: a key taken out is shut at once."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._read_at = -1
        self._keys: tuple[ApiKey, ...] = ()
        self._refresh()

    def owner(self, token: str) -> ApiKey | None:
        """The key that a token is, compared in constant time."""
        self._refresh()
        digest = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _refresh(self) -> None:
        if self._file is None:
            return
        try:
            changed_at = self._file.stat().st_mtime_ns
            if changed_at != self._read_at:
                document = tomllib.loads(self._file.read_text())
                self._keys = tuple(ApiKey.model_validate(key) for key in document.get("keys", ()))
                self._read_at = changed_at
        except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
            raise Misconfigured(f"CHAIRTIME_API_KEYS: {type(error).__name__} in {self._file}") from None


def service_of(request: Request) -> "Service[Any, Any]":
    """The service that a request came to."""
    service: Service[Any, Any] = request.app.state.service
    return service


_bearer = HTTPBearer(auto_error=False, description="An API key")


class caller:
    """A dependency that lets in keys with one of the roles and gives their name."""

    def __init__(self, *roles: Role) -> None:
        self._roles = frozenset(roles)

    async def __call__(
        self, request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None
    ) -> str:
        key = service_of(request).keys.owner(given.credentials) if given else None
        if key is None:
            raise Problem(401, "unauthorized", "an API key is needed: Authorization: Bearer <key>")
        if self._roles.isdisjoint(key.roles):
            raise Problem(403, "forbidden", f"this needs one of the roles {', '.join(sorted(self._roles))}")
        return key.name


# What they ask -------------------------------------------------------------------------------------------------------

IdempotencyKey = Annotated[
    str, Header(alias="Idempotency-Key", min_length=1, max_length=64, examples=["1f6c1a9e-5d0c-4c4e-9a55-2a1d3cf5e6b7"])
]
Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, model: type[Body], **path: Any) -> Body:
    """A request's JSON as a model; unknown fields are refused, `path` gives fields that stand in the URL.

    Raises:
        Problem: 400 no JSON, 413 too large, 422 with the fields.
    """
    return parse_body(await receive(request), model, **path)


async def receive(request: Request) -> bytes:
    """A request's body.

    Raises:
        Problem: 413 too large.
    """
    received, length = bytearray(), 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= MAX_BODY:
            received += chunk
        elif length > MAX_READ:
            break
    if length > MAX_BODY:
        raise Problem(413, "too_large", f"a body has at most {MAX_BODY} bytes")
    return bytes(received)


def parse_body(received: bytes, model: type[Body], **path: Any) -> Body:
    """A body as a model, as `read_body` reads it.

    Raises:
        Problem: 400 no JSON, 422 with the fields.
    """
    try:
        if not path:
            return model.model_validate_json(received, extra="forbid")
        fields = _Object.model_validate_json(received or b"{}").model_extra or {}
        if clash := sorted(set(fields) & set(path)):
            raise Problem(422, "invalid", f"{', '.join(clash)}: stands in the URL")
        return model.model_validate(fields | path, extra="forbid")
    except ValidationError as error:
        code, detail = explain(error)
        raise Problem(400 if code == "not_json" else 422, code, detail) from None


def body_schema(model: type[BaseModel], *in_path: str, **examples: Any) -> dict[str, Any]:
    """A body for the OpenAPI document (`openapi_extra`), since routes read it themselves to refuse unknown fields.

    Args:
        in_path: fields that stand in the URL.
        examples: bodies as JSON, by a name for each.
    """
    whole = model.model_json_schema()
    definitions = whole.pop("$defs", {})

    def inlined(part: Any) -> Any:
        if isinstance(part, list):
            return [inlined(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return inlined(definitions[part["$ref"].rpartition("/")[2]])
        closed = {"additionalProperties": False} if part.get("type") == "object" and "properties" in part else {}
        return {name: inlined(value) for name, value in part.items()} | closed

    schema = inlined(whole)
    schema["properties"] = {name: field for name, field in schema["properties"].items() if name not in in_path}
    schema["required"] = [name for name in schema.get("required", ()) if name not in in_path]
    content: dict[str, Any] = {"schema": schema}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


class _Object(BaseModel):
    model_config = ConfigDict(extra="allow")


def request_id(request: Request, caller: str, key: str) -> str:
    """The id of the message that a request becomes: the same for the same caller, route and idempotency key."""
    route = f"{request.method} {request.url.path}"
    return "http-" + hashlib.sha256("\x00".join((caller, route, key)).encode()).hexdigest()[:48]


async def submit(request: Request, caller: str, key: str, data: EventData) -> Answer:
    """Take a request through the service's rules; the same caller, route and key get the same answer.

    Raises:
        Problem: 409 the course waits for an operator, or the same key is being worked on, 422 it came before with
            another body.
    """
    service = service_of(request)
    now = service.clock.now()
    message = Message(
        id=request_id(request, caller, key),
        type=data.type,
        source=HTTP,
        time=now,
        arrived_at=now,
        data=data,
        traceparent=trace.given(request.headers.get("traceparent")),
    )
    try:
        return await service.worker.submit(message)
    except HeldBack:
        raise Problem(409, "course_blocked", "an operator must settle a dead letter of this course first") from None
    except InFlight:
        raise Problem(409, "in_flight", "a request with this Idempotency-Key is being worked on; try again") from None
    except PayloadConflict:
        raise Problem(422, "idempotency_key_reused", "this Idempotency-Key came before with another body") from None
