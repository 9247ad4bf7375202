"""Random clinics against real services: whatever happens, every promise is kept.

`make test` plays seeds 0 to 49; `make soak SEEDS=500` plays others, from a random one on, `make soak SEED=17` one.
"""

import gc
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import copies
from tests.simulation.house import House, house
from tests.simulation.story import write

FIRST = int(os.environ.get("CHAIRTIME_SEED", "0"))
SEEDS = int(os.environ.get("CHAIRTIME_SEEDS", "50"))
TENANTS = 10
"""So many seeds share a house, which spares building it; each has a season of the year to itself."""

EPOCH = datetime(2027, 1, 4, 12, tzinfo=UTC)
SEASON = timedelta(weeks=8)


class Street:
    """Houses one after the other."""

    def __init__(self, postgres: str, templates: dict[str, str], kafka: str) -> None:
        self._postgres, self._templates, self._kafka = postgres, templates, kafka
        self._stack = AsyncExitStack()
        self._house: House | None = None

    async def house_for(self, seed: int) -> House:
        """The house in which earlier seeds have lived, or a new one."""
        if self._house is None or seed % TENANTS == 0:
            await self.close()
            urls = await self._stack.enter_async_context(copies(self._postgres, self._templates))
            self._house = await self._stack.enter_async_context(house(urls, self._kafka, EPOCH))
        return self._house

    async def close(self) -> None:
        """Leave the last house; after a failure, the next seed gets a new one."""
        self._house = None
        await self._stack.aclose()
        gc.collect()  # here, where the warning below is expected


@pytest.fixture(scope="module")
async def street(postgres: str, template_databases: dict[str, str], kafka: str) -> AsyncIterator[Street]:
    street = Street(postgres, template_databases, kafka)
    yield street
    await street.close()


# A connection that is cut or given up while it is being made is left to the garbage collector by the driver.
@pytest.mark.filterwarnings("ignore:unclosed connection <asyncpg:ResourceWarning")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_a_random_clinic_breaks_no_promise(street: Street, seed: int) -> None:
    house = await street.house_for(seed)
    try:
        story = write(seed, EPOCH + seed % TENANTS * SEASON)
        await house.play(story)
        assert await house.violations(story.canaries) == [], f"play it again: make soak SEED={seed}"
    except BaseException:
        await street.close()
        raise
