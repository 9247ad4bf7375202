"""Events: published as a clinic's system does it, how far they have been read, and what each type is, as files."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from deploy.commands.terminal import Exit, Json, Key, counted, err, fail, out, print_json, print_table
from deploy.operating.kafka_account import account_in
from deploy.operating.services import (
    NotAllowed,
    ServiceName,
    ServiceRefused,
    Services,
    Unreachable,
    addresses,
    running_up,
)
from shared.configuration.settings import ServiceSettings, read_settings
from shared.kafka.cluster import Cluster

KafkaServers = Annotated[
    str | None, typer.Option(envvar="CHAIRTIME_KAFKA", help="host:port; the running `chairtime up` when unset")
]


def publish(
    file: Annotated[Path, typer.Argument(help="one CloudEvent in JSON a line", exists=True, dir_okay=False)],
    kafka: KafkaServers = None,
    json: Json = False,
) -> None:
    """Publish events from a file, in the role of a clinic's own system.

    Every line is read before the first is sent: of a file with a mistake nothing is published. Where nothing is named
    and no `chairtime up` runs, it is compose's Kafka, with the account `clinic` of secrets/; elsewhere the account is
    CHAIRTIME_KAFKA_USER with CHAIRTIME_KAFKA_PASSWORD, where Kafka asks for one.
    """
    from deploy.operating.kafka_account import admin
    from deploy.operating.publish import BadLine, ClinicSystem, read_events

    cluster = cluster_of(kafka, "clinic")
    try:
        events = read_events(file, datetime.now(UTC))
    except BadLine as error:
        fail(str(error))
    admin(cluster)  # or a broker that is away would be waited for
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("publishing", total=len(events))
        sent = ClinicSystem(cluster).publish(events, lambda: progress.advance(task))
    if json:
        return print_json({"published": sent, "kafka": cluster.servers})
    return out.print(f"published {counted(sent, 'event')} to {cluster.servers}")


def lag(
    service: Annotated[ServiceName | None, typer.Option(help="of one service alone")] = None,
    partitions: Annotated[bool, typer.Option("--partitions", help="a line a partition instead of a topic")] = False,
    kafka: KafkaServers = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Show how far each service has read its topics.

    `lag` is what Kafka knows: the group's offset, committed twice a second, against the end. `behind` is what the
    service itself says, effects included; it stays empty where the service does not tell (it is down, or there is no
    API key). At compose's Kafka each group is looked at with the account of its service in secrets/, since an account
    sees no other's.
    """
    from deploy.operating.lag import lag_of

    wanted = tuple(ServiceName) if service is None else (service,)
    with err.status("asking Kafka ..."):
        found = [row for name in wanted for row in lag_of(cluster_of(kafka, name), name)]
        heard = asyncio.run(_heard(key, wanted))
    rows = [
        {**row._asdict(), "heard": there, "behind": None if there is None else max(row.end - there, 0)}
        for row in found
        for there in (heard.get((row.service, row.topic, row.partition), 0) if row.service in heard else None,)
    ]
    if json:
        return print_json(rows)
    if partitions:
        columns = ("service", "topic", "partition", "committed", "end", "lag", "heard", "behind")
        return print_table(columns, ([row[name] for name in columns] for row in rows))
    return print_table(("service", "topic", "end", "lag", "behind"), _by_topic(rows))


async def _heard(key: str | None, wanted: tuple[ServiceName, ...]) -> dict[Any, int]:
    """How far services have come, by service, topic and partition; one that tells is itself a key."""
    heard: dict[Any, int] = {}
    async with Services(addresses(key)) as services:
        for service in wanted:
            try:
                places = await services.get(service, "/ops/heard")
            except (Unreachable, NotAllowed, ServiceRefused) as reason:
                err.print(str(reason), markup=False)
                continue
            heard[service] = 0
            heard |= {(service, place["topic"], place["partition"]): place["next_offset"] for place in places}
    return heard


def _by_topic(rows: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    topics: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        topics[row["service"], row["topic"]].append(row)
    return [
        (
            *name,
            sum(row["end"] for row in there),
            sum(row["lag"] for row in there),
            None if there[0]["behind"] is None else sum(row["behind"] for row in there),
        )
        for name, there in topics.items()
    ]


def export_schemas(
    folder: Annotated[Path, typer.Argument(help="where schemas/, events.md and states.md lie")] = Path("docs"),
    json: Json = False,
) -> None:
    """Write the JSON Schema of every event type, and two pages, from the code.

    Nothing is written when a change is not additive: that needs a new type.
    """
    from deploy.reference import states_page
    from deploy.reference.schemas import NotAdditive, export

    try:
        written = [*export(folder), folder / "states.md"]
        written[-1].write_text(states_page.page())
    except NotAdditive as error:
        fail(str(error))
    if json:
        return print_json([str(file) for file in written])
    return out.print(f"{len(written)} files written to {folder}")


def cluster_of(kafka: str | None, account: str) -> Cluster:
    """The Kafka that a command means: the named one, else that of the `chairtime up` that runs here, else compose's.

    Args:
        account: the one to take from the folder secrets/, where Kafka is compose's.
    """
    servers = kafka or (running_up() or {}).get("kafka")
    if servers is not None:
        return read_settings(ServiceSettings, kafka=servers).cluster
    found = account_in(Path("secrets"), account)
    return found or fail(
        "CHAIRTIME_KAFKA: is not set, no `chairtime up` runs here, and there is no folder secrets", Exit.CONFIG
    )
