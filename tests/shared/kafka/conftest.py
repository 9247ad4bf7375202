"""A Kafka in memory with our topics."""

from collections.abc import Iterator

import pytest

from deploy.local.mock_kafka import MockKafka
from shared.kafka.topics import TOPICS


@pytest.fixture
def mock() -> Iterator[MockKafka]:
    """A Kafka with our topics."""
    with MockKafka() as mock:
        mock.create_topics(t.name for t in TOPICS)
        yield mock
