"""What lies beside Kafka and PostgreSQL: services, profiles, Twilio, and the address at which Twilio calls us."""

import asyncio
import ipaddress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from deploy.doctor.finding import Finding, failed, ok, warning
from deploy.operating.services import NotAllowed, ServiceName, ServiceRefused, Services, Unreachable, addresses
from deploy.preparing.profiles import clinics_in, mistakes_in
from services.reminders.sending.twilio import STATUS
from services.reminders.settings import RemindersSettings
from shared.configuration.api_keys import read_keys
from shared.configuration.settings import Misconfigured

SECONDS: Final = 10


def profiles(folder: Path) -> list[Finding]:
    """Whether every clinic's profile can be read."""
    try:
        mistakes = mistakes_in(folder)
    except Misconfigured as mistake:
        mistakes = [str(mistake)]
    if mistakes:
        return [failed("profiles", mistake, "mend that file, then run chairtime check") for mistake in mistakes]
    clinics = clinics_in(folder)
    return [ok("profiles", f"{', '.join(clinic.clinic for clinic in clinics)}: in order")]


def api_keys(file: Path) -> Finding:
    """Whether the file of API keys can be read: services go on with the keys from before where it cannot."""
    try:
        keys = read_keys(file)
    except Misconfigured as mistake:
        return failed("api keys", str(mistake), "mend that file: until then the keys from before stay in force")
    return ok("api keys", f"{len(keys)} keys in {file}")


async def services(key: str | None) -> list[Finding]:
    """Whether each service answers and can work, knows the key, and has nothing that waits for a person."""
    async with Services(addresses(key)) as session:
        return [finding for name in ServiceName for finding in await _service(session, name)]


async def _service(session: Services, name: ServiceName) -> list[Finding]:
    check = f"service {name}"
    try:
        trouble = await session.trouble(name)
    except Unreachable as reason:
        told, _, fix = str(reason).rpartition(": ")
        return [failed(check, told, fix)]
    if trouble is not None:
        return [failed(check, trouble, "look at what it cannot reach below, and at its log")]
    try:
        letters = len(await session.get(name, "/ops/dead-letters"))
        matters = len(await session.get(name, "/ops/attention"))
    except (NotAllowed, ServiceRefused, Unreachable) as reason:
        told, _, fix = str(reason).rpartition(": ")
        return [ok(check, "ready"), warning(f"waiting {name}", told, fix)]
    waiting = f"{letters} dead letters, {matters} matters for a person"
    if letters or matters:
        fix = "chairtime dead-letters list" if letters else "chairtime attention list"
        return [ok(check, "ready"), warning(f"waiting {name}", waiting, fix)]
    return [ok(check, "ready"), ok(f"waiting {name}", waiting)]


async def texting(settings: RemindersSettings, clinics: set[str]) -> list[Finding]:
    """Whether Twilio accepts the account, and reaches us.

    Args:
        clinics: those that are served.
    """
    if settings.sms == "console":
        return [warning("twilio", "texts are shown, not sent", "set CHAIRTIME_SMS=twilio when patients shall get them")]
    try:
        account_sid, token = settings.require_twilio(clinics)
    except Misconfigured as reason:
        return [failed("twilio", str(reason), "set it; chairtime init asks for all of them")]
    assert settings.public_url is not None
    account, webhook = await asyncio.gather(
        asyncio.to_thread(_account, account_sid, token, settings.twilio_url), _webhook(settings.public_url)
    )
    return [account, _address(settings.public_url), webhook]


def _account(account_sid: str, token: str, url: str | None) -> Finding:
    """Read the account: the one harmless thing that needs its token."""
    client = Client(account_sid, token, http_client=TwilioHttpClient(timeout=SECONDS, pool_connections=False))
    if url:
        client.api.base_url = url
    try:
        status = client.api.v2010.accounts(account_sid).fetch().status
    except TwilioRestException as refusal:
        if refusal.status in (401, 403):
            fix = "set CHAIRTIME_TWILIO_ACCOUNT_SID and CHAIRTIME_TWILIO_AUTH_TOKEN as Twilio's console shows them"
            return failed("twilio", "Twilio does not accept the account or its token", fix)
        return failed("twilio", f"Twilio answers {refusal.status}, code {refusal.code}", "look at Twilio's status page")
    except (TwilioException, OSError) as error:
        return failed("twilio", f"Twilio does not answer ({type(error).__name__})", "let this machine reach Twilio")
    if status != "active":
        return failed("twilio", f"the account is {status}", "settle it in Twilio's console")
    return ok("twilio", "the account is active")


def _address(public_url: str) -> Finding:
    check, fix = "webhook address", "set CHAIRTIME_PUBLIC_URL to the https address at which Twilio reaches reminders"
    parts = urlsplit(public_url)
    if parts.scheme != "https":
        return failed(check, "CHAIRTIME_PUBLIC_URL is not https", fix)
    host = parts.hostname or ""
    try:
        public = ipaddress.ip_address(host).is_global
    except ValueError:
        public = "." in host and not host.endswith((".local", ".internal", ".localhost"))
    return ok(check, public_url) if public else failed(check, f"{host} is not a public address", fix)


async def _webhook(public_url: str) -> Finding:
    """Call it as nobody who may: it must be ours, and must not listen."""
    check, url = "webhook", public_url.rstrip("/") + STATUS
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(SECONDS)) as http,
            http.post(url, data={"MessageSid": "SM" + "0" * 32}, allow_redirects=False) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        fix = "lead CHAIRTIME_PUBLIC_URL to reminders (port 8003): no status and no STOP is heard"
        return failed(check, f"{url} does not answer ({type(error).__name__})", fix)
    if status == 403:
        return ok(check, "refuses what is not signed")
    fix = "let the proxy hand /webhooks/twilio/ to reminders, unchanged"
    return failed(check, f"{url} answers {status} to a call that is not signed, not 403", fix)
