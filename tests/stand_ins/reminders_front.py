"""Reminders' HTTP for tests: the real app beside the rig, on the same database, clock and sender."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx2
from fastapi import FastAPI

from deploy.local.fake_twilio import ACCOUNT_SID, AUTH_TOKEN, signature
from services.reminders.main import build
from services.reminders.settings import RemindersSettings
from shared.configuration.settings import read_settings
from shared.postgres.query import rows
from tests.facts.course import COURSE, PATIENT, PHONE
from tests.stand_ins.callers import key_of, keys_file
from tests.stand_ins.reminders_rig import Rig, open_rig
from tests.stand_ins.reminders_story import PROFILES
from tests.stand_ins.twilio import inbound

PUBLIC = "https://texts.example"
INBOUND, STATUS = "/webhooks/twilio/inbound", "/webhooks/twilio/status"
TEXTS, CONSENT = f"/v1/texts?course_id={COURSE}", f"/v1/contacts/{PATIENT}/consent"
NUMBERS = {name: f"+1555010000{n}" for n, name in enumerate(("albany", "stabilization", "stella", "sturges"))}


def sid(number: int) -> str:
    """The provider's id of a text that came."""
    return f"SM{number:032x}"


def what_came(body: str = "C", of: str = sid(1)) -> dict[str, str]:
    """What Twilio tells of a text that came."""
    return inbound(of, PHONE, NUMBERS["stella"], body)


class Front:
    """Everybody who calls reminders: the desk, and Twilio."""

    def __init__(self, rig: Rig, app: FastAPI, client: httpx2.AsyncClient) -> None:
        self.rig = rig
        self.app = app
        self.client = client
        self._came = 0

    async def get(self, path: str, role: str = "front_desk", **query: Any) -> httpx2.Response:
        """Look."""
        headers = {"Authorization": f"Bearer {key_of(role)}"}
        return await self.client.get(path, params=query or None, headers=headers)

    async def post(
        self, path: str, body: Any = None, key: str | None = None, role: str = "front_desk"
    ) -> httpx2.Response:
        """Ask, as somebody new unless there is a key."""
        headers = {"Authorization": f"Bearer {key_of(role)}", "Idempotency-Key": key or str(uuid4())}
        return await self.client.post(path, json=body, headers=headers)

    async def webhook(
        self, path: str, form: dict[str, str], query: str = "", signed: str | None = None, **headers: str
    ) -> httpx2.Response:
        """A webhook as Twilio sends it; `signed` is another signature than the right one."""
        url = f"{path}?{query}" if query else path
        told = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signature(f"{PUBLIC}{url}", form) if signed is None else signed,
        }
        return await self.client.post(url, content=urlencode(form), headers=told | headers)

    async def write(self, body: str, phone: str = PHONE, clinic: str = "stella") -> httpx2.Response:
        """Somebody writes to a clinic."""
        self._came += 1
        form = inbound(sid(self._came), phone, NUMBERS[clinic], body)
        return await self.webhook(INBOUND, form)

    async def texted(self) -> tuple[str, str]:
        """Somebody has had a text; its SID and its attempt."""
        await self.rig.planned()
        await self.send()
        (text,) = self.rig.sender.texts
        return f"SM{text.attempt_id.hex}", f"attempt={text.attempt_id}"

    async def send(self) -> list[str]:
        """Send what is due now; returns the kinds of all that was sent so far."""
        await self.rig.send()
        return [text.kind.value for text in self.rig.sender.texts]

    async def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """What stands in the database."""
        async with self.rig.database.begin() as connection:
            return [dict(row) for row in await rows(connection, sql, **parameters)]

    async def told(self, *types: str) -> list[dict[str, Any]]:
        """The data of the events of these types that stand in the outbox."""
        wanted = {f"reminders.{type}.v1" for type in types}
        return [data for type, data in await self.rig.told() if type in wanted]


@asynccontextmanager
async def open_front(url: str, folder: Path, **given: Any) -> AsyncIterator[Front]:
    """The app on an empty database. `given` are settings."""
    twilio = {
        "twilio_account_sid": ACCOUNT_SID,
        "twilio_auth_token": AUTH_TOKEN,
        "twilio_numbers": NUMBERS,
        "public_url": PUBLIC,
    }
    common = {"kafka": "127.0.0.1:1", "reminders_database": url, "profiles": PROFILES, "api_keys": keys_file(folder)}
    settings = read_settings(RemindersSettings, **common | twilio | given)
    async with open_rig(url) as rig:
        app = build(settings, rig.clock, rig.sender)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://reminders") as client:
            yield Front(rig, app, client)
        await app.state.service.stop()
