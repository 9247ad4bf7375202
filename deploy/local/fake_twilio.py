"""A stand-in for Twilio: its Messages API, its signed callbacks, and every way in which it can fail.

It takes what the real SDK sends and is checked against Twilio's own description (`tests/contracts/twilio`).

As a process of its own (`python -m deploy.local.fake_twilio`) it delivers every text at once and shows them all at `/`;
the account is CHAIRTIME_TWILIO_ACCOUNT_SID, its token a variable or file as for reminders. For trials and tests alone.
"""

import asyncio
import base64
import json
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession, web
from pydantic import SecretStr
from twilio.request_validator import RequestValidator

from shared.configuration.settings import Misconfigured, ServiceSettings, read_settings

ACCOUNT_SID: Final = "AC" + "0" * 32
AUTH_TOKEN: Final = "an auth token of a test"

PORT: Final = 8009


class Mood(StrEnum):
    """What the stand-in does with a message."""

    ACCEPT = "accept"
    OPTED_OUT = "opted_out"
    """400 with code 21610."""
    UNAUTHORIZED = "unauthorized"
    """401 with code 20003: the token is another by now."""
    SUSPENDED = "suspended"
    """403 with code 20005: the account is not active."""
    FOREIGN_NUMBER = "foreign_number"
    """400 with code 21606: the sender's number is not of this account."""
    BUSY = "busy"
    """429."""
    HANG = "hang"
    """Takes the message and never answers."""
    RESET = "reset"
    """Takes the message and cuts the connection."""
    ERROR = "error"
    """Takes the message and answers 500."""
    CUT = "cut"
    """Takes the message and answers 201 with half of the JSON."""


_REFUSALS: Final = {
    Mood.UNAUTHORIZED: (401, 20003, "Authenticate"),
    Mood.SUSPENDED: (403, 20005, "Account not active"),
    Mood.FOREIGN_NUMBER: (400, 21606, "The 'From' phone number is not a valid number of this account"),
    Mood.BUSY: (429, 20429, "Too Many Requests"),
    Mood.OPTED_OUT: (400, 21610, "Attempt to send to unsubscribed recipient"),
}


class FakeTwilio:
    """Twilio for one account.

    Attributes:
        mood: what happens to the next messages.
        lag: so many of the newest messages are not in the list yet.
        taken: the form of every message that it took, whatever it answered.
        messages: what it has, by SID, as it tells it.
        calls: how many messages it was asked to send.

    Args:
        account_sid: the account's, and its token.
        host: address to listen on, and the port; 0 takes a free one.
        first: number of the first message; its SID is made of it.
    """

    def __init__(
        self,
        account_sid: str = ACCOUNT_SID,
        auth_token: str = AUTH_TOKEN,
        host: str = "127.0.0.1",
        port: int = 0,
        first: int = 1,
    ) -> None:
        self.mood = Mood.ACCEPT
        self.lag = 0
        self.taken: list[dict[str, str]] = []
        self.messages: dict[str, dict[str, Any]] = {}
        self.calls = 0
        self.url = ""
        self._callbacks: dict[str, str] = {}
        self._end = asyncio.Event()
        self._account_sid, self._auth_token = account_sid, auth_token
        self._listens = (host, port)
        self._first = first
        self._path = f"/2010-04-01/Accounts/{account_sid}/Messages"
        app = web.Application(middlewares=[self._authorized])
        app.router.add_post(f"{self._path}.json", self._create)
        app.router.add_get(f"{self._path}.json", self._list)
        app.router.add_get(self._path + "/{sid}.json", self._fetch)
        app.router.add_get(f"/2010-04-01/Accounts/{account_sid}.json", self._account)
        app.router.add_get("/", self._show)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, *self._listens)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        await self._runner.cleanup()

    # The API ----------------------------------------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.calls += 1
        if (refusal := _REFUSALS.get(self.mood)) is not None:
            return _refused(*refusal)
        if (fault := _fault_of(form)) is not None:
            return _refused(400, *fault)
        self.taken.append(form)
        message = self._keep(form)
        match self.mood:
            case Mood.HANG:
                await self._end.wait()
            case Mood.RESET:
                assert request.transport is not None
                request.transport.abort()
            case Mood.ERROR:
                return _refused(500, 20500, "Internal Server Error")
            case Mood.CUT:
                whole = json.dumps(message)
                return web.Response(status=201, text=whole[: len(whole) // 2], content_type="application/json")
        return web.json_response(message, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        known = list(self.messages.values())
        shown = known[: len(known) - self.lag][::-1]
        for name in ("To", "From"):
            if wanted := request.query.get(name):
                shown = [message for message in shown if message[name.lower()] == wanted]
        size = min(max(int(request.query.get("PageSize", 50)), 1), 1000)
        page = max(int(request.query.get("Page", 0)), 0)
        part = shown[page * size : (page + 1) * size]
        more = len(shown) > (page + 1) * size
        uri = f"{self._path}.json?PageSize={size}"
        return web.json_response(
            {
                "messages": part,
                "page": page,
                "page_size": size,
                "start": page * size,
                "end": page * size + max(len(part) - 1, 0),
                "uri": f"{uri}&Page={page}",
                "first_page_uri": f"{uri}&Page=0",
                "next_page_uri": f"{uri}&Page={page + 1}" if more else None,
                "previous_page_uri": f"{uri}&Page={page - 1}" if page else None,
            }
        )

    async def _fetch(self, request: web.Request) -> web.Response:
        message = self.messages.get(request.match_info["sid"])
        return web.json_response(message) if message else _refused(404, 20404, "The requested resource was not found")

    async def _account(self, request: web.Request) -> web.Response:
        return web.json_response({"sid": self._account_sid, "status": "active", "type": "Full"})

    async def _show(self, request: web.Request) -> web.Response:
        """What people would have on their phones, the newest last."""
        shown = [{name: m[name] for name in ("sid", "to", "from", "body", "status")} for m in self.messages.values()]
        return web.json_response(shown)

    def _keep(self, form: dict[str, str]) -> dict[str, Any]:
        sid = f"SM{self._first + len(self.taken) - 1:032x}"
        now = format_datetime(datetime.now(UTC))
        body = form.get("Body", "")
        message: dict[str, Any] = {
            "sid": sid, "account_sid": self._account_sid, "api_version": "2010-04-01", "body": body,
            "from": form.get("From"), "to": form["To"], "status": "queued", "direction": "outbound-api",
            "num_segments": "1", "num_media": "0", "messaging_service_sid": form.get("MessagingServiceSid"),
            "error_code": None, "error_message": None, "price": None, "price_unit": "USD", "date_sent": None,
            "date_created": now, "date_updated": now,
            "uri": f"{self._path}/{sid}.json", "subresource_uris": {"media": f"{self._path}/{sid}/Media.json"},
        }  # fmt: skip
        self.messages[sid] = message
        self._callbacks[sid] = form.get("StatusCallback", "")
        return message

    # Callbacks --------------------------------------------------------------------------------------------------------

    async def report(self, sid: str, *statuses: str) -> None:
        """Tell what becomes of a message, one status after the other; it keeps the last."""
        message = self.messages[sid]
        message["status"] = statuses[-1]
        for status in statuses:
            form = {
                "AccountSid": self._account_sid, "ApiVersion": "2010-04-01", "From": message["from"],
                "To": message["to"], "MessageSid": sid, "MessageStatus": status, "SmsSid": sid, "SmsStatus": status,
            }  # fmt: skip
            await post(self._callbacks[sid], form, self._auth_token)

    @web.middleware
    async def _authorized(self, request: web.Request, handler: Any) -> web.StreamResponse:
        wanted = "Basic " + base64.b64encode(f"{self._account_sid}:{self._auth_token}".encode()).decode()
        if request.path != "/" and request.headers.get("Authorization") != wanted:
            return _refused(401, 20003, "Authenticate")
        answer: web.StreamResponse = await handler(request)
        return answer


def signature(url: str, form: dict[str, str], token: str = AUTH_TOKEN) -> str:
    """X-Twilio-Signature."""
    return str(RequestValidator(token).compute_signature(url, form))


async def post(url: str, form: dict[str, str], token: str = AUTH_TOKEN, signed: str | None = None) -> int:
    """A signed webhook; returns the status of the answer."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": signature(url, form, token) if signed is None else signed,
    }
    async with ClientSession() as session, session.post(url, data=urlencode(form), headers=headers) as answer:
        return answer.status


def _fault_of(form: dict[str, str]) -> tuple[int, str] | None:
    if not re.fullmatch(r"\+[1-9]\d{6,14}", form.get("To", "")):
        return 21211, "Invalid 'To' Phone Number"
    if not form.get("From") and not form.get("MessagingServiceSid"):
        return 21603, "A 'From' phone number is required"
    if not any(form.get(name) for name in ("Body", "MediaUrl", "ContentSid")):
        return 21602, "Message body is required"
    validity = form.get("ValidityPeriod", "14400")
    if not (validity.isdecimal() and 1 <= int(validity) <= 36000):
        return 21627, "ValidityPeriod is not in range 1 to 36000"
    return None


def _refused(status: int, code: int, message: str) -> web.Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return web.json_response({"code": code, "message": message, "more_info": more, "status": status}, status=status)


class _Settings(ServiceSettings):
    kafka: str = ""
    twilio_account_sid: str = ACCOUNT_SID
    twilio_auth_token: SecretStr = SecretStr(AUTH_TOKEN)


async def _main() -> None:
    settings = read_settings(_Settings)
    token = settings.twilio_auth_token.get_secret_value()
    first = int(datetime.now(UTC).timestamp()) << 20  # another one's messages have other SIDs
    async with FakeTwilio(settings.twilio_account_sid, token, settings.host, PORT, first) as twilio:
        while True:
            for sid in [sid for sid, message in twilio.messages.items() if message["status"] == "queued"]:
                with suppress(ClientError):
                    await twilio.report(sid, "sent", "delivered")
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except Misconfigured as error:
        sys.exit(str(error))
