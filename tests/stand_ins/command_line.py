"""Somebody at the command line, in this process: `chairtime` with its arguments, and how it ended."""

import asyncio
import contextlib
import io
import json
import os
from typing import Any, NamedTuple
from unittest.mock import patch

from deploy.cli import main
from tests.journeys.conftest import Journey


class Ran(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its one document."""
        return json.loads(self.out)


class House:
    """A running Chairtime and somebody at its command line."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.databases = {f"CHAIRTIME_{name.upper()}_DATABASE": url for name, url in journey.embedded.urls.items()}

    async def run(self, *arguments: str, **environment: str) -> Ran:
        """One command to its end, beside the services."""
        return await asyncio.to_thread(
            chairtime, *arguments, **{"CHAIRTIME_HOME": str(self.journey.embedded.home)} | environment
        )

    async def doctor(self, *parts: str, **environment: str) -> dict[str, dict[str, Any]]:
        """What the doctor found, by check."""
        ran = await self.run("doctor", "--json", *parts, **self.databases | environment)
        found = {finding["check"]: finding for finding in ran.json["checks"]}
        assert ran.code == (1 if ran.json["failed"] else 0)
        assert all((f["fix"] is None) == (f["state"] == "ok") for f in found.values())
        return found


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def chairtime(*arguments: str, stdin: io.StringIO | None = None, **environment: str) -> Ran:
    """`chairtime` in this process; nobody can be asked, unless `stdin` is a terminal."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CHAIRTIME_")}
    with (
        patch.dict(os.environ, clean | environment, clear=True),
        patch("sys.stdin", stdin or io.StringIO()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())
