"""A connection to a node of Kafka that says it when the connection is gone, on uvloop too."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


class NodeConnection(AIOKafkaConnection):  # type: ignore[misc]
    """aiokafka counts on an OSError, or on silence, where it writes to a connection that has just been lost.

    uvloop raises RuntimeError there. Nobody expects that: the task that was writing ends, and a client whose metadata
    nobody reads any more waits for ever, without a word, once it has lost its group's coordinator.
    """

    async def connect(self) -> Any:
        with self._told():
            return await super().connect()

    def send(self, request: Any, expect_response: bool = True) -> Any:
        with self._told():
            return super().send(request, expect_response)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as gone:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self._host}:{self._port} broken: {gone}") from gone
