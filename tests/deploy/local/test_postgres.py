"""The PostgreSQL that `chairtime up` brings along, after every kind of death."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.server_process import CannotStart


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chairtime-pg-") as folder:
        yield Path(folder)


async def _run(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_the_shared_server_takes_200_connections_and_tells_time_in_utc(postgres: str) -> None:
    assert await _run(postgres, "SELECT current_setting('max_connections') || current_setting('timezone')") == "200UTC"


async def test_committed_rows_survive_a_killed_server_whose_process_id_is_now_someone_elses(home: Path) -> None:
    server = EmbeddedPostgres(home)
    try:
        await _run(server.start(), "CREATE TABLE kept AS SELECT 42 AS answer")
        server.kill()
        (home / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")
        assert await _run(server.start(), "SELECT answer FROM kept") == 42
    finally:
        server.stop()


OWNER = """
import sys, time
from pathlib import Path
from deploy.local.postgres import EmbeddedPostgres
print(EmbeddedPostgres(Path(sys.argv[1])).start(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def owner(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs a server in `home`; its first line is the URL."""
    with subprocess.Popen([sys.executable, "-c", OWNER, str(home)], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


async def test_a_server_whose_owner_was_killed_gives_way_to_the_next(home: Path, owner: subprocess.Popen[str]) -> None:
    assert owner.stdout is not None
    await _run(owner.stdout.readline().strip(), "CREATE TABLE kept AS SELECT 42 AS answer")
    with pytest.raises(CannotStart, match=f"already run by another process .pid {owner.pid}."):
        EmbeddedPostgres(home).start()
    owner.kill()
    owner.wait()
    with EmbeddedPostgres(home) as url:
        assert await _run(url, "SELECT answer FROM kept") == 42


async def test_a_home_too_deep_for_a_socket_gets_one_elsewhere(home: Path) -> None:
    with EmbeddedPostgres(home / ("deep" * 25), fsync=False) as url:
        socket_directory = url.partition("host=")[2]
        assert await _run(url, "SELECT 1") == 1
        assert len(socket_directory) < 80
    assert not os.path.exists(socket_directory)  # noqa: ASYNC240
