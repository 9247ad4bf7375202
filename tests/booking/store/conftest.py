"""The road of messages on booking's own tables."""

from collections.abc import AsyncIterator

import pytest

from tests.stand_ins.booking_places import room
from tests.stand_ins.road import Road, booking_rules, road


@pytest.fixture
async def booking(databases: dict[str, str]) -> AsyncIterator[Road]:
    """Stella with two chairs."""
    async with road(databases["booking"], booking_rules(room(2))) as on:
        yield on
