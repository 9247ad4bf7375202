"""Reminders on a real PostgreSQL, by itself or with its HTTP; what each test is given has heard of nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.preparing.databases import provision
from tests.stand_ins.reminders_front import Front, open_front
from tests.stand_ins.reminders_rig import Rig, open_rig


@pytest.fixture(scope="session")
def reminders_url(postgres: str) -> str:
    """One database for all tests of reminders; each begins with empty tables."""
    return provision(postgres, suffix="_rig")["reminders"]


@pytest.fixture
async def rig(reminders_url: str) -> AsyncIterator[Rig]:
    """Reminders without Kafka and HTTP, which has heard of nothing."""
    async with open_rig(reminders_url) as rig:
        yield rig


@pytest.fixture
async def front(reminders_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    """Reminders with its HTTP, which has heard of nothing."""
    async with open_front(reminders_url, tmp_path) as front:
        yield front


@pytest.fixture
async def desk(front: Front) -> Front:
    """Reminders with its HTTP, which has heard of one confirmed session."""
    await front.rig.planned()
    return front
