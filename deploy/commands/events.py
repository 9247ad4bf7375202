"""Events as files: publish them as a clinic's system does, and write down what each type is."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.commands.terminal import fail, out
from shared.settings import ServiceSettings, read_settings


def publish(
    file: Annotated[Path, typer.Argument(help="one CloudEvent in JSON a line", exists=True, dir_okay=False)],
    kafka: Annotated[
        str | None, typer.Option(envvar="CHAIRTIME_KAFKA", help="host:port; the running `chairtime up` when unset")
    ] = None,
) -> None:
    """Publish events from a file, in the role of a clinic's own system."""
    from confluent_kafka import KafkaException

    from deploy.publish import BadLine, ClinicSystem, read_events

    cluster = read_settings(ServiceSettings, kafka=kafka or _address_of_up()["kafka"]).cluster
    try:
        sent = ClinicSystem(cluster).publish(read_events(file, datetime.now(UTC)))
    except BadLine as error:
        fail(str(error))
    except KafkaException as error:
        fail(f"Kafka at {cluster.servers}: {error.args[0].str()}")
    out.print(f"published {sent} event{'' if sent == 1 else 's'} to {cluster.servers}")


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
        out.print(f"{len(written)} files written to {folder}")
    except NotAdditive as error:
        fail(str(error))


def _address_of_up() -> dict[str, Any]:
    file = Path(os.environ.get("CHAIRTIME_HOME", ".chairtime")) / "up.json"
    try:
        address: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        fail("no Kafka is named (--kafka host:port), and no `chairtime up` runs here")
    return address
