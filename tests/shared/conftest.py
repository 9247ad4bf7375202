"""Booking on a real database with its desk, for all that a service shows over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.stand_ins.booking_desk import Desk, desk
from tests.stand_ins.callers import keys_file


@pytest.fixture
async def booking(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(databases["booking"], keys_file(tmp_path)) as opened:
        yield opened
