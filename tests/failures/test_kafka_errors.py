"""Kafka answers with errors that pass: each is tried again until it is done, and nothing is done twice."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from shared.kafka.topics import TOPICS
from tests.failures.mock_broker import MockBroker, Request
from tests.failures.processes import processes
from tests.failures.rounds import rounds
from tests.failures.test_kills import Load, all_is_done_once, supervised

R = Request

ANSWERS: Final[Mapping[int, tuple[Request, ...]]] = {
    6: (R.PRODUCE, R.FETCH, R.LIST_OFFSETS),  # not the partition's leader
    7: (R.PRODUCE,),  # timed out among the brokers
    15: (R.FIND_COORDINATOR, R.OFFSET_COMMIT, R.HEARTBEAT),  # no group coordinator
    19: (R.PRODUCE,),  # not enough brokers have it
    20: (R.PRODUCE,),  # the same, and it is written down
    22: (R.OFFSET_COMMIT, R.HEARTBEAT),  # another generation of the group
    27: (R.HEARTBEAT, R.SYNC_GROUP),  # the group is changing
}

OF_MEMBERS: Final = (R.OFFSET_COMMIT, R.HEARTBEAT, R.SYNC_GROUP)
"""Refused, a member joins its group again, and the mock cluster lets it wait some seconds for that."""

TIMES: Final = 10


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", rounds(50))
async def test_an_error_that_passes_loses_nothing_and_repeats_nothing(
    databases: dict[str, str], home: Path, seed: int
) -> None:
    dice = random.Random(seed)
    with MockBroker((topic.name, topic.partitions) for topic in TOPICS) as broker:
        async with processes(databases, broker.address, home) as running, supervised(running):
            load = Load(running)
            refusals = [(code, request) for code, requests in ANSWERS.items() for request in requests]
            for code, request in dice.sample(refusals, len(refusals)):
                broker.refuse(request, code, 1 if request in OF_MEMBERS else TIMES)
            await running.until(broker.all_given, "somebody has got each of the answers", 90)
            await all_is_done_once(running, await load.end())
