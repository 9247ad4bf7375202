"""What we use of Kafka's Python libraries beyond what they promise, so that a new version may move it.

Each part says what would make it unnecessary. It was tried with the versions in `TRIED_WITH`. With others
`tests/shared/kafka/test_library_insides.py` fails until somebody has looked at each part, and written them here.
Importing this room makes every client of aiokafka connect by `NodeConnection`.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from operator import methodcaller
from typing import Any, Final

import aiokafka.conn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import CorruptRecordException, KafkaConnectionError, UnsupportedCodecError
from confluent_kafka import Message
from faststream.kafka.message import KafkaAckableMessage

TRIED_WITH: Final[Mapping[str, str]] = {
    "aiokafka": "0.14.0",
    "confluent-kafka": "2.16.1",
    "faststream": "0.7.8",
    "uvloop": "0.23.0",
}

LOG: Final = logging.getLogger(__name__)
"""FastStream's log: a logger of its own would write to stdout, past our format."""

UNPARSED: Final = (ValueError, CorruptRecordException, UnsupportedCodecError)
"""What aiokafka's parser raises on a record batch that it cannot take, also where a header's name is not UTF-8.

The consumer has then gone beyond what it had fetched of other partitions, and raises again wherever it is sent back to.
Unnecessary once it can step over such a record, or give it as bytes: https://github.com/aio-libs/aiokafka/issues/321.
"""

_headers: Final = methodcaller("headers")


def headers_of(message: Message) -> tuple[tuple[str, Any], ...] | None:
    """The headers of a message that librdkafka has read; None where the name of one is not UTF-8.

    On such a name confluent-kafka gives a value and leaves an exception behind. The interpreter tells of that by a
    SystemError, but where it has made the call faster, after some calls from one place in the code, only later and
    somewhere else, or not before it crashes. `methodcaller` calls from C, where each result is looked at.
    Unnecessary once `Message.headers` raises as it should, or can give names as bytes; there is no issue of it that we
    know.
    """
    try:
        return tuple(_headers(message) or ())
    except (SystemError, ValueError):
        return None


class NodeConnection(AIOKafkaConnection):  # type: ignore[misc]
    """A connection to a node of Kafka that raises KafkaConnectionError when it has just been lost, on uvloop too.

    aiokafka counts on an OSError, or on silence, where it writes to such a connection, but uvloop raises RuntimeError.
    Nobody expects that: the task that was writing ends, and a client whose metadata nobody reads any more waits for
    ever once it has lost its group's coordinator.
    Unnecessary once aiokafka expects it: https://github.com/aio-libs/aiokafka/issues/1038.
    """

    async def connect(self) -> Any:
        with self._as_connection_error():
            return await super().connect()

    def send(self, request: Any, expect_response: bool = True) -> Any:
        with self._as_connection_error():
            return super().send(request, expect_response)

    @contextmanager
    def _as_connection_error(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as gone:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self._host}:{self._port} broken: {gone}") from gone


aiokafka.conn.AIOKafkaConnection = NodeConnection  # its clients take the class from there, and no setting names another


async def learn_topics(client: AIOKafkaConsumer, topics: Iterable[str]) -> None:
    """Let a client know topics to which it has not subscribed: else it knows no partitions of theirs, and tries three
    times for a first answer about their offsets.

    Unnecessary once `partitions_for_topic` asks the broker for a topic that it does not know, as kafka-python's does
    (https://github.com/dpkp/kafka-python/pull/1781); aiokafka has no issue of it that we know.
    """
    await client._client.set_topics(list(topics))


def ended_inside(consumer: AIOKafkaConsumer, offsets: AIOKafkaConsumer, producer: AIOKafkaProducer) -> str | None:
    """Which of aiokafka's own tasks has ended that must run as long as its client, or None.

    Args:
        consumer: of a group, started; with partitions that were assigned or subscribed.
        offsets: a client of no group that is asked for offsets, started.
        producer: started.

    Unnecessary once clients tell whether they still work: https://github.com/aio-libs/aiokafka/issues/1154 and its pull
    request 1156, both closed.
    """
    inside = {
        "a client's metadata": [one._sync_task for one in (consumer._client, offsets._client, producer.client)],
        "the consumer's fetching": [consumer._fetcher._fetch_task],
        "the group's coordination": [consumer._coordinator._coordination_task],
        "the producer's sending": [producer._sender.sender_task],
    }
    return next(
        (what for what, tasks in inside.items() if any(task is not None and task.done() for task in tasks)), None
    )


def consume_loop_ended(subscriber: Any) -> bool:
    """Whether FastStream's loop over a subscriber's batches has ended, though nobody has stopped it.

    Unnecessary once the broker's `ping` tells it, which only asks Kafka; there is no issue of it that we know.
    """
    return any(task.done() for task in subscriber.tasks)


def poll_by(subscriber: Any, next_batch: Callable[[AIOKafkaConsumer], Awaitable[tuple[Any, ...]]]) -> None:
    """Let FastStream's loop get a subscriber's batches from `next_batch`. It calls it again when a batch has been
    handled, or at once after an empty one; 5 seconds after a KafkaError.

    Its own sleeps after an empty poll for as long as it has just waited, and leaves nobody a place between two batches.
    Unnecessary once a subscriber can be given its poll; there is no issue of it that we know.
    """
    subscriber.get_msg = next_batch


class RawBatches:
    """FastStream's parser and decoder for batches of raw records, and the consumer by which its message acknowledges.

    Its own parser decodes headers, and raises where one is not UTF-8: https://github.com/ag2ai/faststream/issues/2458.
    Its message commits offsets with each batch: there is no setting, and no issue of it that we know, for seldom.

    Args:
        handled: called when a batch has had its effect.
        seek: sends the consumer back to an offset of a partition of a batch that failed.
    """

    def __init__(self, handled: Callable[[], None], seek: Callable[[TopicPartition, int], None]) -> None:
        self._handled = handled
        self._seek = seek

    async def parse(self, records: Any) -> KafkaAckableMessage:
        return KafkaAckableMessage(body=b"", raw_message=records, consumer=self)

    async def decode(self, message: Any) -> Any:
        return message.raw_message

    async def commit(self) -> None:
        """After the batch has had its effect."""
        self._handled()

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """After the batch has failed."""
        self._seek(partition, offset)
