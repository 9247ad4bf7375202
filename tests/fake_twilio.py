"""A stand-in for Twilio's Messages API on 127.0.0.1 that can fail in every way that matters to a sender."""

import asyncio
import base64
import json
from enum import StrEnum
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qsl

ACCOUNT_SID: Final = "AC" + "0" * 32
AUTH_TOKEN: Final = "an auth token of a test"


class Mood(StrEnum):
    """What the stand-in does with a message."""

    ACCEPT = "accept"
    OPTED_OUT = "opted_out"
    """400 with code 21610."""
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


class FakeTwilio:
    """`taken` holds the form of every message that it took, whatever it answered; `calls` counts all requests."""

    def __init__(self) -> None:
        self.mood = Mood.ACCEPT
        self.taken: list[dict[str, str]] = []
        self.calls = 0
        self.url = ""
        self._server: asyncio.Server | None = None
        self._end = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._end.set()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            form = dict(parse_qsl((await reader.readexactly(int(headers["content-length"]))).decode()))
            await self._answer(head, form, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, form: dict[str, str], writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        wanted = "Basic " + base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        refusal = None
        if not head.startswith(f"POST /2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json ") or wanted not in head:
            refusal = 401, 20003
        elif self.mood is Mood.BUSY:
            refusal = 429, 20429
        elif self.mood is Mood.OPTED_OUT:
            refusal = 400, 21610
        if refusal:
            status, code = refusal
            _write(writer, status, {"code": code, "message": "refused", "more_info": "", "status": status})
            return
        self.taken.append(form)
        match self.mood:
            case Mood.HANG:
                await self._end.wait()
            case Mood.RESET:
                writer.transport.abort()
            case Mood.ERROR:
                _write(writer, 500, {"code": 20500, "message": "Internal Server Error", "status": 500})
            case Mood.CUT:
                _write(writer, 201, self._message(form), cut=True)
            case _:
                _write(writer, 201, self._message(form))

    def _message(self, form: dict[str, str]) -> dict[str, object]:
        sid = f"SM{len(self.taken):032x}"
        uri = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sid}"
        return {
            "sid": sid, "account_sid": ACCOUNT_SID, "api_version": "2010-04-01", "body": form["Body"],
            "from": form["From"], "to": form["To"], "status": "queued", "direction": "outbound-api",
            "num_segments": "1", "num_media": "0", "messaging_service_sid": None, "error_code": None,
            "error_message": None, "price": None, "price_unit": "USD", "date_sent": None,
            "date_created": "Mon, 02 Mar 2026 16:00:00 +0000", "date_updated": "Mon, 02 Mar 2026 16:00:00 +0000",
            "uri": f"{uri}.json", "subresource_uris": {"media": f"{uri}/Media.json"},
        }  # fmt: skip


def _write(writer: asyncio.StreamWriter, status: int, body: dict[str, object], cut: bool = False) -> None:
    whole = json.dumps(body).encode()
    sent = whole[: len(whole) // 2] if cut else whole
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(sent)}\r\n"
    writer.write(head.encode() + b"Connection: close\r\n\r\n" + sent)
