"""Errors as RFC 9457 problem details. They name the field, never the value."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi.responses import JSONResponse

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


READ: Final = problems(401, 403, 404, 422, 503)
WRITE: Final = problems(400, 401, 403, 404, 409, 413, 422, 503)
"""What can go wrong on a route that reads, or takes a request with an idempotency key; `title` has a stable code."""
