"""What comes with a request: its query, its body, and its idempotency key, with which it becomes a message.

Routes read their bodies by `read_body`, not as parameters that FastAPI reads. FastAPI (0.165) would parse a body before
it asks for the key; take only what is called JSON, and of that also UTF-16; answer what is no JSON with 422 or another
400, each of its own kind; and its `max_body_size` answers and hangs up at once, so that a plain client, which reads
nothing before it has sent all, finds its connection reset instead of the 413. Models of the contract pass over unknown
fields on Kafka: pydantic closes them and all their parts for one reading (`extra="forbid"`), without copies of them.
"""

import hashlib
from typing import Annotated, Any, Final, TypeVar

from fastapi import Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.contract.register import EventData
from shared.decision import trace
from shared.decision.message import Message
from shared.http.callers import service_of
from shared.http.problem import Problem
from shared.kafka.envelope import explain
from shared.worker.service_rules import HTTP, Answer
from shared.worker.worker import HeldBack, InFlight, PayloadConflict

MAX_BODY: Final = 1024 * 1024
"""Bytes of a request's body."""

READ_ON: Final = 16
"""Up to how many times its limit a body that is too large is read, so that its sender comes to read the answer."""

IdempotencyKey = Annotated[
    str, Header(alias="Idempotency-Key", min_length=1, max_length=64, examples=["1f6c1a9e-5d0c-4c4e-9a55-2a1d3cf5e6b7"])
]
Body = TypeVar("Body", bound=BaseModel)


async def refuse_unknown_query(request: Request) -> None:
    """Refuse a query parameter that the route does not declare: a filter with a typing error would show everything.

    A dependency of every route.

    Raises:
        RequestValidationError: with the parameters, as of a model that forbids extra fields.
    """
    declared = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    if unknown := sorted(request.query_params.keys() - declared):
        raise RequestValidationError([{"type": "extra_forbidden", "loc": ("query", name)} for name in unknown])


async def read_body(request: Request, model: type[Body], **path: Any) -> Body:
    """A request's JSON as a model; unknown fields are refused, `path` gives fields that stand in the URL.

    Raises:
        Problem: 400 no JSON, 413 too large, 422 with the fields.
    """
    return parse_body(await receive(request), model, **path)


async def receive(request: Request, kind: str = "body", limit: int = MAX_BODY) -> bytes:
    """A request's body.

    Args:
        kind: what the limit is of, for people.
        limit: in bytes.

    Raises:
        Problem: 413 too large.
    """
    received, length = bytearray(), 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= limit:
            received += chunk
        elif length > READ_ON * limit:
            break
    if length > limit:
        raise Problem(413, "too_large", f"a {kind} has at most {limit} bytes")
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
    """A body for the OpenAPI document (`openapi_extra`), since routes read bodies themselves.

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
