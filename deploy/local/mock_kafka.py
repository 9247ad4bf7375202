"""A Kafka inside this process: librdkafka's mock cluster, for `chairtime up` and the demo.

It speaks enough of the protocol for aiokafka, FastStream and librdkafka: produce, fetch, consumer groups, commits. What
it is not (each tried, librdkafka 2.16):

* Nothing is on disk; the messages end with the process.
* A partition keeps its newest 5 MiB (520 messages of 10 kB). Older batches are dropped without a sign and the log's
  start moves up. A consumer that stood before it goes on by its `auto_offset_reset`: "earliest" at the new start.
* One member a group: when a second joins, the first keeps half of the partitions and nobody gets the others.
* The first join of a group takes 3 seconds, a join after its member left 9; no setting changes it.
* No admin calls, they time out. A topic comes into being by a metadata request that allows it, with four partitions.
* A record keeps its producer's timestamp; the one in a producer's acknowledgement is always 1234.

Tests of delivery need a real Kafka.
"""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException, Producer

PARTITIONS = 4  # librdkafka's default for new topics; no setting changes it


class MockKafka:
    """The mock cluster of one process: one broker on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.address = ""  # host:port while it runs
        self._cluster: Producer | None = None

    def start(self) -> str:
        """Starts the broker (milliseconds) and returns `127.0.0.1:port`."""
        # The producer is never used as one: the cluster belongs to it. Its notice "Mock cluster enabled" is level 5.
        self._cluster = Producer({"bootstrap.servers": "replaced", "test.mock.num.brokers": 1, "log_level": 0})
        broker = next(iter(self._cluster.list_topics(timeout=10).brokers.values()))
        self.address = f"{broker.host}:{broker.port}"
        return self.address

    def create_topics(self, names: Iterable[str]) -> None:
        """Makes the topics that are not there yet, each with `PARTITIONS` partitions.

        Raises:
            KafkaException: the cluster refused one.
        """
        assert self._cluster is not None, "start() comes first"
        for name in names:
            topic = self._cluster.list_topics(name, timeout=10).topics[name]
            if topic.error is not None:
                raise KafkaException(topic.error)

    def stop(self) -> None:
        """Ends the broker and forgets every message; no effect when it does not run."""
        self.address = ""
        self._cluster = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
