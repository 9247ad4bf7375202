"""A broker of librdkafka's mock cluster that answers requests with the error codes that a test wants.

Its Python binding has no call for that, so the C library inside its wheel is called: `rdkafka_mock.h` of librdkafka.
"""

import ctypes
from collections.abc import Iterable
from enum import IntEnum
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

BROKER: Final = 1
"""The number of the only one."""

PRODUCER: Final = 0
"""The kind of client to which the mock cluster belongs; it is never used as one."""


class Request(IntEnum):
    """Kafka's numbers of the requests that our services make."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    OFFSET_COMMIT = 8
    FIND_COORDINATOR = 10
    HEARTBEAT = 12
    SYNC_GROUP = 14


class MockBroker:
    """One broker in this process. `address` while it runs."""

    def __init__(self, topics: Iterable[tuple[str, int]]) -> None:
        self._library = _librdkafka()
        self._topics = list(topics)
        self._client: Any = None
        self._cluster: Any = None
        self.address = ""

    def __enter__(self) -> Self:
        lib, reason = self._library, ctypes.create_string_buffer(512)
        settings = lib.rd_kafka_conf_new()
        for name, value in ((b"bootstrap.servers", b"nobody"), (b"log_level", b"0")):
            lib.rd_kafka_conf_set(settings, name, value, reason, len(reason))
        self._client = lib.rd_kafka_new(PRODUCER, settings, reason, len(reason))
        assert self._client, reason.value.decode()
        self._cluster = lib.rd_kafka_mock_cluster_new(self._client, 1)
        lib.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        for name, partitions in self._topics:
            assert not lib.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        self.address = lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

    def refuse(self, request: Request, code: int, times: int) -> None:
        """Answer the next so many requests of a kind, whoever makes them, with an error, and do nothing of them."""
        for _ in range(times):
            pushed = self._library.rd_kafka_mock_broker_push_request_error_rtts(
                self._cluster, BROKER, int(request), ctypes.c_size_t(1), code, 0
            )
            assert not pushed

    async def all_given(self) -> bool:
        """Whether somebody has got each of the refusals."""
        count = ctypes.c_size_t()
        for request in Request:
            self._library.rd_kafka_mock_broker_error_stack_cnt(self._cluster, BROKER, int(request), ctypes.byref(count))
            if count.value:
                return False
        return True


def _librdkafka() -> Any:
    """The library that `confluent_kafka` itself uses."""
    package = find_spec("confluent_kafka")
    assert package is not None
    assert package.origin is not None
    (file,) = Path(package.origin).parents[1].glob("confluent_kafka.libs/librdkafka*")
    library = ctypes.CDLL(str(file))
    handle, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    for name, result, arguments in (
        ("rd_kafka_conf_new", handle, []),
        ("rd_kafka_conf_set", ctypes.c_int, [handle, text, text, text, size]),
        ("rd_kafka_new", handle, [ctypes.c_int, handle, text, size]),
        ("rd_kafka_destroy", None, [handle]),
        ("rd_kafka_mock_cluster_new", handle, [handle, ctypes.c_int]),
        ("rd_kafka_mock_cluster_destroy", None, [handle]),
        ("rd_kafka_mock_cluster_bootstraps", text, [handle]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [handle, ctypes.c_int32]),
        ("rd_kafka_mock_topic_create", ctypes.c_int, [handle, text, ctypes.c_int, ctypes.c_int]),
        (
            "rd_kafka_mock_broker_error_stack_cnt",
            ctypes.c_int,
            [handle, ctypes.c_int32, ctypes.c_int16, ctypes.POINTER(size)],
        ),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    # Of variable length: its fixed arguments are named here, the others where it is called.
    push = library.rd_kafka_mock_broker_push_request_error_rtts
    push.restype, push.argtypes = ctypes.c_int, [handle, ctypes.c_int32, ctypes.c_int16, size]
    return library
