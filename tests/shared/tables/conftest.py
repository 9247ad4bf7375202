"""Booking's road on a real database."""

from collections.abc import AsyncIterator

import pytest

from tests.stand_ins.road import Road, road


@pytest.fixture
async def booking(databases: dict[str, str]) -> AsyncIterator[Road]:
    async with road(databases["booking"]) as on:
        yield on
