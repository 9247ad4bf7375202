"""Booking's desk, which most tests of its HTTP stand at; others give the name to what they play with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.stand_ins.booking_desk import Desk, desk
from tests.stand_ins.callers import keys_file


@pytest.fixture
async def booking(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(databases["booking"], keys_file(tmp_path)) as opened:
        yield opened
