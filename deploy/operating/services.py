"""The three services over HTTP, as an operator with an API key meets them."""

import asyncio
import json
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from uuid import uuid4

import aiohttp
from dotenv import dotenv_values

SECONDS: Final = 60
"""How long an answer may take: many letters are retried one after the other."""


class ServiceName(StrEnum):
    """One of the three."""

    BOOKING = "booking"
    BILLING = "billing"
    REMINDERS = "reminders"


PORTS: Final = {ServiceName.BOOKING: "8001", ServiceName.BILLING: "8002", ServiceName.REMINDERS: "8003"}
"""Where docker-compose.yml publishes them, unless .env says otherwise."""


class Unreachable(Exception):
    """A service does not answer, or cannot work now; the text says where, and what to do."""


class NotAllowed(Exception):
    """The API key is missing, unknown, or has not the role; the text says which."""


class ServiceRefused(Exception):
    """A service says no, for a reason that trying again does not change."""

    def __init__(self, service: str, status: int, code: str, detail: str) -> None:
        super().__init__(f"{service}: {code}: {detail}")
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services are, and the key that opens them."""

    urls: dict[ServiceName, str]
    key: str | None


def running_up() -> dict[str, Any] | None:
    """What the `chairtime up` that runs here has written down; None where none runs."""
    file = Path(os.environ.get("CHAIRTIME_HOME", ".chairtime")) / "up.json"
    try:
        address: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return address


def choice(name: str, default: str, folder: Path = Path()) -> str:
    """What somebody has chosen in compose's .env."""
    return dotenv_values(folder / ".env").get(name) or default


def addresses(key: str | None = None) -> Addresses:
    """The services of CHAIRTIME_BOOKING_URL, _BILLING_URL and _REMINDERS_URL, else of `chairtime up`, else of compose.

    Args:
        key: an API key; that of `chairtime up` when left out.
    """
    up = running_up() or {}
    urls = {
        name: os.environ.get(_variable(name))
        or up.get(name)
        or f"http://127.0.0.1:{choice(f'{name.upper()}_PORT', port)}"
        for name, port in PORTS.items()
    }
    return Addresses({name: url.rstrip("/") for name, url in urls.items()}, key or up.get("api_key"))


def _variable(service: ServiceName) -> str:
    return f"CHAIRTIME_{service.upper()}_URL"


class Services:
    """A session with all three."""

    def __init__(self, where: Addresses) -> None:
        self._where = where

    async def __aenter__(self) -> Self:
        key = self._where.key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(SECONDS, connect=5))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def get(self, service: ServiceName, path: str, **query: str | int) -> Any:
        """What a service shows.

        Raises:
            Unreachable, NotAllowed, ServiceRefused: it does not.
        """
        return await self._ask("GET", service, path, params=query)

    async def post(self, service: ServiceName, path: str, body: dict[str, Any]) -> Any:
        """What a service answers when something is asked of it, as a request of its own.

        Raises:
            Unreachable, NotAllowed, ServiceRefused: it does not do it.
        """
        return await self._ask("POST", service, path, json=body, headers={"Idempotency-Key": str(uuid4())})

    async def trouble(self, service: ServiceName) -> str | None:
        """Why a service cannot work right now, or None.

        Raises:
            Unreachable: it does not answer.
        """
        url = self._where.urls[service]
        try:
            async with self._http.get(f"{url}/health/ready") as answer:
                return None if answer.ok else (await answer.text()).strip() or f"it answers {answer.status}"
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._unreachable(service, error) from None

    def _unreachable(self, service: ServiceName, error: Exception) -> Unreachable:
        return Unreachable(
            f"{service} does not answer at {self._where.urls[service]} ({type(error).__name__}):"
            f" start it, or name its address in {_variable(service)}"
        )

    async def _ask(self, method: str, service: ServiceName, path: str, **more: Any) -> Any:
        url = self._where.urls[service]
        try:
            async with self._http.request(method, url + path, **more) as answer:
                if answer.ok:
                    return await answer.json(content_type=None)
                problem = _problem(await answer.text())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._unreachable(service, error) from None
        code, detail = problem.get("title", str(answer.status)), problem.get("detail", "it gives no reason")
        if answer.status == 401:
            reason = "does not know this API key" if self._where.key else "needs an API key"
            raise NotAllowed(f"{service} {reason}: --key or CHAIRTIME_API_KEY, one with the role operator")
        if answer.status == 403:
            raise NotAllowed(f"{service} does not let this API key do it: {detail}")
        if answer.status == 503:
            raise Unreachable(f"{service} cannot work now: {detail}")
        raise ServiceRefused(service, answer.status, code, detail)


class LetterAddress(NamedTuple):
    """A letter or a matter of a service: `booking/7`."""

    service: ServiceName
    id: str


async def everywhere(key: str | None, service: ServiceName | None, path: str, **query: str) -> list[dict[str, Any]]:
    """The rows that one or all services list, each with its service."""
    wanted = tuple(ServiceName) if service is None else (service,)
    async with Services(addresses(key)) as services:
        found = await asyncio.gather(*(services.get(name, path, **query) for name in wanted))
    return [
        {"service": str(name), **row, "aggregate": without_phone(row["aggregate"])}
        for name, rows in zip(wanted, found, strict=True)
        for row in rows
    ]


def without_phone(aggregate: str | None) -> str | None:
    """What a letter or matter is about; of a conversation not the number that it is known by."""
    return None if aggregate is None else re.sub(r"^(phone|stop):.*", r"\1", aggregate)


def _problem(text: str) -> dict[str, Any]:
    try:
        problem = json.loads(text)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
