"""`python -m deploy.local.kafka`: a Kafka node in the foreground, until Ctrl-C."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.kafka.node import HOME, KafkaNode
from deploy.local.server_process import CannotStart


def run(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 9092,
    home: Annotated[Path, typer.Option(help="Where data and log are kept between runs.")] = HOME / "node",
) -> None:
    """Run one Kafka node on this machine, without Docker, until Ctrl-C.

    Needs Java 17; the first time also Maven, which fetches Kafka's jars (44 MB) into .kafka/libs.
    The data stays: remove the home folder to begin with an empty Kafka.
    """
    ended = threading.Event()
    node = KafkaNode(home, port=port)
    typer.echo("Starting Kafka ...")
    try:
        address = node.start()
    except CannotStart as reason:
        typer.echo(f"kafka: {reason}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    typer.echo(f"Kafka answers at {address}  (data and log: {node.home})\nCtrl-C stops it.")
    while node.running and not ended.wait(0.5):
        pass
    if not ended.is_set():
        typer.echo(f"kafka: ended by itself; see {node.log}", err=True)
        raise typer.Exit(1)
    node.stop()
    typer.echo("Kafka stopped.")


if __name__ == "__main__":
    typer.run(run)
