"""Sends texts by Twilio's SDK.

Twilio takes no idempotency key. So each way in which a call can end is told apart: what was proven not to have been
sent may be tried again, what nobody can know must not be.
"""

import logging
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, ConnectionTimeoutError
from twilio.auth_strategy.auth_strategy import AuthStrategy
from twilio.auth_strategy.auth_type import AuthType
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.credential.credential_provider import CredentialProvider
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from services.reminders.text.provider import (
    Accepted,
    Barred,
    Found,
    Outcome,
    OutgoingText,
    ProviderRefused,
    Sought,
    Unknown,
    Unsent,
)

log = logging.getLogger(__name__)

STATUS: Final = "/webhooks/twilio/status"
"""Path of the route to which Twilio tells what became of a text."""

RETRIED: Final = frozenset({20429, 21611, 30001, 30003, 30008, 30022})
"""Refusals that pass: the queue is full, the line is busy. Source: Twilio's error dictionary."""

OF_NUMBER: Final = frozenset({21212, 21603, 21606, 21659, 21660})
"""Refusals of a clinic's number: it is not valid, or not of this account. Source: Twilio's error dictionary."""

OF_ACCOUNT: Final = frozenset({20003, 20005, 20006, 20008, 20403, 30002, 90010})
"""Refusals of the account: its token, its rights, or it is suspended. Source: Twilio's error dictionary."""

OF_MESSAGES: Final = range(21000, 22000)
"""Refusals of what was asked for, by HTTP 403 too. Source: Twilio's error dictionary."""

NEAR: Final = timedelta(minutes=10)
"""A message of the list that was made this long before or after an attempt may be it: clocks differ, calls hang."""

LISTED: Final = 50
"""Messages between two numbers that are looked at, the newest first."""

LONGEST_VALIDITY: Final = timedelta(hours=10)
"""The provider's queue holds nothing longer. Source: Twilio's Messages API, ValidityPeriod 1 to 36000 s."""


class TwilioSender:
    """Sends by Twilio's SDK.

    Args:
        numbers: the sender's number, E.164, of each clinic.
        url: another address than Twilio's own, for tests against a stand-in.
        public_url: where Twilio reaches this service; without it no status comes back.
        limits: how long a connection and a whole call may take.
    """

    traceable = True

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        numbers: Mapping[str, str],
        url: str | None = None,
        public_url: str | None = None,
        limits: ClientTimeout | None = None,
    ) -> None:
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._numbers = numbers
        self._url = url
        self._public_url = public_url.rstrip("/") if public_url else None
        self._limits = limits or ClientTimeout(total=30, connect=10)
        self._http: AsyncTwilioHttpClient | None = None
        self._client: Client | None = None

    async def send(self, text: OutgoingText) -> Outcome:
        valid_for = max(1, int(min(text.valid_for, LONGEST_VALIDITY).total_seconds()))
        callback: dict[str, str] = {}
        if self._public_url:
            callback["status_callback"] = f"{self._public_url}{STATUS}?attempt={text.attempt_id}"
        try:
            message = await self._connected().messages.create_async(
                to=text.to,
                from_=self._numbers[text.clinic],
                body=text.body,
                validity_period=valid_for,
                **callback,
            )
        except (TwilioRestException, TwilioServiceException) as refusal:
            return outcome_from_answer(int(refusal.status), refusal.code)
        except (ClientConnectorError, ConnectionTimeoutError) as error:  # no connection, so not a byte went out
            return Unsent(type(error).__name__)
        except (ClientError, OSError, ValueError) as error:  # OSError: time-outs too; ValueError: the answer is no JSON
            return Unknown(type(error).__name__)
        return Accepted(message.sid) if message.sid else Unknown("no_sid")

    async def find(self, sought: Sought) -> Sequence[Found]:
        try:
            messages = await self._connected().messages.list_async(
                to=sought.to, from_=self._numbers[sought.clinic], limit=LISTED, page_size=LISTED
            )
        except (TwilioRestException, TwilioServiceException, ClientError, OSError, ValueError) as trouble:
            log.warning("the provider's list cannot be had: %s", type(trouble).__name__)
            return ()
        return [
            Found(message.sid, str(message.status), str(message.error_code) if message.error_code else None)
            for message in messages
            if message.sid
            and message.body == sought.body
            and message.date_created is not None
            and abs(message.date_created - sought.attempted_at) <= NEAR
        ]

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
        self._http = self._client = None

    def _connected(self) -> Client:
        """The SDK's client; made late, because its connections belong to the running loop."""
        if self._client is None:
            self._http = AsyncTwilioHttpClient(pool_connections=False, logger=_SILENT)
            self._http.session = _Session(self._limits)
            self._client = Client(
                account_sid=self._account_sid,
                credential_provider=_Credentials(self._account_sid, self._auth_token),
                http_client=self._http,
            )
            if self._url:
                self._client.api.base_url = self._url
        return self._client


def outcome_from_answer(status: int, code: int | None) -> Outcome:
    """What an HTTP status and the provider's own code prove about a message."""
    if status == 429 or code in RETRIED:
        return Unsent(str(code or status))
    if code in OF_NUMBER:
        return Barred(str(code), number=True)
    if code in OF_ACCOUNT or (status in range(401, 500) and code not in OF_MESSAGES):  # 400 alone is about a message
        return Barred(str(code or status))
    if 400 <= status < 500:
        return ProviderRefused(str(code or status))
    return Unknown(str(code or status))


_SILENT: Final = logging.getLogger("twilio.silent")
"""The SDK logs addresses and answers, which hold numbers and bodies."""
_SILENT.disabled = True


class _Session:
    """The SDK's HTTP session with limits: the SDK asks for no time-out at all and has no way to set one."""

    def __init__(self, limits: ClientTimeout) -> None:
        self._session = ClientSession()
        self._limits = limits

    async def request(self, **asked: Any) -> Any:
        return await self._session.request(**asked | {"timeout": self._limits})

    async def close(self) -> None:
        await self._session.close()


class _Credentials(CredentialProvider, AuthStrategy):  # type: ignore[misc]
    """Account and token as a header: the SDK's own way uses a part of aiohttp that is deprecated."""

    def __init__(self, account_sid: str, auth_token: str) -> None:
        super().__init__(AuthType.BASIC)
        self._header = "Basic " + b64encode(f"{account_sid}:{auth_token}".encode()).decode()

    def to_auth_strategy(self) -> AuthStrategy:
        return self

    def get_auth_string(self) -> str:
        return self._header

    def requires_authentication(self) -> bool:
        return True
