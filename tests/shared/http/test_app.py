"""What holds for every route of every service: no database is needed, since it is decided before one is asked."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from fastapi import FastAPI

from services.billing import main as billing
from services.billing.settings import BillingSettings
from services.booking import main as booking
from services.booking.settings import BookingSettings
from services.reminders import main as reminders
from services.reminders.settings import RemindersSettings
from shared.configuration.settings import read_settings
from shared.decision.clock import WallClock
from tests.stand_ins.callers import keys_file
from tests.stand_ins.clinics import CLINICS
from tests.stand_ins.openapi import operations

BUILDS: Final[dict[str, tuple[Callable[..., FastAPI], type[Any]]]] = {
    "booking": (booking.build, BookingSettings),
    "billing": (billing.build, BillingSettings),
    "reminders": (reminders.build, RemindersSettings),
}
AWAY: Final = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture(params=BUILDS)
async def app(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FastAPI]:
    """Each service in turn; neither Kafka nor PostgreSQL is there."""
    build, settings = BUILDS[request.param]
    given = {"kafka": "127.0.0.1:1", f"{request.param}_database": AWAY, "profiles": CLINICS}
    app = build(read_settings(settings, api_keys=keys_file(tmp_path), **given), WallClock())
    yield app
    await app.state.service.stop()


def declared(app: FastAPI) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Method and path of each documented route, and its query parameters with an example of each."""
    for name, operation in operations(app.openapi(), "/"):
        method, path = name.split()
        query = {}
        for parameter in operation.get("parameters", ()):
            example = parameter["schema"].get("examples", ["open"])[0]
            path = path.replace(f"{{{parameter['name']}}}", str(example))
            if parameter["in"] == "query":
                query[parameter["name"]] = example
        yield method, path, query


async def test_a_query_parameter_that_a_route_does_not_declare_is_refused_by_name(app: FastAPI) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://service") as client:
        routes = list(declared(app))
        assert len(routes) > 15
        for method, path, query in routes:
            answer = await client.request(method, path, params=query | {"limt": "Robin", "Day": "Robin"})
            assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), path
            assert answer.json()["title"] == "invalid"
            assert answer.json()["detail"] == "query.Day: extra_forbidden; query.limt: extra_forbidden", path


async def test_a_query_parameter_that_a_route_declares_is_let_through_to_its_key(app: FastAPI) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://service") as client:
        asked = [(method, path, query) for method, path, query in declared(app) if query]
        assert asked
        for method, path, query in asked:
            answer = await client.request(method, path, params=query)
            assert answer.status_code == (415 if path.startswith("/webhooks/") else 401), (path, answer.text)


async def test_every_route_says_that_it_refuses_what_is_invalid_as_a_problem(app: FastAPI) -> None:
    for name, operation in operations(app.openapi(), "/"):
        assert list(operation["responses"]["422"]["content"]) == ["application/problem+json"], name
