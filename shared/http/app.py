"""A service's FastAPI application: its own routes, the common ones, and every error as problem details."""

import logging
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from shared.http.health import health
from shared.http.operations import operations
from shared.http.problem import Problem, problems
from shared.http.requests import refuse_unknown_query
from shared.http.story import story
from shared.postgres.pool import TROUBLE
from shared.service.service import Service

log = logging.getLogger(__name__)


def create_api(service: Service[Any, Any], *routers: APIRouter) -> FastAPI:
    """The application of a service, which stands in its `state.service`.

    Args:
        routers: the service's own routes; those that every service has are added.
    """
    app = FastAPI(
        title=f"Chairtime {service.name}",
        version="1",
        redoc_url=None,
        dependencies=[Depends(refuse_unknown_query)],
        responses=problems(422),
    )
    app.state.service = service
    for router in (*routers, story, operations, health):
        app.include_router(router)

    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> Response:
        return problem.response()

    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        return Problem(error.status_code, "http", str(error.detail)).response()

    async def on_database_trouble(request: Request, error: Exception) -> Response:
        log.warning("no answer: %s", type(error).__name__, extra={"service": service.name})
        return Problem(503, "unavailable", "the database does not answer; try again").response()

    for kind in TROUBLE:
        app.add_exception_handler(kind, on_database_trouble)

    @app.exception_handler(Exception)  # the server logs it
    async def on_defect(request: Request, error: Exception) -> Response:
        return Problem(500, "defect", "this failed by a defect of ours; nothing has changed").response()

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        faults = [f"{'.'.join(str(s) for s in fault['loc'])}: {fault['type']}" for fault in error.errors()]
        missing_key = any(f.endswith("Idempotency-Key: missing") for f in faults)
        return Problem(400 if missing_key else 422, "invalid", "; ".join(faults[:8])).response()

    return app
