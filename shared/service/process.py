"""A service as a process of its own: its HTTP server, its signals, and with which code it ends."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import uvicorn
import uvloop
from aiokafka.errors import KafkaError
from fastapi import FastAPI

from shared.configuration.settings import EX_CONFIG, Misconfigured, ServiceSettings
from shared.instruments import logs
from shared.postgres.pool import TROUBLE
from shared.service.service import Service


class HttpServer(uvicorn.Server):
    """A server that leaves signals to its process, and tells when it listens."""

    def __init__(self, app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(uvicorn.Config(app, host=host, port=port, lifespan="off", log_config=None, access_log=False))
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(build: Callable[[], tuple[FastAPI, ServiceSettings, int]]) -> None:
    """Run a service as a process of its own until SIGTERM or Ctrl-C.

    With the arguments `restored [UNTIL]` it recovers instead from a backup that took its database's place. UNTIL, where
    it is known, is when the lost database was at work for the last time: what fell due later did not happen.

    Exits 78 where a setting or profile is wrong, or the database is not this release's or was set back, 69 where Kafka
    or PostgreSQL is away at the start, 70 where a part of the service has ended by itself; each time with one line, and
    a supervisor may start it again.

    Args:
        build: gives the application, the settings and the port.
    """
    try:
        match sys.argv[1:]:
            case []:
                code = uvloop.run(_serve(build))
            case ["restored", *until] if len(until) <= 1:
                code = uvloop.run(_recover(build, _instant(until[0]) if until else None))
            case _:
                sys.stderr.write("usage: python -m services.<service> [restored [UNTIL]]\n")
                code = os.EX_USAGE
    except Misconfigured as error:
        sys.stderr.write(f"{error}\n")
        code = EX_CONFIG
    except KafkaError:
        sys.stderr.write("CHAIRTIME_KAFKA: no Kafka answers there, or it does not take the account\n")
        code = os.EX_UNAVAILABLE
    except TROUBLE as error:
        sys.stderr.write(f"the database or the port cannot be had: {type(error).__name__}\n")
        code = os.EX_UNAVAILABLE
    sys.exit(code)


def _instant(text: str) -> datetime:
    """An instant that has passed.

    Raises:
        Misconfigured: it is none.
    """
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is not None and instant <= datetime.now(UTC):
            return instant
    except ValueError:
        pass
    raise Misconfigured("UNTIL: is not an instant of the past with its offset, such as 2026-11-28T09:00:00Z")


async def _recover(build: Callable[[], tuple[FastAPI, ServiceSettings, int]], until: datetime | None) -> int:
    app, settings, _ = build()
    logs.configure(settings.log_level)
    service: Service[Any, Any] = app.state.service
    sys.stdout.write(f"{service.name}: {await service.recover(until)}\n")
    return os.EX_OK


def _collect_rarely() -> None:
    """Spare the collector of cycles what a batch makes: its values hold none, and looking through them is dear."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(250_000, 20, 20)  # more than a batch of 1000 leaves alive


async def _serve(build: Callable[[], tuple[FastAPI, ServiceSettings, int]]) -> int:
    app, settings, port = build()
    logs.configure(settings.log_level)
    service: Service[Any, Any] = app.state.service
    server = HttpServer(app, settings.host, port)

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await service.start()
        _collect_rarely()
        await server.serve()
        return os.EX_SOFTWARE if service.trouble() else os.EX_OK
    finally:
        await service.stop()
