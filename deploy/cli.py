"""`chairtime`: the command line."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from deploy.server_process import CannotStart
from shared import logs
from shared.settings import EX_CONFIG, Misconfigured, ServiceSettings, read_settings

EX_FAILED: Final = 1

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Clinic chair time in which booking, prepayment and texts cannot disagree.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 69 cannot start, 78 a setting or profile is wrong.",
)
console = Console(highlight=False, soft_wrap=True)


@app.command()
def up() -> None:
    """Run all services in this process until Ctrl-C, with a PostgreSQL and a Kafka of their own.

    CHAIRTIME_HOME moves the folder for data and log (.chairtime). CHAIRTIME_KAFKA=host:port takes a real Kafka.
    CHAIRTIME_CLOCK=stepped makes the clock stand still until POST <booking>/ops/clock {"to": instant}; the next start
    goes on where it stood. CHAIRTIME_PROFILES is the folder of the clinics' profiles (those shipped).
    CHAIRTIME_BOOKING_PORT, _BILLING_PORT and _REMINDERS_PORT choose ports; free ones are taken otherwise.

    Exit codes: 0 ended by Ctrl-C, 1 a part of it has ended by itself, 69 Kafka, PostgreSQL, a port or the folder cannot
    be had, 78 a setting or profile is wrong.
    """
    _run(_up)


@app.command()
def demo() -> None:
    """Play one whole course, from the request to the last text, and exit 0 when nothing is left over."""
    from deploy.demo import play

    logs.configure("ERROR", os.devnull)
    sys.exit(_run(lambda: play(console, os.environ.get("CHAIRTIME_KAFKA"))))


@app.command()
def publish(
    file: Annotated[Path, typer.Argument(help="one CloudEvent in JSON a line", exists=True, dir_okay=False)],
    kafka: Annotated[
        str | None, typer.Option(envvar="CHAIRTIME_KAFKA", help="host:port; the running `chairtime up` when unset")
    ] = None,
) -> None:
    """Publish events from a file, in the role of a clinic's own system."""
    from confluent_kafka import KafkaException

    from deploy.publish import BadLine, ClinicSystem, read_events

    servers = read_settings(ServiceSettings, kafka=kafka or _address_of_up()["kafka"]).kafka
    try:
        sent = ClinicSystem(servers).publish(read_events(file, datetime.now(UTC)))
    except BadLine as error:
        _fail(str(error), EX_FAILED)
    except KafkaException as error:
        _fail(f"Kafka at {servers}: {error.args[0].str()}", EX_FAILED)
    console.print(f"published {sent} event{'' if sent == 1 else 's'} to {servers}")


@app.command()
def migrate(
    admin: Annotated[
        str, typer.Option(envvar="CHAIRTIME_ADMIN_DATABASE", help="URL of a superuser of the PostgreSQL server")
    ],
) -> None:
    """Create the three databases and roles where they are missing, and bring each to its newest revision.

    The roles' passwords are read from CHAIRTIME_BOOKING_PASSWORD, _BILLING_PASSWORD and _REMINDERS_PASSWORD.
    """
    from sqlalchemy.exc import DBAPIError

    from deploy.databases import SERVICES, provision

    names = {service: f"CHAIRTIME_{service.upper()}_PASSWORD" for service in SERVICES}
    if missing := [name for name in names.values() if not os.environ.get(name)]:
        _fail(f"{missing[0]}: is not set", EX_CONFIG)
    try:
        provision(admin, {service: os.environ[name] for service, name in names.items()})
    except (DBAPIError, OSError) as error:
        _fail(f"CHAIRTIME_ADMIN_DATABASE: {type(error).__name__}: no such server, role or database", EX_FAILED)
    console.print(f"{', '.join(SERVICES)}: at the newest revision")


@app.command()
def topics() -> None:
    """Create the Kafka topics that are missing, with their partitions and retention (CHAIRTIME_KAFKA)."""
    from aiokafka.errors import KafkaError

    from shared.topics import TOPICS, create_topics

    servers = read_settings(ServiceSettings).kafka
    try:
        made = asyncio.run(create_topics(servers))
    except (KafkaError, OSError) as error:
        _fail(f"CHAIRTIME_KAFKA={servers}: {type(error).__name__}", EX_FAILED)
    console.print(f"{len(made)} topics made, {len(TOPICS) - len(made)} were there")


@app.command("export-schemas")
def export_schemas(
    folder: Annotated[Path, typer.Argument(help="where schemas/, events.md and states.md lie")] = Path("docs"),
) -> None:
    """Write the JSON Schema of every event type, and the pages of all events and of a session's states, from the code.

    Nothing is written when a change is not additive: that needs a new type.
    """
    from deploy import states_page
    from deploy.schemas import NotAdditive, export

    try:
        written = [*export(folder), folder / "states.md"]
        written[-1].write_text(states_page.page())
        console.print(f"{len(written)} files written to {folder}")
    except NotAdditive as error:
        _fail(str(error), EX_FAILED)


@app.command()
def setup() -> None:
    """`topics` and `migrate` in one: what must be there before the services start. Safe to call again."""
    topics()
    migrate(os.environ.get("CHAIRTIME_ADMIN_DATABASE") or _fail("CHAIRTIME_ADMIN_DATABASE: is not set", EX_CONFIG))


@app.command()
def check() -> None:
    """Read every clinic's profile and say what is wrong with the first that is."""
    from deploy.embedded import check_profiles

    console.print(f"all profiles in {check_profiles()} are in order")


def main() -> None:
    """The entry point. Every expected failure is one line on stderr."""
    try:
        app()
    except Misconfigured as error:
        _fail(str(error), EX_CONFIG)
    except CannotStart as error:
        _fail(str(error), os.EX_UNAVAILABLE)


async def _up() -> int:
    from deploy.embedded import Embedded, common_settings

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
        show=lambda text: console.print(
            f"[text {text.kind} for {text.clinic}] {text.body}", style="magenta", markup=False
        ),
    )
    try:
        starting = asyncio.ensure_future(embedded.start())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return 0
        address = starting.result()
        console.print(f"kafka      {address.kafka}")
        for name in ("booking", "billing", "reminders"):
            console.print(f"{name:<10} {getattr(address, name)}")
        console.print(f"all of it, with the API key, is in {home / 'up.json'}; the log is {home / 'chairtime.log'}")
        console.print("Ctrl-C ends it")
        await stop.wait()
        failed = any(service.trouble() for service in embedded.services.values())
        return EX_FAILED if failed else 0
    finally:
        await embedded.stop()


def _run(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    code = asyncio.run(work())
    if code:
        sys.exit(code)
    return code


def _address_of_up() -> dict[str, Any]:
    file = Path(os.environ.get("CHAIRTIME_HOME", ".chairtime")) / "up.json"
    try:
        address: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        _fail("no Kafka is named (--kafka host:port), and no `chairtime up` runs here", EX_FAILED)
    return address


def _fail(line: str, code: int) -> Any:
    sys.stderr.write(f"{line}\n")
    sys.exit(code)
