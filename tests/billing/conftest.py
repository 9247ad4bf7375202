"""Billing on a database of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.stand_ins.billing_rig import Billing, running
from tests.stand_ins.callers import keys_file


@pytest.fixture
async def billing(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Billing]:
    async with running(databases["billing"], keys_file(tmp_path)) as service:
        yield service
