"""HTTP as all three services speak it: API keys, problem details, request bodies, and the routes that all have.

Errors are RFC 9457 problem details. They name the field, never the value.
"""

import hashlib
import hmac
import logging
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from shared import attention, dead_letters
from shared.contract import EventData, Line
from shared.envelope import Message, Unreadable, explain
from shared.settings import Misconfigured
from shared.worker import HTTP, Answer, HeldBack, PayloadConflict

if TYPE_CHECKING:
    from shared.service import Service

log = logging.getLogger(__name__)

MAX_BODY: Final = 1024 * 1024
"""Bytes of a request's body."""


class Problem(Exception):
    """An error as RFC 9457 has it. `code` is stable, `detail` is for people, both without personal data."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"type": f"urn:chairtime:{code}", "title": code, "status": status, "detail": detail} | more

    def response(self) -> JSONResponse:
        """The answer that the caller gets."""
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else None
        return JSONResponse(self.body, self.status, headers, media_type="application/problem+json")


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


class caller:
    """A dependency that lets in keys with one of the roles and gives their name."""

    def __init__(self, *roles: Role) -> None:
        self._roles = frozenset(roles)

    def __call__(self, request: Request, authorization: Annotated[str, Header()] = "") -> str:
        scheme, _, token = authorization.partition(" ")
        key = service_of(request).keys.owner(token) if scheme.lower() == "bearer" and token else None
        if key is None:
            raise Problem(401, "unauthorized", "an API key is needed: Authorization: Bearer <key>")
        if self._roles.isdisjoint(key.roles):
            raise Problem(403, "forbidden", f"this needs one of the roles {', '.join(sorted(self._roles))}")
        return key.name


# What they ask -------------------------------------------------------------------------------------------------------

IdempotencyKey = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=64)]
Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, model: type[Body], **path: Any) -> Body:
    """A request's JSON as a model; unknown fields are refused, `path` gives fields that stand in the URL.

    Raises:
        Problem: 400 no JSON, 413 too large, 422 with the fields.
    """
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY:
            raise Problem(413, "too_large", f"a body has at most {MAX_BODY} bytes")
    try:
        parsed = model.model_validate_json(bytes(received), extra="forbid") if not path else None
        if parsed is not None:
            return parsed
        fields = _Object.model_validate_json(bytes(received) or b"{}").model_extra or {}
        if clash := sorted(set(fields) & set(path)):
            raise Problem(422, "invalid", f"{', '.join(clash)}: stands in the URL")
        return model.model_validate_json(_Object(**fields, **path).model_dump_json(), extra="forbid")
    except ValidationError as error:
        code, detail = explain(error)
        raise Problem(400 if code == "not_json" else 422, code, detail) from None


def body_schema(model: type[BaseModel], *in_path: str) -> dict[str, Any]:
    """A body for the OpenAPI document (`openapi_extra`), since routes read it themselves to refuse unknown fields.

    Args:
        in_path: fields that stand in the URL.
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
        return {name: inlined(value) for name, value in part.items()}

    schema = inlined(whole)
    schema["properties"] = {name: field for name, field in schema["properties"].items() if name not in in_path}
    schema["required"] = [name for name in schema.get("required", ()) if name not in in_path]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


class _Object(BaseModel):
    model_config = ConfigDict(extra="allow")


async def submit(request: Request, caller: str, key: str, data: EventData) -> Answer:
    """Take a request through the service's rules; the same caller, route and key get the same answer.

    Raises:
        Problem: 409 the course waits for an operator, 422 the key came before with another body.
    """
    service = service_of(request)
    route = f"{request.method} {request.url.path}"
    now = service.clock.now()
    message = Message(
        id="http-" + hashlib.sha256("\x00".join((caller, route, key)).encode()).hexdigest()[:48],
        type=data.type,
        source=HTTP,
        time=now,
        arrived_at=now,
        data=data,
        traceparent=request.headers.get("traceparent"),
    )
    try:
        return await service.worker.submit(message)
    except HeldBack:
        raise Problem(409, "course_blocked", "an operator must settle a dead letter of this course first") from None
    except PayloadConflict:
        raise Problem(422, "idempotency_key_reused", "this Idempotency-Key came before with another body") from None


# The routes that all have --------------------------------------------------------------------------------------------

common = APIRouter()
Operator = Annotated[str, Depends(caller(Role.OPERATOR))]


class Resolution(BaseModel):
    """What a person did about it, in a line without personal data."""

    reason: Line


@common.get("/health/live", tags=["health"])
async def live(request: Request) -> Response:
    """200 while this process does its work; 503 with the reason when it must be restarted."""
    trouble = service_of(request).trouble()
    return PlainTextResponse(trouble or "ok\n", 503 if trouble else 200)


@common.get("/health/ready", tags=["health"])
async def ready(request: Request) -> Response:
    """200 while PostgreSQL and Kafka answer."""
    trouble = await service_of(request).unready()
    return PlainTextResponse(trouble or "ok\n", 503 if trouble else 200)


@common.get("/metrics", tags=["health"])
async def prometheus(request: Request) -> Response:
    """Prometheus' text format."""
    await service_of(request).gauge()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@common.get("/ops/dead-letters", tags=["operations"])
async def list_dead_letters(request: Request, by: Operator) -> list[dict[str, Any]]:
    """Messages without effect that wait for an operator."""
    async with service_of(request).database.begin() as connection:
        return await dead_letters.open_rows(connection)


@common.post("/ops/dead-letters/{id}/retry", tags=["operations"])
async def retry_dead_letter(request: Request, id: int, by: Operator) -> dict[str, int]:
    """Put a message, and all that waits behind it, through the rules again, in order."""
    try:
        return {"retried": await service_of(request).worker.retry(id, by)}
    except LookupError:
        raise Problem(404, "not_found", "there is no such open dead letter") from None
    except DBAPIError:
        raise
    except (Unreadable, Exception) as error:
        log.exception("a retry failed", extra={"service": service_of(request).name})
        raise Problem(409, "still_failing", f"it failed again: {type(error).__name__}; nothing has changed") from None


@common.post("/ops/dead-letters/{id}/discard", tags=["operations"])
async def discard_dead_letter(request: Request, id: int, by: Operator) -> dict[str, int]:
    """Drop one message for good, with a reason; what waits behind it goes on when the last defect is gone."""
    resolution = await read_body(request, Resolution)
    try:
        return {"discarded": 1, "released": await service_of(request).worker.discard(id, by, resolution.reason)}
    except LookupError:
        raise Problem(404, "not_found", "there is no such open dead letter") from None


@common.get("/ops/attention", tags=["operations"])
async def list_attention(request: Request, by: Operator) -> list[dict[str, Any]]:
    """What software must not decide."""
    async with service_of(request).database.begin() as connection:
        return await attention.open_rows(connection)


@common.post("/ops/attention/{id}/resolve", tags=["operations"])
async def resolve_attention(request: Request, id: UUID, by: Operator) -> dict[str, str]:
    """Say what was done about it."""
    service = service_of(request)
    resolution = await read_body(request, Resolution)
    async with service.database.begin() as connection:
        if not await attention.resolve(connection, id, by, resolution.reason, service.clock.now()):
            raise Problem(404, "not_found", "there is no such open matter")
    return {"status": "resolved"}


def create_api(service: "Service[Any, Any]", *routers: APIRouter) -> FastAPI:
    """The service's application: its own routes, the common ones, and every error as problem details."""
    app = FastAPI(title=f"Chairtime {service.name}", version="1", redoc_url=None)
    app.state.service = service
    for router in (*routers, common):
        app.include_router(router)

    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> Response:
        return problem.response()

    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        return Problem(error.status_code, "http", str(error.detail)).response()

    @app.exception_handler(DBAPIError)
    async def on_database_trouble(request: Request, error: DBAPIError) -> Response:
        log.warning("no answer: %s", type(error).__name__, extra={"service": service.name})
        return Problem(503, "unavailable", "the database does not answer; try again").response()

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        faults = [f"{'.'.join(str(s) for s in fault['loc'])}: {fault['type']}" for fault in error.errors()]
        missing_key = any(f.endswith("Idempotency-Key: missing") for f in faults)
        return Problem(400 if missing_key else 422, "invalid", "; ".join(faults[:8])).response()

    return app
