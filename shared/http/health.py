"""The routes that need no key: health, metrics, and the document of what the service hears and tells on Kafka."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from shared.http import asyncapi
from shared.http.callers import service_of

health = APIRouter()
JSON, HTML = "application/json", "text/html"


@health.get("/health/live", tags=["health"])
async def live(request: Request) -> Response:
    """200 while this process does its work; 503 with the reason when it must be restarted."""
    trouble = service_of(request).trouble()
    return PlainTextResponse(trouble or "ok\n", 503 if trouble else 200)


@health.get("/health/ready", tags=["health"])
async def ready(request: Request) -> Response:
    """200 while PostgreSQL and Kafka answer."""
    trouble = await service_of(request).unready()
    return PlainTextResponse(trouble or "ok\n", 503 if trouble else 200)


@health.get("/metrics", tags=["health"])
async def prometheus(request: Request) -> Response:
    """Prometheus' text format."""
    return Response(await service_of(request).metrics(), media_type=CONTENT_TYPE_LATEST)


@health.get("/asyncapi", tags=["events"], response_class=Response, responses={200: {"content": {JSON: {}, HTML: {}}}})
async def events(request: Request) -> Response:
    """What the service hears and tells on Kafka, as AsyncAPI 3.0; to a browser as a page that loads nothing."""
    service = service_of(request)
    content = asyncapi.document(service.name, service.listens)
    if HTML in request.headers.get("Accept", ""):
        shut = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Response(asyncapi.page(content), media_type=HTML, headers=shut)
    return JSONResponse(content)
