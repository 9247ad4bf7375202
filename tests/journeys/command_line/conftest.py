"""One Chairtime for all tests of the command line, on the session's Kafka."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.embedded import Embedded
from tests.journeys.conftest import Journey
from tests.stand_ins.command_line import House
from tests.stand_ins.kafka_clients import begin_at_the_end


@pytest.fixture(scope="package")
async def house(kafka: str) -> AsyncIterator[House]:
    """All of it, running, with somebody at its command line; it ends when the last test of this package has."""
    home = Path(tempfile.mkdtemp(prefix="chairtime-"))
    await begin_at_the_end(kafka)
    embedded = Embedded(home, kafka=kafka, stepped=True, show=lambda _: None)
    journey = Journey(embedded, await embedded.start(), [])
    try:
        await journey.start()
        yield House(journey)
    finally:
        await journey.stop()
        await embedded.stop()
        shutil.rmtree(home, ignore_errors=True)
