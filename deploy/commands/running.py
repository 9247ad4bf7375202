"""`chairtime up` and `chairtime demo`: all of Chairtime in this process."""

import asyncio
import os
import signal
from pathlib import Path

from deploy.commands.terminal import Exit, out, run
from shared.configuration.settings import Misconfigured
from shared.instruments import logs


def up() -> None:
    """Run all services in this process until Ctrl-C, with a PostgreSQL and a Kafka of their own.

    CHAIRTIME_HOME moves the folder for data and log (.chairtime). CHAIRTIME_KAFKA=host:port takes a real Kafka.
    CHAIRTIME_CLOCK=stepped makes the clock stand still until POST <booking>/ops/clock {"to": instant}; the next start
    goes on where it stood. CHAIRTIME_PROFILES is the folder of the clinics' profiles (those shipped).
    CHAIRTIME_BOOKING_PORT, _BILLING_PORT and _REMINDERS_PORT choose ports; free ones are taken otherwise.

    Exit codes: 0 ended by Ctrl-C, 1 a part of it has ended by itself, 69 Kafka, PostgreSQL, a port or the folder cannot
    be had, 78 a setting or profile is wrong, or another release made the folder's databases.
    """
    run(_up)


def demo() -> None:
    """Play one whole course, from the request to the last text, and exit 0 when nothing is left over."""
    from deploy.local.demo import play

    logs.configure("ERROR", os.devnull)
    run(lambda: play(out, os.environ.get("CHAIRTIME_KAFKA")))


async def _up() -> int:
    from deploy.local.embedded import Embedded, common_settings

    home = Path(os.environ.get("CHAIRTIME_HOME", ".chairtime"))
    clock = os.environ.get("CHAIRTIME_CLOCK", "wall")
    if clock not in ("wall", "stepped"):
        raise Misconfigured("CHAIRTIME_CLOCK: must be wall or stepped")
    kafka = os.environ.get("CHAIRTIME_KAFKA")
    try:
        logs.configure(common_settings(kafka).log_level, str(home / "chairtime.log"))
    except OSError as error:
        raise Misconfigured(f"CHAIRTIME_HOME: {home}: {error.strerror}") from None
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    embedded = Embedded(
        home,
        kafka=kafka,
        stepped=clock == "stepped",
        show=lambda text: out.print(f"[text {text.kind} for {text.clinic}] {text.body}", style="magenta", markup=False),
    )
    try:
        starting = asyncio.ensure_future(embedded.start())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return Exit.DONE
        address = starting.result()
        out.print(f"kafka      {address.kafka}")
        for name in ("booking", "billing", "reminders"):
            out.print(f"{name:<10} {getattr(address, name)}")
        out.print(f"all of it, with the API key, is in {home / 'up.json'}; the log is {home / 'chairtime.log'}")
        out.print("Ctrl-C ends it")
        await stop.wait()
        failed = any(service.trouble() for service in embedded.services.values())
        return Exit.FAILED if failed else Exit.DONE
    finally:
        await embedded.stop()
