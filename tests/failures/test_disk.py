"""The disk under PostgreSQL is full: requests are refused, nothing that was acknowledged is lost, and with room again
all goes on.
"""

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from deploy.local.postgres import EmbeddedPostgres
from deploy.preparing.databases import provision
from tests.failures.processes import SERVICES, Processes, processes
from tests.failures.rounds import rounds
from tests.failures.story import course
from tests.failures.test_kills import Load, all_is_done_once, supervised
from tests.journeys.conftest import Course

MEGABYTES: Final = 128
"""Of the disk: half of it is there before anything has happened."""

AT_THE_DESK: Final = 800
"""Courses from this number on are asked for by HTTP; those of the load stay below it."""


@pytest.fixture
def disk(home: Path) -> Iterator[Path]:
    """An empty disk of 128 MB: the one in CHAIRTIME_TEST_DISK, else one in memory, which takes the right to mount."""
    if given := os.environ.get("CHAIRTIME_TEST_DISK"):
        folder = Path(given)
        if shutil.disk_usage(folder).total > 2 * MEGABYTES * 1024**2:
            pytest.fail(f"CHAIRTIME_TEST_DISK={given} is too large to be filled", pytrace=False)
        yield folder
        return
    folder = home / "disk"
    folder.mkdir()
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=0777", "tmpfs", str(folder)]
    try:
        subprocess.run([*sudo, *mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        line = f"this test fills a small disk, and may not mount one: `sudo {' '.join(mount[:-1])} FOLDER`"
        pytest.fail(f"{line}, and name it in CHAIRTIME_TEST_DISK", pytrace=False)
    try:
        yield folder
    finally:
        subprocess.run([*sudo, "umount", "--lazy", str(folder)], check=True)  # whoever still has a file there


@asynccontextmanager
async def full(disk: Path) -> AsyncIterator[None]:
    """Somebody else's file takes all the room that is left, and is gone again."""
    ballast = disk / "ballast"

    def fill() -> None:
        with ballast.open("ab", buffering=0) as file:
            size = 1024**2
            while size >= 512:
                try:
                    file.write(b"x" * size)
                except OSError:
                    size //= 2

    await asyncio.to_thread(fill)
    try:
        yield
    finally:
        ballast.unlink()


class Desk:
    """Asks for a course after the other by HTTP, and remembers which it was promised."""

    def __init__(self, running: Processes) -> None:
        self.promised: list[Course] = []
        self._running = running
        self._asked = 0

    async def ask(self) -> int:
        """The status of the answer."""
        wanted = course(AT_THE_DESK + self._asked)
        self._asked += 1
        status, _ = await self._running.call(
            "booking", "POST", "/v1/courses", wanted.requested.model_dump(mode="json", exclude_none=True)
        )
        assert status in (201, 503), status
        if status == 201:
            self.promised.append(wanted)
        return status

    async def is_told(self, status: int) -> bool:
        """Whether this is the answer now."""
        return await self.ask() == status


async def use_up_the_log(admin: str) -> None:
    """Write to PostgreSQL's log until it panics: what it cannot write down it must not do."""
    with contextlib.suppress(asyncpg.PostgresError, OSError):
        connection = await asyncpg.connect(admin)
        while True:
            await connection.execute("SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000000))")


async def has_ended(postgres: EmbeddedPostgres) -> bool:
    """Whether the server is gone."""
    return not postgres.running


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", rounds(10))
async def test_a_full_disk_refuses_and_forgets_nothing(kafka: str, home: Path, disk: Path, seed: int) -> None:
    dice = random.Random(seed)
    postgres = EmbeddedPostgres(disk / "pg")
    admin = await asyncio.to_thread(postgres.start)
    try:
        urls = await asyncio.to_thread(provision, admin)
        async with processes(urls, kafka, home) as running, supervised(running):
            load, desk = Load(running), Desk(running)
            await running.until(lambda: desk.is_told(201), "a course is held")
            await asyncio.sleep(dice.uniform(0.5, 1.5))
            async with full(disk):
                await running.until(lambda: desk.is_told(503), "a request is refused")
                await use_up_the_log(admin)
                await running.until(lambda: has_ended(postgres), "PostgreSQL has ended itself")
                assert await desk.ask() == 503
                for service in SERVICES:
                    assert (await running.call(service, "GET", "/health/live"))[0] == 200
                    assert (await running.call(service, "GET", "/health/ready"))[0] == 503
            postgres.kill()  # it has ended already: this forgets it
            await asyncio.to_thread(postgres.start)
            await running.until(lambda: desk.is_told(201), "it goes on")
            await all_is_done_once(running, await load.end())
            kept = await running.rows("booking", "SELECT DISTINCT course_id FROM sessions WHERE state = 'held'")
            assert {c.id for c in desk.promised} <= {row.course_id for row in kept}
    finally:
        postgres.stop()
